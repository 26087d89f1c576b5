"""A machine of its own for a page: the real paths, in namespaces that end with the page.

``/etc``, ``/var``, ``/usr/local``, root's home and the checkout are layers over the machine's own,
``/run`` is empty, there is no network, and processes are alone. So a page's commands run as they stand there, root's and
everybody's, and nothing of it is left.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import probe_image
from lab.parts import program_in
from tests.docs.blocks import ROOT, Block, Command, commands
from tests.real.conftest import LAB

LAYERS = ("/etc", "/var", "/usr/local", "/root", "/media", "/srv", str(ROOT))
FRESH = ("/run", "/var/lib/k0s", "/var/lib/k0sruntime", "/var/log", f"{ROOT}/.node")
IMAGES = (
    "k0sruntime.local/probe:1",
    "registry.k8s.io/pause:3.10",
    "docker.io/library/busybox:1.36",
)
MARK = "\x1e"
SECONDS = 120


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    where: str
    line: str
    expected: str
    code: int
    wanted: int
    output: str

    def faults(self) -> list[str]:
        """Return what is not as the page says."""
        found = []
        if self.code != self.wanted:
            found.append(f"exit code {self.code}, not {self.wanted}")
        if missing := unlike(self.expected, self.output):
            found.append(f"the page shows, and there was not: {missing}")
        return found


def unlike(expected: str, output: str) -> str:
    """Return the first line of what a page shows that is not in the output, in this order.

    Any number stands for any, ``…`` for anything, and any width of space for any other.
    """
    lines = [_plain(line) for line in output.splitlines()]
    at = 0
    for line in filter(str.strip, expected.splitlines()):
        wanted = re.compile(".*".join(map(re.escape, _plain(line).split("…"))))
        while at < len(lines) and not wanted.fullmatch(lines[at]):
            at += 1
        if at == len(lines):
            return line
    return ""


def _plain(line: str) -> str:
    return re.sub(r"[0-9]+(?:\.[0-9]+)*", "0", " ".join(line.split()))


def run(page: Sequence[Block], needs: dict[str, str]) -> list[Ran]:
    """Run the console blocks of a page one after the other; return what each command came to."""
    lines, told = [], []
    for block in page:
        if "not run" in block.said:
            continue
        if (need := block.said.get("with")) and block.language != "python":
            lines.append(f"( {needs[need]}\n) >/dev/null || exit 97")
        if block.file:
            lines += [f"mkdir -p {Path(block.file).parent}", f"cat > {block.file} <<'END'"]
            lines += [block.text.rstrip("\n"), "END"]
        if block.language != "console":
            continue
        given = commands(block)
        for number, command in enumerate(given):
            told.append(
                (block.where, command, _wanted(block, command, last=number == len(given) - 1))
            )
            lines += [f"eval {shlex.quote(command.line)} </dev/null", f"printf '\\n{MARK}%d\\n' $?"]
    where = ROOT if page[0].page == "README.md" else "~"
    nodes = "'' '--sandbox .node' '--sandbox /tmp/node'"
    lines.append(f"for node in {nodes}; do k0sruntime down --pods --force $node; done")
    done = _in_a_world("\n".join([f"cd {where}", *lines]))
    outputs = re.findall(rf"(.*?)\n{MARK}(\d+)\n", done, re.DOTALL)
    assert len(outputs) == len(told), f"the machine ended early:\n{done[-3000:]}"
    return [
        Ran(where, command.line, command.output, int(code), wanted, output)
        for (where, command, wanted), (output, code) in zip(told, outputs, strict=True)
    ]


def _wanted(block: Block, command: Command, *, last: bool) -> int:
    """Return the exit code that the page shows, ``(exit 3: refused)``, or names before the block."""
    if shown := re.search(r"^\(exit (\d+): ", command.output, re.MULTILINE):
        return int(shown[1])
    return int(block.said.get("exit", 0)) if last else 0


def _in_a_world(script: str) -> str:
    with tempfile.TemporaryDirectory(prefix="k0sr-docs-", dir="/tmp") as folder:
        whole = Path(folder) / "script"
        whole.write_text(f"{_made(folder)}\nexec 2>&1\n{script}\n")
        _images(Path(folder) / "images")
        said = Path(folder) / "said"
        alone = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
        with said.open("wb") as output:
            try:
                subprocess.run(
                    [*alone, "bash", whole],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=_environment(),
                    timeout=SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise AssertionError(f"not done in {SECONDS} s:\n{said.read_text()}") from None
        return said.read_bytes().decode(errors="replace")


def _made(folder: str) -> str:
    """Return the script that makes the machine."""
    lines = ["set -e", f"mkdir {folder}/layers", f"mount -t tmpfs tmpfs {folder}/layers"]
    for number, path in enumerate(LAYERS):
        here = f"{folder}/layers/{number}"
        options = f"lowerdir={path},upperdir={here}/upper,workdir={here}/work"
        lines += [f"mkdir -p {here}/upper {here}/work", f"mount -t overlay o -o {options} {path}"]
    images = f"{folder}/images"
    for path in FRESH:
        lines += [f"mkdir -p {path}", f"mount -t tmpfs tmpfs {path}"]
    lines.append(f"mkdir /var/lib/k0s/images && cp {images}/* /var/lib/k0s/images/")
    # What is no layer is not written at all; /tmp comes last, for this script lies in it.
    lines += ["mount -o remount,bind,ro /", "mount -t tmpfs tmpfs /tmp"]
    lines += [": > /etc/resolv.conf", "ip link set lo up", "set +e"]
    return "\n".join(lines)


def _images(folder: Path) -> None:
    """Make the images that a registry would serve: all of them are the probe image."""
    folder.mkdir()
    busybox = program_in(LAB / "packages/bookworm/busybox-static", "busybox").read_bytes()
    for number, name in enumerate(IMAGES):
        image = probe_image.build(busybox, name=name)
        (folder / f"{number}.tar").write_bytes(image)


def _environment() -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("K0SRUNTIME", "PYTHON", "PYTEST"))
    }
    path = f"{Path(sys.executable).parent}:/usr/local/bin:{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    quiet = {
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    return {**kept, "PATH": path, "HOME": "/root", "PIP_ROOT_USER_ACTION": "ignore", **quiet}
