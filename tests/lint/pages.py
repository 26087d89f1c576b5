"""The rules' pages as test data: each has a bad and a good set of files, and a target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from k0sruntime.lint import Target
from k0sruntime.lint.gather import gather
from k0sruntime.lint.subject import Subject
from k0sruntime.lint.target import Machine, for_k0s
from k0sruntime.node import Version
from k0sruntime.testing import MadeUpFiles

DOCS = Path(__file__).parents[2] / "docs" / "rules"
BASE = "/etc/k0s"
SEARCH_PATH = ("/var/lib/k0s/bin", "/usr/local/bin", "/usr/bin")
FENCE = re.compile(r"`([^`\n]+)`\n\n```\w+\n(.*?)```", re.DOTALL)
MACHINE = re.compile(r"On the machine \((\w+)\):\n\n```text\n(.*?)```", re.DOTALL)
TARGET = re.compile(r"Judged with `--(k0s|containerd) ([\d.]+)( --host)?`")
OCTETS = re.compile(r"<((?:[0-9A-F]{2} ?)+)>")
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}


@dataclass(frozen=True)
class Page:
    code: str
    text: str

    def section(self, name: str) -> str:
        return self.text.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]

    def target(self) -> Target:
        kind, version, host = TARGET.search(self.section("Bad")).groups()  # type: ignore[union-attr]
        machine = Machine("x86_64", SEARCH_PATH) if host else None
        if kind == "k0s":
            known = for_k0s(version)
            return Target(known.containerd, known.k0s, machine)
        return Target(Version.parse(version), None, machine)  # type: ignore[arg-type]

    def files(self, section: str) -> MadeUpFiles:
        text = self.section(section)
        contents = {f"{BASE}/{name}": octets(body) for name, body in FENCE.findall(text)}
        executables = []
        for _, lines in MACHINE.findall(text):
            for path, kind, arch in map(str.split, lines.splitlines()):
                contents[path] = elf(arch)
                if kind == "program":
                    executables.append(path)
        return MadeUpFiles(contents, executables)

    def subject(self, section: str) -> Subject:
        return gather([BASE], self.files(section), follow=self.target().machine is not None)


def octets(text: str) -> bytes:
    """Read <EF BB BF> as these three bytes, which no page could show."""
    return OCTETS.sub(lambda m: bytes.fromhex(m[1]).decode(), text).encode()


def elf(arch: str) -> bytes:
    """Make up the first bytes of a program."""
    return (
        b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + ELF_MACHINES[arch].to_bytes(2, "little")
    )


def page(code: str) -> Page:
    return Page(code, (DOCS / f"{code}.md").read_text())
