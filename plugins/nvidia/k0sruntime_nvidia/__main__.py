"""``python -m k0sruntime_nvidia``."""

from k0sruntime_nvidia.cli import entry

entry()
