"""``python -m bench``: every figure that the project keeps in sight, in one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.fleet import fleet
from bench.folders import dropins
from bench.measure import Figure, in_turn, seconds
from bench.node import Node, bare_to_ready, environment

RUNS = 9


def help_() -> Figure:
    """``--help`` against importing click."""
    program = str(Path(sys.executable).parent / "k0sruntime")

    def ours() -> float:
        command = [program, "--help"]
        return seconds(
            lambda: subprocess.run(command, capture_output=True, check=True, env=environment())
        )

    def other() -> float:
        command = [sys.executable, "-c", "import click"]
        return seconds(lambda: subprocess.run(command, check=True, env=environment()))

    return Figure("--help against `import click`", *in_turn(ours, other, RUNS), goal=1.6)


def no_op_up() -> Figure:
    """``up`` on a node that is as it should be."""
    with Node() as node:
        node.run("up")
        median, _ = in_turn(lambda: seconds(lambda: node.run("up")), None, RUNS)
    return Figure("up that changes nothing", median, None, goal=0.35)


def cold_up() -> Figure:
    """``up`` from nothing to a CRI that answers, against containerd without us."""

    def ours() -> float:
        with Node() as node:
            return node.up_to_ready()

    medians = in_turn(ours, bare_to_ready, RUNS)
    return Figure("cold up to CRI against bare containerd", *medians, goal=3)


def bounce() -> Figure:
    """The time without a CRI in a bounce, against containerd without us on the same files.

    containerd asks every handler's shim about itself when it starts, so the files matter.
    """
    with Node() as node:
        node.run("up")
        numbers = iter(range(RUNS + 1))
        medians = in_turn(
            lambda: node.bounce_gap(next(numbers)),
            lambda: bare_to_ready(str(node.main_file)),
            RUNS,
        )
    return Figure("no CRI in a bounce against bare containerd", *medians, goal=1.2)


FIGURES = (help_, no_op_up, cold_up, bounce)


def main() -> int:
    """Print all figures; the exit code says whether all goals are met."""
    figures = [*(make() for make in FIGURES), *dropins(), *fleet()]
    for figure in figures:
        print(figure)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
