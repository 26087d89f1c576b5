from k0sruntime import Provider, RuntimeHandler


class Other(Provider):
    summary = "one handler"

    def contribute_dropin(self, node):
        yield RuntimeHandler(name="other")


provider = Other()
