"""stargz for k0s nodes: a provider of k0sruntime."""

from k0sruntime_stargz.provider import StargzSettings, provider

__all__ = ["StargzSettings", "provider"]
