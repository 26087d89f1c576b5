"""A roll-out over made-up nodes: local connections, a root folder a node, nothing runs there.

The play, the role and the modules are those of real nodes. What is measured is the controller's
own cost, and that waiting nodes wait beside each other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import Figure, seconds
from bench.node import ROOT, environment
from k0sruntime.__about__ import __version__

BIN = Path(sys.executable).parent
SETTINGS = '[node]\nk0s = "1.36"\n\n[node.handlers.crun]\nbinary = "/usr/bin/crun"\n'
BOUNCE_SECONDS = 8
"""What k0s itself waits in a bounce: a debounce of 3 s, a respawn of 5 s."""
WAITS = """#!/bin/sh
# Stands in for a node on which k0s bounces its containerd.
sleep {seconds}
exec {program} "$@"
"""
FEW, MANY, FORKS = 100, 500, 10
WAITING, LITTLE, MUCH = 60, 5, 15


def fleet() -> list[Figure]:
    """500 nodes against 100, and 15 forks against 5 where every node waits for its k0s."""
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as name:
        base = Path(name)
        _install(base)
        waits = base / "waits"
        waits.write_text(WAITS.format(seconds=BOUNCE_SECONDS, program=BIN / "k0sruntime"))
        waits.chmod(0o755)
        many = _rollout(base, "many", MANY, FORKS)
        few = _rollout(base, "few", FEW, FORKS)
        much = _rollout(base, "much", WAITING, MUCH, str(waits))
        little = _rollout(base, "little", WAITING, LITTLE, str(waits))
    return [
        Figure(f"roll-out: {MANY} nodes against {FEW}, {FORKS} forks", many, few, goal=6),
        Figure(
            f"roll-out: {MUCH} forks against {LITTLE}, {WAITING} nodes that wait",
            much,
            little,
            goal=0.6,  # a third, were the controller's own work nothing
        ),
    ]


def _install(base: Path) -> None:
    archive = base / f"k0sruntime-node-{__version__}.tar.gz"
    for words in (
        ["build", str(ROOT / "deploy/ansible"), "--output-path", str(base)],
        ["install", "--offline", "-p", str(base), str(archive)],
    ):
        command = [str(BIN / "ansible-galaxy"), "collection", *words]
        subprocess.run(command, capture_output=True, check=True, env=_environment(base))


def _rollout(base: Path, name: str, count: int, forks: int, program: str = "") -> float:
    """Return how long a roll-out to so many fresh nodes takes."""
    hosts = {}
    for number in range(count):
        root = base / name / f"n{number:03d}"
        root.mkdir(parents=True)
        hosts[f"n{number:03d}"] = {"k0sruntime_root": str(root)}
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "ansible_remote_tmp": str(base / "remote"),
        "k0sruntime_program": program or str(BIN / "k0sruntime"),
        "k0sruntime_settings": SETTINGS,
    }
    inventory = base / f"{name}.json"
    inventory.write_text(json.dumps({"k0s_nodes": {"hosts": hosts, "vars": shared}}))
    command = [str(BIN / "ansible-playbook"), "-i", str(inventory), "k0sruntime.node.rollout"]
    serial = [] if not program else ["--extra-vars", json.dumps({"k0sruntime_serial": "100%"})]
    return seconds(
        lambda: subprocess.run(
            [*command, f"--forks={forks}", *serial],
            capture_output=True,
            check=True,
            env=_environment(base),
        )
    )


def _environment(base: Path) -> dict[str, str]:
    kept = {k: v for k, v in environment().items() if not k.startswith("ANSIBLE")}
    return {
        **kept,
        "HOME": str(base),
        "PATH": f"{BIN}{os.pathsep}{kept['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(base),
        "ANSIBLE_HOME": str(base / "ansible"),
        "ANSIBLE_PIPELINING": "1",
    }
