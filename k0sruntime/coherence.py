"""The coherence gate: who makes cgroups with which driver, and whether all of them agree.

Pods fail where the kubelet names cgroups in one way and the runtime makes them in another: Docker
and runc refuse a parent that is no slice. Kubelets from 1.31 on ask the CRI (``RuntimeConfig``;
gate ``KubeletCgroupDriverFromCRI``) and take its answer; older ones, and all where the CRI does not
tell, take their own configuration, whose default is ``cgroupfs``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.contributions import Check
from k0sruntime.node import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k0sruntime.contributions import Verdict
    from k0sruntime.node import Files
    from k0sruntime.paths import Paths

ASKS_CRI = Version(1, 31)
"""The first kubelet that asks the CRI unless it is told not to."""
DEFAULT = "cgroupfs"
"""What a kubelet takes whose configuration says nothing."""
RUNC = "io.containerd.runc.v2"
VERDICT = "cgroup drivers agree"
SERVES_NONE = "it serves no RuntimeConfig"
TWO_HANDS = "two hands would manage one tree of cgroups, which fails under load"


@dataclass(frozen=True)
class Told:
    """One that makes cgroups, or names them: its driver, and whose it is.

    Attributes:
        name: such as ``handler nvidia`` or ``docker``.
        driver: ``systemd`` or ``cgroupfs``.
        ours: it is for us to correct; a foreign one is told and takes nothing back.
    """

    name: str
    driver: str
    ours: bool = True


@dataclass(frozen=True)
class Drivers:
    """Everything that is known of cgroup drivers on a node.

    Attributes:
        kubernetes: k0s's Kubernetes line; ``None`` where there is no k0s.
        cri: what ``RuntimeConfig`` answers; empty where the CRI does not tell.
        profile: ``cgroupDriver`` of the worker profile; empty where it says nothing.
        kubelet: ``cgroupDriver`` of the kubelet that runs, out of its configuration file.
        makers: the low-level runtimes, or the daemon behind the CRI.
        silent: why the CRI does not tell, as a clause.
        failed: with what ``RuntimeConfig`` fails, if it does.
    """

    kubernetes: Version | None = None
    cri: str = ""
    profile: str = ""
    kubelet: str = ""
    makers: tuple[Told, ...] = ()
    silent: str = SERVES_NONE
    failed: str = ""

    @property
    def taken(self) -> str:
        """The driver that the kubelet takes."""
        if self.cri and (self.kubernetes is None or self.kubernetes >= ASKS_CRI):
            return self.cri
        return self.profile or self.kubelet or DEFAULT

    @property
    def fatal(self) -> bool:
        """The kubelet asks the CRI, and does not start with what it gets."""
        asks = self.kubernetes is None or self.kubernetes >= ASKS_CRI
        return bool(self.failed) and asks

    @property
    def why(self) -> str:
        """Why it takes that one, as a clause."""
        line = f"Kubernetes {_line(self.kubernetes)}" if self.kubernetes else "a kubelet"
        if self.cri and (self.kubernetes is None or self.kubernetes >= ASKS_CRI):
            return f"{line} takes the CRI's" + ("" if self.kubernetes else " from 1.31 on")
        reason = "does not ask the CRI" if self.cri else "is not told by the CRI"
        source = "its worker profile" if self.profile else "its configuration"
        return f"{line} {reason}, and takes what {source} says"


def table(drivers: Drivers) -> tuple[Check, ...]:
    """Return the table: a row for everyone that says something, and the verdict at its end."""
    rows = [_row(told, drivers) for told in drivers.makers]
    rows.append(_cri(drivers))
    if drivers.profile:
        name = "cgroup driver of the profile"
        rows.append(Check(name=name, verdict="pass", detail=drivers.profile))
    if not drivers.fatal:
        kubelet = f"{drivers.taken}: {drivers.why}"
        rows.append(Check(name="cgroup driver of the kubelet", verdict="pass", detail=kubelet))
    return (*rows, _verdict(drivers))


def _cri(drivers: Drivers) -> Check:
    name = "cgroup driver of the CRI"
    if drivers.failed:
        return Check(name=name, verdict="warn", detail=f"it fails when asked: {drivers.failed}")
    told = drivers.cri or f"it does not tell: {drivers.silent}"
    return Check(name=name, verdict="pass", detail=told)


def _row(told: Told, drivers: Drivers) -> Check:
    agrees = told.driver == drivers.taken
    verdict: Verdict = "pass" if agrees else "warn"
    return Check(name=f"cgroup driver of {told.name}", verdict=verdict, detail=told.driver)


def _verdict(drivers: Drivers) -> Check:
    if drivers.fatal:
        return _not_asked(drivers)
    wrong = [told for told in drivers.makers if told.driver != drivers.taken]
    behind = [told for told in drivers.makers if not told.name.startswith("handler ")]
    stale = [told for told in behind if drivers.cri and told.driver != drivers.cri]
    if stale:
        detail = f"the CRI says {drivers.cri}, and {stale[0].name} behind it uses {stale[0].driver}"
        remedy = f"Restart what serves the CRI: it asks {stale[0].name} only when it starts."
        return Check(name=VERDICT, verdict="fail", detail=detail, remedy=remedy)
    if wrong:
        names = ", ".join(f"{told.name} {told.driver}" for told in wrong)
        what = "pods would fail" if drivers.taken == DEFAULT else TWO_HANDS
        detail = f"the kubelet takes {drivers.taken} ({drivers.why}), and {names}: {what}"
        certain = drivers.kubernetes is not None and any(_stops(told, drivers) for told in wrong)
        return Check(
            name=VERDICT,
            verdict="fail" if certain else "warn",
            detail=detail,
            remedy=_remedy(drivers, wrong[0]),
        )
    if drivers.profile and drivers.cri and drivers.profile != drivers.cri:
        detail = f"the CRI uses {drivers.cri}, the worker profile says {drivers.profile}"
        remedy = f"Take cgroupDriver out of the profile, or write {drivers.cri}."
        return Check(name=VERDICT, verdict="warn", detail=detail, remedy=remedy)
    if not drivers.makers and not drivers.cri:
        detail = f"the kubelet takes {drivers.taken}, and nobody says who makes cgroups how"
        remedy = f"See that the runtime behind the CRI uses {drivers.taken}."
        return Check(name=VERDICT, verdict="unknown", detail=detail, remedy=remedy)
    return Check(name=VERDICT, verdict="pass", detail=f"all take {drivers.taken}")


def _not_asked(drivers: Drivers) -> Check:
    """A kubelet goes on where ``RuntimeConfig`` is not served; with another error it ends.

    Source: Kubernetes ``pkg/kubelet/kubelet.go``, which asks three times.
    """
    line = f"Kubernetes {_line(drivers.kubernetes)}" if drivers.kubernetes else "one from 1.31 on"
    return Check(
        name=VERDICT,
        verdict="fail" if drivers.kubernetes else "warn",
        detail=f"the kubelet of {line} does not start where RuntimeConfig fails ({drivers.failed})",
        remedy="See the log of what serves the CRI, and restart it.",
    )


def _stops(told: Told, drivers: Drivers) -> bool:
    """Tell whether a difference must not be applied.

    A runtime of systemd's refuses a parent that is no slice. The other way round pods run, as they
    do under k0s's own runc where the kubelet was told systemd: that is told.
    """
    return told.ours and (drivers.taken == DEFAULT or not told.name.startswith("handler "))


def _remedy(drivers: Drivers, wrong: Told) -> str:
    if wrong.name.startswith("handler "):
        word = "true" if drivers.taken == "systemd" else "false"
        return f"Set SystemdCgroup = {word} for {wrong.name}, as for all other handlers of runc's."
    return (
        f"Give the kubelet a worker profile with cgroupDriver: {wrong.driver}, or change the driver"
        f" of {wrong.name} to {drivers.taken}."
    )


def _line(version: Version | None) -> str:
    return f"{version.major}.{version.minor}" if version else ""


def makers_of(runtimes: Iterable[tuple[str, Mapping[str, Any], bool]]) -> tuple[Told, ...]:
    """Return the drivers of containerd's handlers, those of runc's shim.

    Args:
        runtimes: name, table and whether it is ours. Without a table of its own only runc is
            known: containerd brings it, with cgroupfs.
    """
    found = []
    for name, table_, ours in runtimes:
        options = table_.get("options")
        if (not table_ and name != "runc") or table_.get(
            "runtime_type", RUNC if name == "runc" else ""
        ) != RUNC:
            continue
        systemd = isinstance(options, dict) and options.get("SystemdCgroup") is True
        found.append(Told(f"handler {name}", "systemd" if systemd else DEFAULT, ours))
    return tuple(found)


def kubelet_says(files: Files, paths: Paths) -> str:
    """Return the cgroup driver that the kubelet's configuration file has; empty where none does."""
    data = files.read(f"{paths.run}/kubelet/config.yaml") or b""
    found = re.search(rb'^"?cgroupDriver"?:\s*"?(systemd|cgroupfs)\b', data, re.MULTILINE)
    return found[1].decode() if found else ""
