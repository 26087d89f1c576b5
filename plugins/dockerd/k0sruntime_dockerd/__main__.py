"""``python -m k0sruntime_dockerd``."""

from k0sruntime_dockerd.cli import entry

if __name__ == "__main__":
    entry()
