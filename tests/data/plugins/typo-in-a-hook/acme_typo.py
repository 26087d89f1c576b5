from k0sruntime import Provider, RuntimeHandler


class Acme(Provider):
    summary = "one handler"

    def contribute_dropins(self, node):
        yield RuntimeHandler(name="acme")


provider = Acme()
