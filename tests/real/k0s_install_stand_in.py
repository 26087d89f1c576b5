"""Stands in for ``k0s install``, which cannot write units of the node under test's own folder.

As k0s does (``cmd/install``, ``pkg/install``): with ``--force`` the old unit goes first, and the new
one has the flags of this call alone; without it, an installed unit is an error. Units look as those
of kardianos/service, which disables a service before it takes its file away, and enables the new one
(``systemctl disable``, ``enable``, ``daemon-reload``; ``rc-update delete``, ``add``). Each of these is
recorded in ``var/log/k0s-install.log``, and the link that starts the service at boot is real.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def program(
    folder: Path,
    node: Path,
    *,
    init: str = "systemd",
    fails: bool = False,
    enables: bool = True,
    seconds: float = 0,
) -> Path:
    """Lay the stand-in out as ``folder/k0s`` and return its path.

    Args:
        folder: where to.
        node: the folder of the node under test.
        init: ``systemd`` or ``openrc``.
        fails: it ends with an error between the old service and the new one.
        enables: the new service is started at boot.
        seconds: it takes so long between the old service and the new one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "k0s"
    path.write_text(
        f"#!/bin/sh\nexport STAND_IN_NODE={node} STAND_IN_INIT={init} STAND_IN_FAILS={int(fails)}"
        f" STAND_IN_ENABLES={int(enables)} STAND_IN_SECONDS={seconds}\n"
        f'exec {sys.executable} {Path(__file__).absolute()} "$0" "$@"\n'
    )
    path.chmod(0o755)
    return path


def unit(node: Path, role: str, init: str = "systemd") -> Path:
    """Return where the service of a role lies."""
    if init == "openrc":
        return node / f"etc/init.d/k0s{role}"
    return node / f"etc/systemd/system/k0s{role}.service"


def link(node: Path, role: str, init: str = "systemd") -> Path:
    """Return the link that starts the service of a role at boot."""
    if init == "openrc":
        return node / f"etc/runlevels/default/k0s{role}"
    return node / f"etc/systemd/system/multi-user.target.wants/k0s{role}.service"


def log(node: Path) -> list[str]:
    """Return what the service manager was told."""
    path = node / "var/log/k0s-install.log"
    return path.read_text().splitlines() if path.exists() else []


def tell(node: Path, line: str) -> None:
    path = node / "var/log/k0s-install.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{line}\n")


def disable(node: Path, path: Path, start: Path, init: str) -> None:
    tell(node, f"rc-update delete {path.name}" if init == "openrc" else f"disable {path.name}")
    start.unlink(missing_ok=True)


def enable(node: Path, path: Path, start: Path, init: str) -> None:
    tell(node, f"rc-update add {path.name}" if init == "openrc" else f"enable {path.name}")
    start.parent.mkdir(parents=True, exist_ok=True)
    start.symlink_to(path)
    if init == "systemd":
        tell(node, "daemon-reload")


def systemd(command: list[str], environment: list[str]) -> str:
    words = " ".join(
        [command[0], *(f'"{word}"' if set(word) & set(" =") else word for word in command[1:])]
    )
    lines = "".join(f'Environment="{pair}"\n' for pair in environment)
    return f"[Unit]\nDescription=k0s - Zero Friction Kubernetes\n\n[Service]\n{lines}ExecStart={words}\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n"


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
    start = link(node, rest[0], init)
    if path.exists():
        disable(node, path, start, init)
    path.unlink(missing_ok=True)
    time.sleep(float(os.environ["STAND_IN_SECONDS"]))
    if os.environ["STAND_IN_FAILS"] == "1":
        print("Error: failed to install k0s service: disk full", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    write = openrc if init == "openrc" else systemd
    path.write_text(write([me, *rest], environment))
    if os.environ["STAND_IN_ENABLES"] == "1":
        enable(node, path, start, init)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
