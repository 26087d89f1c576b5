from functools import partial

from k0sruntime import RuntimeHandler


def handlers(name, node):
    return [RuntimeHandler(name=name)]


contribute_dropin = partial(handlers, "acme")


def contribute_hosts(node):
    return []
