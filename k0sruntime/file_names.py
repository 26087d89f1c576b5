"""Names of files as Linux has them: bytes, which need not be text.

Python hands such a name over with surrogates in it (PEP 383), which no file and no document of ours
can hold.
"""

from __future__ import annotations

from k0sruntime.errors import Problem


def by_bytes(name: str) -> bytes:
    """Return what names are sorted by, as containerd does."""
    return name.encode(errors="surrogateescape")


def name_fault(path: str) -> Problem | None:
    """Return why a file's name will not do, or ``None``.

    k0s up to 1.35 writes the names of drop-ins into the main file, and TOML is UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = by_bytes(path).decode(errors="backslashreplace")
        remedy = "Give it a name of plain letters, or move it away."
        return Problem("the name of the file is not UTF-8", shown, "a foreign file", remedy)
    return None
