"""A module is a provider, too: its functions are the hooks."""

from k0sruntime import Host, HostsFile

summary = "a module with functions"


def contribute_hosts(node):
    return [HostsFile(registry="docker.io", hosts=[Host(url="https://mirror.example")])]
