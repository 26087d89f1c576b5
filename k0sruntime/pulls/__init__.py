"""What containerd does when an image is pulled: which hosts it asks, in which order, and how.

Everything here is a function of data: a folder of hosts files, read through ``Files``, and a
version of containerd.
"""

from k0sruntime.pulls.pem import count_certificates, has_private_key
from k0sruntime.pulls.resolve import Resolution, ResolvedHost, resolve_image, resolve_registry

__all__ = [
    "Resolution",
    "ResolvedHost",
    "count_certificates",
    "has_private_key",
    "resolve_image",
    "resolve_registry",
]
