"""Reading the machine: facts for the node, foreign files, and what of ours lies on disk.

Nothing here writes. The only programs started are ``k0s version`` and ``containerd --version``,
each with a time limit.
"""

from __future__ import annotations

import os
import platform
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose import Existing, main_file
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.node import GPU, Node, Paths, Program, Version
from k0sruntime.plan import FileState, Observed, Running
from k0sruntime.programs import Asked, begin
from k0sruntime.settings import SettingsFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    from k0sruntime.compose import Composition
    from k0sruntime.node import Mode
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.plan import Ledger

VERSION_SECONDS = 10.0
CAP_SYS_RESOURCE = 24
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LARGEST = 16 << 20
"""No configuration file is larger than this; reading stops there."""


@dataclass(frozen=True)
class RealFiles:
    """The files of the node whose ``/`` lies at ``paths.root``."""

    paths: Paths

    def exists(self, path: str) -> bool:
        """Tell whether ``path`` is there, whatever it is."""
        return os.path.lexists(self.paths.on_disk(path))

    def is_socket(self, path: str) -> bool:
        """Tell whether ``path`` is a Unix socket."""
        mode = self._mode(path)
        return mode is not None and stat.S_ISSOCK(mode)

    def is_executable(self, path: str) -> bool:
        """Tell whether ``path`` is a regular file that everybody may execute."""
        mode = self._mode(path)
        return mode is not None and stat.S_ISREG(mode) and bool(mode & 0o001)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, or ``None`` where it is missing or unreadable."""
        try:
            with open(self.paths.on_disk(path), "rb") as file:
                return file.read(LARGEST)
        except OSError:
            return None

    def names(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder; empty where there is none."""
        try:
            return tuple(sorted(os.listdir(self.paths.on_disk(path))))
        except OSError:
            return ()

    def _mode(self, path: str) -> int | None:
        try:
            return os.stat(self.paths.on_disk(path)).st_mode
        except OSError:
            return None


def read_settings(paths: Paths, path: str = "") -> SettingsFile:
    """Read the settings file; one that is not there is empty, unless it was named.

    Raises:
        RefusedError: unreadable, or not TOML.
    """
    where = path or paths.settings
    on_disk = path or paths.on_disk(paths.settings)
    try:
        with open(on_disk, "rb") as file:
            data = file.read(LARGEST)
    except FileNotFoundError:
        if path:
            raise RefusedError(Problem("no such settings file", place=path)) from None
        return SettingsFile(where, {})
    except OSError as exc:
        raise RefusedError(
            Problem(f"the settings file cannot be read: {exc.strerror}", place=where)
        ) from exc
    from k0sruntime import toml

    return SettingsFile(where, toml.load(data, where))


@dataclass(frozen=True)
class Programs:
    """The node's k0s and containerd, asked for their versions, which may still be on their way."""

    search: tuple[str, ...]
    k0s: tuple[str, Asked] | None
    containerd: tuple[str, Asked | Version] | None


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
    )


def observe_node(
    paths: Paths, settings: NodeSettings, programs: Programs, mode: Mode | None = None
) -> Node[Any]:
    """Gather the facts of the node.

    Raises:
        RefusedError: a containerd or k0s that the operator named does not answer.
    """
    files = RealFiles(paths)
    k0s = _k0s(programs, settings)
    containerd = _containerd(programs, settings)
    asked: Mode | None = mode or (None if settings.mode == "auto" else settings.mode)
    return Node(
        None,
        files,
        paths=paths,
        arch=platform.machine(),
        containerd=containerd,
        k0s=k0s,
        mode=asked or _mode(paths, k0s),
        scheme=None if settings.scheme == "auto" else settings.scheme,
        search_path=programs.search,
        gpus=_gpus(files),
        kvm=files.exists("/dev/kvm"),
        cgroups=_cgroups(files),
        can_lower_oom_score=_has_capability(CAP_SYS_RESOURCE) if paths.root == "/" else True,
        os_release=_os_release(files),
    )


def _mode(paths: Paths, k0s: Program | None) -> Mode:
    """A sandbox is always ours to run; elsewhere k0s runs containerd where there is a k0s."""
    return "managed" if k0s and not paths.sandbox else "standalone"


def _search_path(paths: Paths, settings: NodeSettings) -> tuple[str, ...]:
    path = os.environ.get("PATH", DEFAULT_PATH) if paths.root == "/" else DEFAULT_PATH
    before = running(paths)
    known = before.search_path if before else ()
    folders = (*settings.path, paths.bin, *path.split(":"), *known)
    return tuple(dict.fromkeys(folder for folder in folders if folder.startswith("/")))


def _k0s(programs: Programs, settings: NodeSettings) -> Program | None:
    if settings.k0s:
        version = Version.parse(settings.k0s)
        if version is None:
            message = f"k0s = {settings.k0s!r} is no version"
            raise RefusedError(Problem(message, place="[node] k0s", remedy="Write 1.36."))
        return Program("", version)
    if programs.k0s is None:
        return None
    version = _version(programs.k0s[1])
    return Program(programs.k0s[0], version) if version else None


