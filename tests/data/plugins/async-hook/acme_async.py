from k0sruntime import RuntimeHandler


class Acme:
    async def contribute_dropin(self, node):
        return [RuntimeHandler(name="acme")]


provider = Acme()
