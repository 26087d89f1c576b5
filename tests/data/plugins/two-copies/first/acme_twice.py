from k0sruntime import Provider, RuntimeHandler


class New(Provider):
    summary = "one handler"

    def contribute_dropin(self, node):
        yield RuntimeHandler(name="new")


provider = New()