def _containerd(programs: Programs, settings: NodeSettings) -> Program | None:
    if programs.containerd is None:
        return None
    path, answer = programs.containerd
    version = answer if isinstance(answer, Version) else _version(answer)
    if version is None and settings.containerd:
        raise RefusedError(
            Problem(
                f"{path} does not answer --version",
                place="[node] containerd",
                remedy="Name a containerd that runs on this machine.",
            )
        )
    return Program(path, version) if version else None


def _known_version(paths: Paths, path: str) -> Version | None:
    """Return the version of the containerd that runs, if it is still this very file."""
    running = State(paths).running()
    if running is None or running.binary != identity(path) or not alive(running):
        return None
    return Version.parse(running.version)


def identity(path: str) -> str:
    """Return a file as path, size and time: another file at the same path is another one."""
    try:
        found = os.stat(path)
    except OSError:
        return path
    return f"{path} {found.st_size} {found.st_mtime_ns}"


def _first(files: RealFiles, search: Iterable[str], name: str) -> str:
    return next((p for f in search if files.is_executable(p := f"{f}/{name}")), "")


def _version(asked: Asked) -> Version | None:
    answer = asked.answer()
    return Version.parse(answer.output) if answer.status == 0 else None


def _gpus(files: RealFiles) -> tuple[GPU, ...]:
    """Return the display controllers on the PCI bus (class 0x03), without NVML."""
    found = []
    base = "/sys/bus/pci/devices"
    for address in files.names(base):
        device_class = _hex(files, f"{base}/{address}/class") >> 8
        if device_class >> 8 == 0x03:
            driver = os.path.basename(
                os.path.realpath(files.paths.on_disk(f"{base}/{address}/driver"))
            )
            vendor = _hex(files, f"{base}/{address}/vendor")
            found.append(GPU(address, vendor, device_class, "" if driver == "driver" else driver))
    return tuple(found)


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


def existing(paths: Paths, ledger: Ledger) -> Existing:
    """Read what other hands wrote: the main file, and drop-ins that are not ours.

    Go's glob loads hidden files as well, and so do we.
    """
    files = RealFiles(paths)
    main = files.read(paths.main_file)
    dropins = {}
    for name in files.names(paths.dropins):
        path = f"{paths.dropins}/{name}"
        if name.endswith(".toml") and path not in ledger.files:
            content = files.read(path)
            if content is not None:
                dropins[name] = content
    imports = {} if main is None or main_file.is_managed(main) else _imports(files, paths, main)
    return Existing(main, dropins, imports)


def _imports(files: RealFiles, paths: Paths, main: bytes) -> Mapping[str, bytes]:
    """Read what a user-managed main file imports, but for the drop-in folder (breadth first)."""
    import fnmatch

    from k0sruntime import toml

    found: dict[str, bytes] = {}
    queue = [(paths.main_file, main)]
    while queue:
        importer, data = queue.pop(0)
        try:
            patterns = toml.load(data, importer).get("imports", [])
        except toml.TOMLError:
            continue  # compose reads it again and refuses it with its place
        for pattern in patterns if isinstance(patterns, list) else []:
            full = os.path.normpath(os.path.join(os.path.dirname(importer), str(pattern)))
            folder, _, glob = full.rpartition("/")
            if folder == paths.dropins:
                continue
            for name in files.names(folder):
                path = f"{folder}/{name}"
                content = files.read(path) if fnmatch.fnmatchcase(name, glob) else None
                if content is not None and path not in found:
                    found[path] = content
                    queue.append((path, content))
    return found


def observe(composition: Composition | None, paths: Paths, ledger: Ledger) -> Observed:
    """Read what lies at the composed and the owned paths, and the running containerd."""
    wanted = {file.path for file in composition.files} if composition else set()
    files = {}
    for path in wanted | set(ledger.files):
        found = file_state(paths.on_disk(path))
        if found is not None:
            files[path] = found
    state = State(paths)
    generations = state.generations()
    return Observed(
        files,
        ledger,
        running(paths),
        generations[-1] if generations else 0,
        os.path.exists(state.journal),
    )


def file_state(path: str) -> FileState | None:
    """Return a file's content and permissions, or ``None`` where there is none.

    Raises:
        RefusedError: something else than a file is there, or it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return FileState(file.read(LARGEST), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise RefusedError(
            Problem(
                f"cannot be read: {exc.strerror}",
                place=path,
                remedy="Move it away, or run as root.",
            )
        ) from exc


def running(paths: Paths) -> Running | None:
    """Return the containerd that we started, if that very process still runs."""
    record = State(paths).running()
    return record if record and alive(record) else None


def alive(record: Running) -> bool:
    """Tell whether a recorded process runs: same PID and same start time, never by name."""
    return start_time(record.pid) == record.start_time


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; ``None`` where it is gone.

    A zombie counts as gone.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
