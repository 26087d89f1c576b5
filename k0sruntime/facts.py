"""The facts of the node: its programs and their versions, GPUs, cgroups, capabilities.

The only programs started are ``k0s version``, ``k0s status`` and ``containerd --version``, each
with a time limit; they answer while other things go on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import host, k0s_service, whose_cri
from k0sruntime.compose import k0s_unit
from k0sruntime.compose.schema import FIRST_NATIVE_K0S
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.node import GPU, Node, Program, Version
from k0sruntime.processes import alive, identity
from k0sruntime.programs import Asked, ask, begin
from k0sruntime.real_files import RealFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    from k0sruntime.node import Mode
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.paths import Paths

VERSION_SECONDS = 10.0
STATUS_SECONDS = 3.0
"""``k0s status`` may wait minutes for a worker that is not ready; its facts are not worth that."""
CAP_SYS_RESOURCE = 24
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Programs:
    """The node's k0s and containerd, asked for their versions, which may still be on their way."""

    search: tuple[str, ...]
    k0s: tuple[str, Asked] | None
    containerd: tuple[str, Asked | Version] | None
    status: Asked | None = None
    """``k0s status``, where there is a k0s that may run."""


def ask_programs(paths: Paths, settings: NodeSettings) -> Programs:
    """Find k0s and containerd and ask for their versions, without waiting for the answers."""
    files = RealFiles(paths)
    search = _search_path(paths, settings)
    k0s = "" if settings.k0s else _first(files, search, "k0s")
    containerd = settings.containerd or _first(files, search, "containerd")
    known = _known_version(paths, containerd) if containerd else None
    return Programs(
        search,
        (k0s, begin([paths.on_disk(k0s), "version"], VERSION_SECONDS)) if k0s else None,
        (containerd, known or begin([paths.on_disk(containerd), "--version"], VERSION_SECONDS))
        if containerd
        else None,
        begin(_status_command(k0s, paths), STATUS_SECONDS) if k0s and not paths.elsewhere else None,
    )


def _status_command(k0s: str, paths: Paths) -> list[str]:
    elsewhere = [f"--status-socket={paths.run}/status.sock"] if paths.sandbox else []
    return [k0s, "status", "--out=json", *elsewhere]


def observe_node(
    paths: Paths, settings: NodeSettings, programs: Programs, mode: Mode | None = None
) -> Node[Any]:
    """Gather the facts of the node.

    Raises:
        RefusedError: a containerd or k0s that the operator named does not answer.
    """
    files = RealFiles(paths)
    no_kvm = "" if paths.elsewhere else host.kvm_problem(paths.root)
    installed = _k0s(programs, settings, paths)
    asked: Mode | None = mode or (None if settings.mode == "auto" else settings.mode)
    mode = asked or _mode(paths, installed)
    service = None
    if installed and programs.status and mode != "standalone":
        service = k0s_service.read(programs.status.answer(), installed.version, paths)
    if service and (data := service.flag("--data-dir")):
        paths = replace(paths, data=data)
        programs = _elsewhere(programs, files, settings, paths)
    k0s = installed._replace(version=service.version) if installed and service else installed
    containerd = _containerd(programs, settings, paths)
    if containerd and k0s and mode == "managed" and _of_another_line(containerd, k0s, paths):
        containerd = None
    node: Node[Any] = Node(
        None,
        files,
        paths=paths,
        arch=host.machine(paths.root),
        containerd=containerd,
        k0s=k0s,
        k0s_installed=installed.version if installed else None,
        k0s_service=service,
        mode=mode,
        scheme=None if settings.scheme == "auto" else settings.scheme,
        search_path=programs.search,
        gpus=() if paths.elsewhere else _gpus(files),
        kernel=None if paths.elsewhere else host.kernel(paths.root),
        kvm=files.exists(host.KVM) and not no_kvm,
        kvm_problem=no_kvm,
        cgroups=2 if paths.elsewhere else _cgroups(files),
        can_lower_oom_score=paths.elsewhere or _has_capability(CAP_SYS_RESOURCE),
        probe_image=settings.probe_image,
        offline=settings.downloads.offline,
        json_files=tuple(settings.json_files),
        os_release=_os_release(files),
    )
    applied = State(paths).ledger().cri
    return replace(node, other_cri=whose_cri.in_use(k0s_unit.find(node), applied, paths))


def _elsewhere(
    programs: Programs, files: RealFiles, settings: NodeSettings, paths: Paths
) -> Programs:
    """Look for containerd below the data folder that k0s was started with (``--data-dir``)."""
    search = tuple(dict.fromkeys((*settings.path, paths.bin, *programs.search)))
    found = settings.containerd or _first(files, search, "containerd")
    if not found or (programs.containerd and programs.containerd[0] == found):
        return replace(programs, search=search)
    return replace(
        programs, search=search, containerd=(found, begin([found, "--version"], VERSION_SECONDS))
    )


