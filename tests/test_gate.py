"""The gate judges the files as they will be, not as they are."""

from __future__ import annotations

from k0sruntime.gate import AsComposed
from k0sruntime.testing import MadeUpFiles

BEFORE = MadeUpFiles({"/etc/a": "old", "/etc/b": "b"}, executables=["/bin/sh"])
FILES = AsComposed(BEFORE, {"/etc/a": b"new", "/etc/c/d": b"d"})


def test_a_composed_file_counts_as_written() -> None:
    assert FILES.read("/etc/a") == b"new"
    assert FILES.read("/etc/c/d") == b"d"
    assert FILES.exists("/etc/c/d")
    assert FILES.mode("/etc/c/d") == 0o644
    assert not FILES.is_executable("/etc/c/d")


def test_everything_else_is_as_it_lies_there() -> None:
    assert FILES.read("/etc/b") == b"b"
    assert FILES.is_executable("/bin/sh")
    assert FILES.mode("/bin/sh") == 0o755
    assert not FILES.is_socket("/etc/b")
    assert FILES.names("/etc") == ("a", "b", "c")
