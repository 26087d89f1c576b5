"""Last stage: the layers of the proof, up to a real sandbox under every handler.

A layer gives verdicts, never exceptions. ``RuntimeReady`` and a listed handler prove little: only
RunPodSandbox finds a shim that is not there. Every call is bounded in time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from k0sruntime import coherence, masking
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.layers import leaves
from k0sruntime.contributions import Check
from k0sruntime.errors import CRIError
from k0sruntime.proof import Proven, Target, failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from k0sruntime.compose import Handler
    from k0sruntime.cri import CRI
    from k0sruntime.node import Node

ANSWER_SECONDS = 2.0
"""A CRI that runs answers at once; a busy machine may need more than one attempt."""
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
"""``e_machine`` of an ELF header by architecture (elf.h)."""


def verify(
    target: Target, node: Node[Any], cri: CRI, checks: Sequence[Callable[[CRI], list[Proven]]] = ()
) -> list[Proven]:
    """Run all layers in order; the providers' checks come last."""
    proofs = list(_ready(cri))
    if failures(proofs):  # nothing that comes after could tell more
        return proofs
    cri.remove_leftovers()
    proofs += [*_listed(target, cri), *_configured(target, cri)]
    unfit = list(_programs(target, node))
    proofs += unfit
    told = {proof.handler for proof in unfit}
    missing = _missing_image(target, cri) if node.offline else ""
    for handler in target.handlers:
        if handler.name not in told:
            proofs.append(_not_run(handler, missing) if missing else _sandbox(handler, cri))
    own = [proof for check in checks for proof in check(cri)]
    proofs += _coherence(target, node, cri, own)
    return [*proofs, *(proof for proof in own if not proof.check.cgroup_driver)]


def _ready(cri: CRI) -> Iterator[Proven]:
    try:
        cri.wait(ANSWER_SECONDS, lambda: True)
        name, version = cri.runtime()
        ready, message = cri.conditions().get("RuntimeReady", (False, "not told"))
    except CRIError as exc:
        yield _node("CRI answers", "fail", f"{exc.code}: {exc}")
        return
    verdict = "pass" if ready else "fail"
    yield _node("CRI answers", verdict, f"{name} {version}" if ready else message)


def _listed(target: Target, cri: CRI) -> Iterator[Proven]:
    try:
        known = set(cri.handlers()) or set(_config(cri, "containerd", "runtimes"))
    except CRIError as exc:
        yield _node("handlers listed", "unknown", f"{exc.code}: {exc}")
        return
    for handler in target.handlers:
        if handler.name not in known:
            detail = f"containerd lists {', '.join(sorted(known)) or 'none'}"
            remedy = "Look for its drop-in in containerd's log and with k0sruntime plan."
            yield _of(handler, "handler listed", "fail", detail, remedy)


def _config(cri: CRI, *path: str) -> dict[str, Any]:
    found: Any = cri.config()
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _configured(target: Target, cri: CRI) -> Iterator[Proven]:
    """Compare what the files come to with what the running CRI says it was configured with."""
    try:
        config = _folded(cri.config())
    except CRIError as exc:
        yield _node("effective configuration", "unknown", f"{exc.code}: {exc}")
        return
    if not config:
        yield _node(
            "effective configuration", "unknown", "this CRI does not tell its configuration"
        )
        return
    wanted, _ = schema_.cri_tables(target.effective, target.schema)
    compared = 0
    for path, value in leaves(wanted):
        found = _lookup(config, path)
        if found is None:
            continue  # a key that CRI does not tell, such as those of the images table
        compared += 1
        if found != _plain(value):
            is_, was = masking.value(path, found), masking.value(path, value)
            detail = f"{'.'.join(path)} is {is_!r}, composed was {was!r}"
            yield _node("effective configuration", "fail", detail)
    yield _node(
        "effective configuration", "pass", f"{compared} keys over CRI equal the composition"
    )


def _coherence(target: Target, node: Node[Any], cri: CRI, told: Sequence[Proven]) -> list[Proven]:
    """Bring all cgroup drivers into one table, those that providers found included."""
    behind = [
        coherence.Told(proof.check.name, proof.check.cgroup_driver)
        for proof in told
        if proof.check.cgroup_driver
    ]
    driver, silent, failed = "", "", ""
    try:
        driver, silent = cri.cgroup_driver()
    except CRIError as exc:
        failed = f"{exc.code}: {exc}"
    drivers = coherence.Drivers(
        kubernetes=node.k0s.version if node.k0s else None,
        cri=driver,
        silent=silent,
        failed=failed,
        profile=target.cgroup_driver,
        kubelet=coherence.kubelet_says(node.files, node.paths),
        makers=(*behind, *coherence.makers_of(handlers_said(target.handlers))),
    )
    return [Proven("node", check) for check in coherence.table(drivers)]


