"""The wheels of a bundle: got by pip, as it is set up where there is a network, or out of a folder.

A bare node may have neither pip nor ensurepip, so pip's own wheel comes along.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime import masking
from k0sruntime.bundle.closure import Target, missing, running, wheels_in
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.programs import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.stages import Story

PIP = "pip"
PIP_SECONDS = 1800.0
"""It may have to build a wheel out of sources on a slow machine."""
ROUNDS = 4
"""How often pip is asked for what markers of another Python still lack."""
PYTHONS = tuple(f"3.{minor}" for minor in range(10, 20))
"""Python versions of which a folder of wheels is asked whether it is whole for them."""


@dataclass(frozen=True)
class Wanted:
    """What the wheels are for.

    Attributes:
        requirements: what shall be installed, such as ``k0sruntime==0.1.0``.
        pythons: for which Pythons, such as ``3.11``; empty: the one that runs this.
        arch: for which machine, as ``uname -m`` spells it.
        platforms: pip's names of it; empty: decided from the machine.
        links: folders with distributions that are on no index.
    """

    requirements: tuple[str, ...]
    pythons: tuple[str, ...]
    arch: str
    platforms: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    def targets(self) -> list[Target]:
        """Return the Pythons that the wheels must be whole for."""
        pythons = dict.fromkeys(self.pythons or (running(),))
        return [Target(python, self.arch, self.platforms) for python in pythons]


def download(wanted: Wanted, folder: str, story: Story) -> None:
    """Let pip bring all wheels into an empty folder.

    Raises:
        RefusedError: this Python has no pip, or pip cannot get something, with its own words.
    """
    for target in wanted.targets():
        story.progress(f"pip gets the wheels for Python {target.python} on {target.arch}")
        needed = [PIP, *wanted.requirements]
        for _ in range(ROUNDS):
            _pip(target, needed, wanted, folder)
            needed = list(missing(wheels_in(folder), (PIP, *wanted.requirements), target))
            if not needed:
                break


def _pip(target: Target, needed: Sequence[str], wanted: Wanted, folder: str) -> None:
    links = [f"--find-links={link}" for link in wanted.links]
    common = [*links, "--disable-pip-version-check", "--no-input", "--quiet"]
    if target.here:
        what = ["wheel", f"--wheel-dir={folder}"]
    else:
        what = ["download", f"--dest={folder}", "--only-binary=:all:", "--implementation=cp"]
        what += [f"--python-version={target.python}"]
        what += [f"--platform={name}" for name in target.named()]
    answer = ask([sys.executable, "-m", PIP, *what, *common, *needed], PIP_SECONDS)
    if answer.status:
        raise RefusedError(_problem(answer.errors, target))


def _problem(errors: str, target: Target) -> Problem:
    lines = errors.strip().splitlines()
    if any("No module named pip" in line for line in lines):
        return Problem(
            "the Python that runs this has no pip",
            place=sys.executable,
            remedy="Install pip for it; or pack a folder of wheels: --wheels DIR.",
        )
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    reason = masking.text("; ".join(said or lines[-1:]) or "no reason given")
    return Problem(
        f"pip cannot get the wheels: {reason}",
        place=f"Python {target.python} on {target.arch}",
        remedy="Name a folder that has them, --find-links DIR; or pack one that is whole:"
        " --wheels DIR.",
    )


def whole_for(folder: str, wanted: Wanted) -> list[str]:
    """Return the Pythons for which a folder of wheels has all that is needed.

    Raises:
        RefusedError: it lacks something for one of those that were asked for.
    """
    wheels, needed = wheels_in(folder), (PIP, *wanted.requirements)
    problems = [
        Problem(
            f"no wheel of {name} for Python {target.python} on {target.arch}",
            place=folder,
            culprit=f"{whom} needs it" if whom else "install.sh needs it",
            remedy="Put it there, or name the folder that has it: --find-links DIR.",
        )
        for target in wanted.targets()
        for name, whom in missing(wheels, needed, target).items()
    ]
    if problems:
        raise RefusedError(*problems)
    others = [Target(python, wanted.arch, wanted.platforms) for python in PYTHONS]
    found = {target.python for target in others if not missing(wheels, needed, target)}
    asked = {target.python for target in wanted.targets()}
    return sorted(found | asked, key=lambda python: tuple(map(int, python.split("."))))
