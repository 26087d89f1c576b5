"""stargz for k0s nodes: a provider of k0sruntime."""

from k0sruntime_stargz.provider import provider
from k0sruntime_stargz.settings import StargzSettings

__all__ = ["StargzSettings", "provider"]
