"""Many drop-ins: composing and writing them against containerd's own ``config dump``."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import Figure, in_turn, seconds
from bench.node import LAB, environment

DROPIN = """version = 3
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.h{number}]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.h{number}.options]
BinaryName = "/usr/bin/runc"
SystemdCgroup = true
"""


def lay(folder: Path, count: int) -> None:
    """Write so many CRI drop-ins."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05d}.toml").write_text(DROPIN.format(number=number))


def compose(folder: str, target: str) -> None:
    """Read a folder, check and merge it, and write what it comes to."""
    from k0sruntime import toml
    from k0sruntime.compose import rendered

    contents = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with open(entry.path, "rb", buffering=0) as file:
                contents[entry.name] = file.read()
    merged = rendered.merge_patch(folder, contents, 3, "registry.k8s.io/pause:3.10")
    with open(target, "w", encoding="utf-8") as out:
        out.write(toml.dump(merged["containerd-cri.toml"]))


def dropins() -> list[Figure]:
    """1,000 drop-ins against ``config dump``; 10,000 against 1,000; peak memory."""
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as name:
        base = Path(name)
        lay(base / "1000", 1000)
        lay(base / "10000", 10000)
        main = base / "main.toml"
        main.write_text(f'version = 3\nimports = ["{base}/1000/*.toml"]\n')
        dump = [str(LAB / "bin/containerd"), f"--config={main}", "config", "dump"]

        def composed(count: int) -> float:
            return seconds(lambda: compose(f"{base}/{count}", f"{base}/out.toml"))

        def dumped() -> float:
            return seconds(
                lambda: subprocess.run(dump, capture_output=True, check=True, env=environment())
            )

        versus = in_turn(lambda: composed(1000), dumped, 9)
        scaled = in_turn(lambda: composed(10000), lambda: composed(1000), 3)
        startup, _ = in_turn(lambda: _startup(f"{base}/empty"), None, 5)
        memory = _peak_megabytes(f"{base}/10000", f"{base}/out.toml")
    return [
        Figure("compose and write 1,000 drop-ins against config dump", *versus, goal=1),
        Figure("10,000 drop-ins against 1,000", *scaled, goal=12),
        Figure("our own start-up beside that (render of nothing)", startup, None, goal=1),
        Figure("peak memory for 10,000 drop-ins", memory, None, goal=150, unit="MB"),
    ]


def _startup(folder: str) -> float:
    """Return how long ``render`` of an empty folder takes."""
    os.makedirs(folder, exist_ok=True)
    program = str(Path(sys.executable).parent / "k0sruntime")
    command = [program, "render", "--dropins", folder, "--scheme", "merge-patch"]
    return seconds(
        lambda: subprocess.run(command, capture_output=True, check=True, env=environment())
    )


def _peak_megabytes(folder: str, target: str) -> float:
    code = (
        f"from bench.folders import compose, peak; compose({folder!r}, {target!r}); print(peak())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    return float(done.stdout)


def peak() -> float:
    """Return this process's peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