def handlers_said(handlers: Iterable[Handler]) -> list[tuple[str, Any, bool]]:
    """Return what the coherence gate asks of handlers: name, table, and whether it is ours."""
    return [(h.name, h.table, not h.owner.startswith("/")) for h in handlers]


def _folded(value: Any) -> Any:
    """Fold key spellings: ``enable_cdi`` in TOML is ``enableCDI`` in CRI's JSON."""
    if isinstance(value, dict):
        return {_fold(key): _folded(inner) for key, inner in value.items()}
    return value


def _fold(key: str) -> str:
    return key.replace("_", "").lower()


def _lookup(config: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(config, dict):
            return None
        config = config.get(_fold(part))
    return config


def _plain(value: Any) -> Any:
    return _folded(dict(value)) if isinstance(value, dict) else value


def _programs(target: Target, node: Node[Any]) -> Iterator[Proven]:
    for handler in target.handlers:
        for path in (*handler.programs, *_shims(handler, node)):
            if problem := _unfit(path, node):
                remedy = (
                    f"Install {path.rpartition('/')[2]} for {node.arch}, or take the handler out."
                )
                yield _of(handler, "program", _weight(handler), problem, remedy)


def _shims(handler: Handler, node: Node[Any]) -> list[str]:
    """Return the shim's path, or its bare name where it is on no folder of containerd's PATH."""
    if path := handler.table.get("runtime_path"):
        return [str(path)]
    kind = str(handler.table.get("runtime_type", "io.containerd.runc.v2"))
    if kind.startswith("/"):
        return [kind]
    name = "containerd-shim-" + "-".join(kind.split(".")[-2:])
    beside = node.containerd.path.rpartition("/")[0] if node.containerd else ""
    found = node.which(name)
    if found is None and beside and node.files.is_executable(f"{beside}/{name}"):
        found = f"{beside}/{name}"
    return [found or name]


def _unfit(path: str, node: Node[Any]) -> str:
    """Return why a program cannot run here, or nothing."""
    if not path.startswith("/"):
        found = node.which(path)
        if found is None:
            return f"{path} is on no folder of containerd's PATH"
        path = found
    if not node.files.exists(path):
        return f"{path} is not there"
    if not node.files.is_executable(path):
        return f"{path} is not executable for everybody"
    head = (node.files.read(path) or b"")[:20]
    machine = int.from_bytes(head[18:20], "little")
    if head[:4] == b"\x7fELF" and machine != ELF_MACHINES.get(node.arch, machine):
        return f"{path} is built for another architecture than {node.arch}"
    return ""


def _missing_image(target: Target, cri: CRI) -> str:
    """Return the sandbox image where containerd would have to pull it."""
    _, images = schema_.cri_tables(target.effective, target.schema)
    pinned = images.get("pinned_images")
    found = pinned.get("sandbox") if isinstance(pinned, dict) else images.get("sandbox_image")
    try:
        return str(found) if found and not cri.has_image(str(found)) else ""
    except CRIError:
        return ""


def _not_run(handler: Handler, image: str) -> Proven:
    detail = f"the sandbox image {image} is not at hand, and --offline pulls none"
    remedy = "Put an image bundle into k0s's images folder."
    return _of(handler, "sandbox", "unknown", detail, remedy)


def _sandbox(handler: Handler, cri: CRI) -> Proven:
    started = time.monotonic()
    try:
        cri.prove_sandbox(handler.name)
    except CRIError as exc:
        seconds = time.monotonic() - started
        if "sandbox image" in str(exc):
            remedy = "Put an image bundle into k0s's images folder, or set [node] pause_image."
            return _of(handler, "sandbox", "unknown", str(exc), remedy, seconds)
        return _of(handler, "sandbox", _weight(handler), str(exc), seconds=seconds)
    seconds = time.monotonic() - started
    return _of(handler, "sandbox", "pass", "ran and was removed", seconds=seconds)


def _weight(handler: Handler) -> Any:
    """A foreign handler that does not run is told, and takes nothing of ours back."""
    return "warn" if handler.owner.startswith("/") else "fail"


def _of(
    handler: Handler, name: str, verdict: Any, detail: str, remedy: str = "", seconds: float = 0.0
) -> Proven:
    check = Check(name=name, verdict=verdict, detail=detail, remedy=remedy)
    return Proven(handler.owner, check, handler.name, seconds)


def _node(name: str, verdict: Any, detail: str) -> Proven:
    return Proven("node", Check(name=name, verdict=verdict, detail=detail))
