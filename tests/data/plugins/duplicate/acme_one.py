from k0sruntime import Provider, RuntimeHandler


class One(Provider):
    summary = "one handler"

    def contribute_dropin(self, node):
        yield RuntimeHandler(name="one")


provider = One()
