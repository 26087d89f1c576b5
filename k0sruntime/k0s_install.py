"""Runs the ``k0s install --force`` that a node needs, after somebody has said yes.

What can be refused is refused before anything is changed (``judge``). The command gets through
whatever signal comes meanwhile, and the service is put back where it fails (``service_copy``). k0s
is not restarted: that is for its operator to time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import kubectl, service_copy
from k0sruntime.compose import k0s_unit
from k0sruntime.compose.cri_flag import FLAG
from k0sruntime.deferred import deferred
from k0sruntime.errors import Problem, RefusedError, RolledBackError
from k0sruntime.ledger import State
from k0sruntime.lock import locked
from k0sruntime.programs import begin
from k0sruntime.real_files import RealFiles

if TYPE_CHECKING:
    from k0sruntime.compose.k0s import Told
    from k0sruntime.compose.k0s_unit import Service
    from k0sruntime.node import Node
    from k0sruntime.programs import Answer
    from k0sruntime.service_copy import Copy
    from k0sruntime.stages import Prepared, Request, Story

INSTALL_SECONDS = 60.0
TAIL = 300
BUILT_IN = ("default", "default-windows")
"""Worker profiles that every cluster has (k0s ``pkg/component/controller/workerconfig``)."""


def judge(prepared: Prepared, story: Story) -> None:
    """Stop before anything is changed where k0s could not be told, or would not start.

    Raises:
        RefusedError: the command cannot be run or would come to nothing, or the cluster has no
            such worker profile.
    """
    told = prepared.composition.k0s_told
    if not told.lines:
        return
    _refuse(told)
    if told.profile and told.profile not in BUILT_IN:
        _refuse_profile(told.profile, prepared.node, story)


def _refuse(told: Told) -> None:
    service = told.service
    if service is None or not service.path:
        raise RefusedError(
            Problem(
                "k0s is not installed as a service here, so there are no flags to build on",
                place="--apply-k0s",
                remedy="Run up without --apply-k0s, then the line that it prints, with the flags"
                " that your node needs.",
            )
        )
    if service.overridden_by:
        what = "adds flags that win" if service.added else "sets ExecStart"
        raise RefusedError(
            Problem(
                f"a file beside the service {what}, so that k0s install would come to nothing",
                place=service.overridden_by,
                culprit="a foreign file",
                remedy="Take that line out, or correct the flags there by hand.",
            )
        )


def _refuse_profile(name: str, node: Node[Any], story: Story) -> None:
    """Ask the cluster for a worker profile: k0s reads it from a ConfigMap of its own line."""
    version = node.k0s_installed or (node.k0s.version if node.k0s else None)
    line = f"-{version.major}.{version.minor}" if version else ""
    there = f"worker-config-{name}{line}"
    found, why = kubectl.get(kubectl.command(node), "configmap", there, "--namespace=kube-system")
    if found is not None:
        return
    export = "k0sruntime export k0s-config --into k0s.yaml, then restart the controllers"
    if "notfound" in why.lower().replace(" ", ""):
        raise RefusedError(
            Problem(
                f"the cluster has no worker profile {name!r}: a worker does not start with it",
                place=f"configmap {there} in kube-system",
                culprit="the cluster's configuration",
                remedy=f"Bring it in first: {export}.",
            )
        )
    story.say(
        f"whether the cluster has the worker profile {name!r} could not be asked"
        f" ({why or 'no kubeconfig is at hand'}); a worker does not start with one that is missing."
        f" Before k0s is restarted: {export}"
    )


def install(told: Told, request: Request, story: Story) -> str:
    """Run the command and see that it did what it was for; return what restarts k0s.

    Raises:
        RolledBackError: it failed, and the service is as it was.
        RollbackFailedError: it failed, and the service could not be put back.
    """
    if told.service is None or not told.words:
        return ""
    try:
        with locked(request.paths, request.lock_timeout, story.say), deferred():
            with story.stage("k0s install") as tell:
                _install(told, told.service, request)
                tell(told.service.path)
            if not socket_named(told):
                State(request.paths).forget_profile()
    except RefusedError as exc:  # too late to refuse: our own generation is applied
        message = "k0s was not told, and its service is as it was"
        problem = Problem(message, told.service.path, remedy=f"Run it by hand: {told.lines[0]}")
        raise RolledBackError(problem, *exc.problems) from exc
    return told.service.restart


def _install(told: Told, service: Service, request: Request) -> None:
    paths = request.paths
    copy = service_copy.made(service, told.words, paths)
    wrong = "it was not run to its end"
    try:
        wrong = _wrong(told, copy, request, _run(told, copy, request))
    finally:
        if wrong and copy:
            service_copy.put_back(copy, paths)
    service_copy.drop(paths)
    if wrong:
        raise RolledBackError(
            Problem(
                f"k0s install failed, and its service is as it was: {wrong}",
                place=service.path,
                culprit="k0s",
                remedy=f"Run it by hand: {told.lines[0]}",
            )
        )


def _run(told: Told, copy: Copy | None, request: Request) -> Answer:
    """Run it in a session of its own: Ctrl-C at our terminal is not for it."""
    asked = begin(told.words, INSTALL_SECONDS, session=True)
    if copy and asked.pid:
        service_copy.at_work(copy, asked.pid, request.paths)
    return asked.answer()


def socket_named(told: Told) -> str:
    """Return the CRI socket that the command names; empty for k0s's own."""
    return next((w.partition("=")[2] for w in told.words if w.startswith(f"{FLAG}=")), "")


def _wrong(told: Told, copy: Copy | None, request: Request, answer: Answer) -> str:
    """Return why the command did not do what it was for, or nothing."""
    if answer.status:
        said = " ".join((answer.errors or answer.output).split())[-TAIL:]
        return said or f"exit status {answer.status}"
    found = k0s_unit.installed(RealFiles(request.paths), request.paths)
    if found is None:
        return "it says that it is done, and there is no service"
    if lost := k0s_unit.lost(told.words, found):
        return f"it says that it is done, and the service does not have {k0s_unit.shown(lost)}"
    if copy and (links := service_copy.missing_links(copy, request.paths)):
        return f"it says that it is done, and nothing starts the service at boot: no {links[0]}"
    return ""
