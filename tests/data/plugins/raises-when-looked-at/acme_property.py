from k0sruntime import RuntimeHandler


class Acme:
    @property
    def summary(self):
        message = "no summary today"
        raise RuntimeError(message)

    def contribute_dropin(self, node):
        return [RuntimeHandler(name="acme")]


provider = Acme()
