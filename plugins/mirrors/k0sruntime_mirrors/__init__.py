"""Registry mirrors: one hosts file a registry, out of a table a registry."""

from k0sruntime_mirrors.provider import provider

__all__ = ["provider"]