def _mode(paths: Paths, k0s: Program | None) -> Mode:
    """A sandbox is always ours to run; elsewhere k0s runs containerd where there is a k0s."""
    return "managed" if k0s and not paths.sandbox else "standalone"


def _search_path(paths: Paths, settings: NodeSettings) -> tuple[str, ...]:
    path = DEFAULT_PATH if paths.elsewhere else os.environ.get("PATH", DEFAULT_PATH)
    before = State(paths).running()
    known = before.search_path if before else ()
    folders = (*settings.path, paths.bin, *path.split(":"), *known)
    return tuple(dict.fromkeys(folder for folder in folders if folder.startswith("/")))


def _k0s(programs: Programs, settings: NodeSettings, paths: Paths) -> Program | None:
    if settings.k0s:
        version = Version.parse(settings.k0s)  # the settings refuse what is none
        return Program("", version) if version else None
    if programs.k0s is None:
        return None
    path, asked = programs.k0s
    version = _version(asked) or _version_inside(paths, path, "version")
    if version is None and paths.root != "/":  # standalone mode would be the wrong guess
        raise RefusedError(
            Problem(
                "the image's k0s does not run on this machine, so its version is not known",
                place=path,
                remedy='Name its line in the settings: [node] k0s = "1.36".',
            )
        )
    return Program(path, version) if version else None


def _containerd(programs: Programs, settings: NodeSettings, paths: Paths) -> Program | None:
    if programs.containerd is None:
        return None
    path, answer = programs.containerd
    version = answer if isinstance(answer, Version) else _version(answer)
    version = version or _version_inside(paths, path, "--version")
    if version is None and settings.containerd:
        raise RefusedError(
            Problem(
                f"{path} does not answer --version",
                place="[node] containerd",
                remedy="Name a containerd that runs on this machine.",
            )
        )
    return Program(path, version) if version else None


def _of_another_line(containerd: Program, k0s: Program, paths: Paths) -> bool:
    """Tell whether k0s will put its own in this containerd's place, of another series.

    k0s unpacks its programs when it starts: after an upgrade the old ones lie there until then.
    """
    own = os.path.dirname(containerd.path) == paths.bin
    return own and (containerd.version >= (2,)) != (k0s.version >= FIRST_NATIVE_K0S)


def _known_version(paths: Paths, path: str) -> Version | None:
    """Return the version of the containerd that runs, if it is still this very file."""
    running = State(paths).running()
    if running is None or running.binary != identity(path) or not alive(running):
        return None
    return Version.parse(running.version)


def _first(files: RealFiles, search: Iterable[str], name: str) -> str:
    return next((p for f in search if files.is_executable(p := f"{f}/{name}")), "")


def _version(asked: Asked) -> Version | None:
    answer = asked.answer()
    return Version.parse(answer.output) if answer.status == 0 else None


def _version_inside(paths: Paths, path: str, argument: str) -> Version | None:
    """Ask a program of an image for its version with the image's own libraries."""
    if paths.root == "/":
        return None
    answer = ask(["chroot", paths.root, path, argument], VERSION_SECONDS)
    return Version.parse(answer.output) if answer.status == 0 else None


def _gpus(files: RealFiles) -> tuple[GPU, ...]:
    """Return display controllers (0x03) and accelerators (0x12) on the PCI bus, without NVML."""
    found = []
    base = "/sys/bus/pci/devices"
    for address in files.names(base):
        device_class = _hex(files, f"{base}/{address}/class") >> 8
        if device_class >> 8 in (0x03, 0x12):
            driver = _driver(files, f"{base}/{address}/driver")
            vendor = _hex(files, f"{base}/{address}/vendor")
            version = files.read(f"/sys/module/{driver}/version") if driver else None
            said = (version or b"").decode(errors="replace").strip()
            found.append(GPU(address, vendor, device_class, driver, said))
    return tuple(found)


def _driver(files: RealFiles, path: str) -> str:
    """Return the name of the bound driver: the kernel links it, by its folder's name."""
    try:
        return os.path.basename(os.readlink(files.paths.on_disk(path)))
    except OSError:
        return ""


def _hex(files: RealFiles, path: str) -> int:
    data = files.read(path) or b"0"
    try:
        return int(data.strip(), 16)
    except ValueError:
        return 0


def _cgroups(files: RealFiles) -> Literal[1, 2]:
    return 2 if files.exists("/sys/fs/cgroup/cgroup.controllers") else 1


def _has_capability(number: int) -> bool:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> number & 1)
    return True


def _os_release(files: RealFiles) -> Mapping[str, str]:
    text = (files.read("/etc/os-release") or b"").decode(errors="replace")
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, value in pairs}
