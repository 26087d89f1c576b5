"""Docker: k0s pointed at cri-dockerd's socket, and the kubelet profile that goes with it."""

from k0sruntime_dockerd.provider import provider

__all__ = ["provider"]
