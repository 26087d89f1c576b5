"""gVisor: the handler ``runsc``, its configuration, and the proof that the kernel is gVisor's."""

from k0sruntime_gvisor.provider import provider

__all__ = ["provider"]
