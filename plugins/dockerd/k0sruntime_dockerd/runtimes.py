"""Handlers under Docker: its ``runtimes``, which cri-dockerd 0.4.0 and 0.4.1 serve by their names.

Docker reads them again on SIGHUP, and judges a file with ``dockerd --validate``. It does not start
where a key is both in the file and among its flags. Source: dockerd(8), moby ``daemon/config``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import JSONKeys, Problem, Refused, unit_command, unit_values
from k0sruntime_dockerd.settings import EXAMPLES

if TYPE_CHECKING:
    from k0sruntime import Node
    from k0sruntime_dockerd.settings import DockerdSettings, RuntimeSettings

FLAG = "--add-runtime"
PID_FILE = "/var/run/docker.pid"
MACHINES_OWN = (PID_FILE, "/run/docker.pid")
RESERVED = ("runc", "docker")
"""Docker's own, and what cri-dockerd takes for no handler at all."""


def keys(node: Node[DockerdSettings]) -> JSONKeys:
    """Return what Docker's configuration file must have.

    Raises:
        Refused: names that are taken, programs that are not there, flags that exclude it.
    """
    settings = node.settings
    problems = [*_names(settings), *_programs(node), *_flags(node)]
    if node.paths.sandbox and settings.daemon_json == EXAMPLES["daemon_json"]:
        message = "a sandbox does not edit this machine's own Docker"
        problems.append(Problem(message, remedy="Name another file in daemon_json."))
    if node.paths.sandbox and settings.pid_file in MACHINES_OWN:
        message = "a sandbox does not signal this machine's own Docker"
        problems.append(Problem(message, remedy="Name another file in pid_file."))
    if problems:
        raise Refused(*problems)
    dockerd = node.which("dockerd")
    pid_file = settings.pid_file or ("" if node.paths.sandbox else PID_FILE)
    return JSONKeys(
        path=settings.daemon_json,
        keys={"runtimes": {name: _entry(r) for name, r in settings.runtimes.items()}},
        check=[dockerd, "--validate", "--config-file={file}"] if dockerd else [],
        daemon="dockerd" if pid_file else "",
        pid_file=pid_file,
    )


def _entry(runtime: RuntimeSettings) -> dict[str, Any]:
    if runtime.path:
        return {"path": runtime.path, **({"runtimeArgs": runtime.args} if runtime.args else {})}
    options = {"options": runtime.options} if runtime.options else {}
    return {"runtimeType": runtime.runtime_type, **options}


def _names(settings: DockerdSettings) -> list[Problem]:
    return [
        Problem(
            f"a runtime cannot be called {name!r}: that is Docker's own",
            place=f"[dockerd.runtimes.{name}]",
            remedy="Give it another name.",
        )
        for name in settings.runtimes
        if name in RESERVED
    ]


def _programs(node: Node[DockerdSettings]) -> list[Problem]:
    problems = []
    for name, runtime in node.settings.runtimes.items():
        path = runtime.path or runtime.runtime_type
        if path.startswith("/") and not node.files.is_executable(path):
            message = f"{path} is not there, or not executable for everybody"
            remedy = "Install it, or correct the path."
            problems.append(Problem(message, f"[dockerd.runtimes.{name}]", remedy=remedy))
    return problems


def _flags(node: Node[DockerdSettings]) -> list[Problem]:
    lines = unit_values(node.files, "docker.service", "Service", "ExecStart")
    words = unit_command(lines[-1].text) if lines else []
    if not any(word.partition("=")[0] == FLAG for word in words):
        return []
    return [
        Problem(
            f"Docker is started with {FLAG}, and does not start with runtimes in its file as well",
            place=lines[-1].path,
            remedy=f"Move what {FLAG} says to {node.settings.daemon_json}.",
        )
    ]
