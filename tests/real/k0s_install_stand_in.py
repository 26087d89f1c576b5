"""Stands in for ``k0s install``, which cannot write units of the node under test's own folder.

As k0s does (``cmd/install``, ``pkg/install``): with ``--force`` the old unit goes first, and the new
one has the flags of this call alone; without it, an installed unit is an error. Units look as those
of kardianos/service.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def program(folder: Path, node: Path, *, init: str = "systemd", fails: bool = False) -> Path:
    """Lay the stand-in out as ``folder/k0s`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "k0s"
    path.write_text(
        f"#!/bin/sh\nSTAND_IN_NODE={node} STAND_IN_INIT={init} STAND_IN_FAILS={int(fails)}"
        f' exec {sys.executable} {Path(__file__).absolute()} "$0" "$@"\n'
    )
    path.chmod(0o755)
    return path


def unit(node: Path, role: str, init: str = "systemd") -> Path:
    """Return where the service of a role lies."""
    if init == "openrc":
        return node / f"etc/init.d/k0s{role}"
    return node / f"etc/systemd/system/k0s{role}.service"


def systemd(command: list[str], environment: list[str]) -> str:
    words = " ".join(
        [command[0], *(f'"{word}"' if set(word) & set(" =") else word for word in command[1:])]
    )
    lines = "".join(f'Environment="{pair}"\n' for pair in environment)
    return f"[Unit]\nDescription=k0s - Zero Friction Kubernetes\n\n[Service]\n{lines}ExecStart={words}\nRestart=always\n"


def openrc(command: list[str], environment: list[str]) -> str:
    arguments = " ".join(f"'{word}'" for word in command[1:])
    lines = "".join(f'export {pair.replace("=", "=" + chr(34), 1)}"\n' for pair in environment)
    return (
        f'#!/sbin/openrc-run\nsupervisor=supervise-daemon\nname="k0s"\ncommand={command[0]}\n'
        f'command_args="{arguments} "\n{lines}'
    )


def main(me: str, words: list[str]) -> int:
    """Be ``k0s install`` and nothing else."""
    if words[:1] != ["install"]:
        return 1
    force, environment, rest, position = False, [], [], 1
    while position < len(words):
        word = words[position]
        if word == "--force":
            force = True
        elif word == "-e":
            position += 1
            environment.append(words[position])
        else:
            rest.append(word)
        position += 1
    node, init = Path(os.environ["STAND_IN_NODE"]), os.environ["STAND_IN_INIT"]
    path = unit(node, rest[0], init)
    if path.exists() and not force:
        print(f"Error: failed to install k0s service: Init already exists: {path}", file=sys.stderr)
        return 1
    path.unlink(missing_ok=True)
    if os.environ["STAND_IN_FAILS"] == "1":
        print("Error: failed to install k0s service: disk full", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    write = openrc if init == "openrc" else systemd
    path.write_text(write([me, *rest], environment))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
