"""The node: facts, frozen. What hooks are given and what the pure rooms reason about.

Nothing here reads the machine. ``observe.py`` fills a ``Node`` from the real one; tests fill it
from dictionaries. What a provider may ask of the node's files goes through the ``Files`` that the
node carries, so that it works as well for a node that is elsewhere (``--root``) or made up.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, TypeVar

from k0sruntime.paths import Paths, hosts_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.binaries import Binary
    from k0sruntime.compose.foreign import ForeignFile

S_co = TypeVar("S_co", covariant=True)

Mode = Literal["managed", "standalone", "remote"]
Scheme = Literal["merge-patch", "native"]
Schema = Literal[2, 3]


class Version(NamedTuple):
    """A version as three numbers; what follows them (``-rc.1``, ``+k0s.0``) is left out."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """Read the first ``major.minor[.patch]`` in ``text``, or return ``None``."""
        match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
        if match is None:
            return None
        return cls(int(match[1]), int(match[2]), int(match[3] or 0))

    def __str__(self) -> str:
        """Return ``2.1.9``."""
        return f"{self.major}.{self.minor}.{self.patch}"


class Program(NamedTuple):
    """A program of the node: where it is, and its version."""

    path: str
    version: Version


class K0sService(NamedTuple):
    """A k0s that runs, as its own ``k0s status`` tells of it."""

    version: Version
    pid: int
    role: str = ""
    arguments: tuple[str, ...] = ()
    """Its command line, its name included."""

    def flag(self, name: str) -> str:
        """Return the value of a flag of its command line, or an empty string.

        ``--flag=value`` and ``--flag value`` are the same (Go's pflag); the last one counts.
        """
        found = ""
        for word, following in zip(self.arguments, (*self.arguments[1:], ""), strict=False):
            if word == name:
                found = following
            elif word.startswith(f"{name}="):
                found = word.partition("=")[2]
        return found


class OtherCRI(NamedTuple):
    """The CRI of another runtime that a node is on."""

    url: str
    """As k0s has it behind ``remote:``."""
    provider: str = ""
    """Who contributed it to the generation that is applied; empty: others told k0s of it."""

    @property
    def path(self) -> str:
        """The socket's path on the node."""
        return self.url.removeprefix("unix://")


class GPU(NamedTuple):
    """A graphics processor on the PCI bus, as ``/sys/bus/pci/devices`` tells of it."""

    address: str
    """PCI address, such as ``0000:41:00.0``."""
    vendor: int
    """PCI vendor, ``0x10de`` for NVIDIA."""
    device_class: int
    """PCI class and subclass: ``0x0300`` (VGA), ``0x0302`` (3D), ``0x1200`` (accelerator)."""
    driver: str
    """Name of the bound kernel driver; empty where none is."""
    driver_version: str = ""
    """What the loaded module says (``/sys/module/<driver>/version``); empty where it says none."""


class Files(Protocol):
    """Read-only look at the node's files. Every path is absolute, as the node itself sees it."""

    def exists(self, path: str) -> bool:
        """Tell whether ``path`` is there, whatever it is."""

    def is_socket(self, path: str) -> bool:
        """Tell whether ``path`` is a Unix socket."""

    def is_executable(self, path: str) -> bool:
        """Tell whether ``path`` is a regular file with an execute bit for everybody."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, or ``None`` where it is missing or unreadable."""

    def other_kind(self, path: str) -> str:
        """Return what lies at ``path`` that is no file, such as ``a folder``; empty otherwise."""

    def names(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder; empty where there is none."""

    def mode(self, path: str) -> int | None:
        """Return the permission bits at ``path``, links followed, or ``None``."""


@dataclass(frozen=True)
class Node(Generic[S_co]):
    """What is known of the node, and one provider's own settings.

    The contract grows here: a new fact is a new field, never a new hook parameter.
    """

    settings: S_co
    """The typed settings of the provider that is asked; never another's."""
    files: Files
    """Read-only look at the node's files."""
    provider: str = ""
    """Name of the provider that is asked."""
    paths: Paths = field(default_factory=Paths)
    arch: str = "x86_64"
    """Machine as ``uname -m`` spells it: ``x86_64`` or ``aarch64``."""
    containerd: Program | None = None
    k0s: Program | None = None
    """k0s, in the version that runs; where none runs, in the one that is installed."""
    k0s_installed: Version | None = None
    """The version that the next start of k0s will be."""
    k0s_service: K0sService | None = None
    """The k0s that runs; ``None`` where none does, or where nobody asked."""
    other_cri: OtherCRI | None = None
    """The CRI of another runtime that k0s is told to use, or else that was applied last; it may be
    away for a moment, and is left at the operator's word alone."""
    mode: Mode | None = None
    """The mode asked for by the operator; ``None``: decided from what is found."""
    scheme: Scheme | None = None
    """The scheme asked for by the operator; ``None``: decided from the containerd version."""
    search_path: tuple[str, ...] = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin")
    """Folders in which programs are looked for, k0s's own before the service's PATH."""
    gpus: tuple[GPU, ...] = ()
    foreign: tuple[ForeignFile, ...] = ()
    """Files of containerd's configuration that other hands wrote, in containerd's order."""
    kernel: Version | None = None
    """Version of the running kernel; ``None`` where it is not known (an image root)."""
    kvm: bool = False
    """``/dev/kvm`` can be opened and makes virtual machines."""
    kvm_problem: str = ""
    """Why it cannot: a clause; empty where it can, or where nobody could try (an image root)."""
    cgroups: Literal[1, 2] = 2
    """Version of the mounted cgroup hierarchy; hybrid counts as 1."""
    can_lower_oom_score: bool = True
    """The process may set a negative ``oom_score_adj`` (it has CAP_SYS_RESOURCE)."""
    probe_image: str = ""
    """Image that has a shell and a ``uname``, for checks from inside a sandbox; may be none."""
    offline: bool = False
    """The operator wants no network: a check that would open a connection says that it did not."""
    json_files: tuple[str, ...] = ()
    """JSON files of other programs that the operator lets providers put keys into; see
    ``JSONKeys``. A name with a slash at its end stands for all files below it."""
    os_release: Mapping[str, str] = field(default_factory=dict)
    """What ``/etc/os-release`` says: ``ID``, ``VERSION_ID``, …"""

    def __post_init__(self) -> None:
        """Make what could be changed in place read-only: all providers see the same facts."""
        object.__setattr__(self, "os_release", MappingProxyType(dict(self.os_release)))

    def which(self, name: str) -> str | None:
        """Return the path of the first program called ``name`` in ``search_path``."""
        for folder in self.search_path:
            path = posixpath.join(folder, name)
            if self.files.is_executable(path):
                return path
        return None

    def hosts_file(self, registry: str) -> str:
        """Return the path at which the host will place a registry's ``hosts.toml``."""
        return f"{self.paths.certs}/{hosts_folder(registry)}/hosts.toml"

    def binary_file(self, binary: Binary, program: str = "") -> str:
        """Return where a program of a ``Binary`` that this provider contributes will lie."""
        folder = f"{self.paths.binaries}/{self.provider}/{binary.folder_name(self.arch)}"
        return f"{folder}/{program or binary.name}"

    def config_file(self, name: str) -> str:
        """Return the path at which the host will place this provider's ``ConfigFile(name)``."""
        return f"{self.paths.config_files}/{self.provider}/{name}"
