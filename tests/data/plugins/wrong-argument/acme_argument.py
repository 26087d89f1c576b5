from k0sruntime import RuntimeHandler


class Acme:
    def contribute_dropin(self, node):
        return [RuntimeHandler(name="acme")]

    def cri_socket(self, node, config):
        return []


provider = Acme()
