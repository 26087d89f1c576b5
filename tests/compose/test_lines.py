"""The line of a key is the one on which a person finds it."""

from __future__ import annotations

import pytest

from k0sruntime.lines import line_of, lines

TEXT = '''# a comment with [brackets] and a = b
version = 3
imports = [
  "a.toml", # ]
  "[b].toml",
]
note = """
[not.a.table]
fake = 1
"""

[plugins."io.containerd.cri.v1.runtime"]
enable_cdi = true
cni.conf_dir = "/etc/cni"

  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.'we.ird']
    runtime_type = "x"
    options = { BinaryName = "/b", nested = { deep = 1 } }

[[rules]]
name = "one"
'''
RUNTIME = ("plugins", "io.containerd.cri.v1.runtime")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("version",), 2),
        (("imports",), 3),
        (("note",), 7),
        (("plugins",), 12),
        (RUNTIME, 12),
        ((*RUNTIME, "enable_cdi"), 13),
        ((*RUNTIME, "cni"), 14),
        ((*RUNTIME, "cni", "conf_dir"), 14),
        ((*RUNTIME, "containerd", "runtimes", "we.ird"), 16),
        ((*RUNTIME, "containerd", "runtimes", "we.ird", "runtime_type"), 17),
        ((*RUNTIME, "containerd", "runtimes", "we.ird", "options", "BinaryName"), 18),
        (("rules",), 20),
        (("rules", "name"), 21),
    ],
)
def test_every_way_to_write_a_key_is_found(path: tuple[str, ...], line: int) -> None:
    assert line_of(TEXT, path) == line


def test_what_looks_like_a_key_inside_a_string_or_an_array_is_none() -> None:
    assert ("not",) not in lines(TEXT)
    assert ("fake",) not in lines(TEXT)


def test_a_key_that_is_not_there_is_sought_in_the_table_above_it() -> None:
    assert line_of(TEXT, (*RUNTIME, "containerd", "runtimes", "we.ird", "gone")) == 16
    assert line_of(TEXT, ("gone",)) == 1


def test_only_a_line_feed_ends_a_line() -> None:
    text = 'a = "\u2028\x85"\r\nb = 1\n'
    assert line_of(text, ("b",)) == 2


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (r'"a\"b"', 'a"b'),
        (r'"\u00e9"', "é"),
        (r'"\U0001F600"', "😀"),
        (r'"\\U0001F600"', r"\U0001F600"),
        (r"'a\b'", r"a\b"),
        ('"tab\\tin"', "tab\tin"),
    ],
)
def test_a_quoted_key_is_found_by_its_name(key: str, name: str) -> None:
    assert line_of(f"\n{key} = 1\n", (name,)) == 2
