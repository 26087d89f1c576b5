"""``python -m k0sruntime_mirrors``."""

from k0sruntime_mirrors.cli import entry

entry()
