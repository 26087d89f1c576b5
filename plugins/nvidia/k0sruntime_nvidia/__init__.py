"""NVIDIA: the handler ``nvidia`` on nodes that have a GPU, a driver and the container toolkit."""

from k0sruntime_nvidia.provider import provider

__all__ = ["provider"]
