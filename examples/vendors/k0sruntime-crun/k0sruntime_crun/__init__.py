"""crun for k0s nodes: a provider of k0sruntime."""

from k0sruntime_crun.provider import CrunSettings, provider

__all__ = ["CrunSettings", "provider"]
