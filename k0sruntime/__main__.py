"""``python -m k0sruntime``."""

from k0sruntime.cli.main import entry

if __name__ == "__main__":
    entry()
