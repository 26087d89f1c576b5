from k0sruntime import Provider, RuntimeHandler


class Old(Provider):
    summary = "one handler"

    def contribute_dropin(self, node):
        yield RuntimeHandler(name="old")


provider = Old()
