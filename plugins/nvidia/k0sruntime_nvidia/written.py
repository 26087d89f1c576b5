"""Drop-ins that NVIDIA's toolkit wrote, known by their shape.

``nvidia-ctk runtime configure`` and the operator's toolkit container write one drop-in. Its version
is that of what they asked: a running containerd (4 with containerd 2.3, and then a frozen copy of
the whole CRI table comes along), a file, or nothing at all (2). Source: NVIDIA
nvidia-container-toolkit v1.19 and v1.20, ``pkg/config/engine/containerd``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import Check
from k0sruntime_nvidia.settings import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime import ForeignFile, Node
    from k0sruntime_nvidia.settings import NvidiaSettings

PROGRAM = "nvidia-container-runtime"
SIGNS = ("runtime_engine", "runtime_root", "privileged_without_host_devices")
"""Keys that the toolkit writes into every handler, empty or not; NVIDIA's guides have them too."""
TRIPLE = {"nvidia", "nvidia-cdi", "nvidia-legacy"}
"""The handlers that it writes at once."""
PLAIN = {"containerd", "enable_cdi"}
"""What the toolkit itself has to say in the CRI table; anything else is copied."""
CONF_D = "/etc/containerd/conf.d/"


@dataclass(frozen=True)
class Written:
    """A file that the toolkit wrote, and what there is to say about it.

    Attributes:
        file: the file.
        handlers: the handlers of NVIDIA's runtimes in it.
        frozen: keys of the CRI table that were copied, not chosen.
        main: it is the main file, which has lost k0s's marker.
    """

    file: ForeignFile
    handlers: tuple[str, ...]
    frozen: tuple[str, ...] = ()
    main: bool = False

    @property
    def imports_conf_d(self) -> bool:
        """It imports the folder of the distribution's containerd, which k0s does not read."""
        imports = self.file.document.get("imports")
        listed = imports if isinstance(imports, list) else []
        return any(str(entry).startswith(CONF_D) for entry in listed)

    def traits(self) -> list[str]:
        """Return what is odd about it, in short clauses."""
        found = [f"version {self.file.version}" if self.file.version else "no version"]
        if self.frozen:
            found.append(f"a frozen copy of {len(self.frozen)} keys of the CRI table")
        if self.main:
            found.append("it has lost k0s's marker")
        if self.imports_conf_d:
            found.append(f"imports {CONF_D}")
        if self.file.default_handler in self.handlers:
            found.append(f"makes {self.file.default_handler} the default")
        return found

    def __str__(self) -> str:
        """Return the file, and what is odd about it."""
        return f"{self.file.path} ({', '.join(self.traits())})"


def recognise(file: ForeignFile, main_file: str) -> Written | None:
    """Return what the toolkit wrote, or ``None`` where another hand wrote the file."""
    ours = {n: t for n, t in file.handlers.items() if _runs_nvidia(t)}
    main = file.path == main_file
    imports = file.document.get("imports")
    linked = isinstance(imports, list) and any(str(e).startswith(CONF_D) for e in imports)
    signed = set(ours) >= TRIPLE or any(_is_signed(table) for table in ours.values())
    frozen = tuple(sorted(set(file.runtime) - PLAIN)) if ours and not main else ()
    if not (signed or (ours and frozen) or (main and linked)):
        return None
    return Written(file, tuple(sorted(ours)), frozen, main)


def _is_signed(table: Mapping[str, Any]) -> bool:
    """Up to 1.19 the toolkit may leave the type out; a person would not get far with that."""
    return "runtime_type" not in table or any(sign in table for sign in SIGNS)


def _runs_nvidia(table: Mapping[str, Any]) -> bool:
    options = table.get("options")
    binary = options.get("BinaryName") if isinstance(options, dict) else ""
    name = str(binary).rpartition("/")[2]
    return name in (PROGRAM, *(f"{PROGRAM}.{variant}" for variant in VARIANTS))


def all_written(node: Node[NvidiaSettings]) -> tuple[Written, ...]:
    """Return all files that the toolkit wrote on this node."""
    found = (recognise(file, node.paths.main_file) for file in node.foreign)
    return tuple(file for file in found if file)


def taken(node: Node[NvidiaSettings]) -> Mapping[str, ForeignFile]:
    """Return the names of handlers that files of other hands define, the last file each."""
    return {name: file for file in node.foreign for name in file.handlers}


def switches_cdi_on(node: Node[NvidiaSettings]) -> bool:
    """Tell whether a file of another hand's lets containerd resolve CDI devices already."""
    return any(file.runtime.get("enable_cdi") is True for file in node.foreign)


def reason(node: Node[NvidiaSettings]) -> str:
    """Return why nothing is contributed where another hand has all handlers."""
    names = (node.settings.handler, *(f"{node.settings.handler}-{v}" for v in VARIANTS))
    files = {file.path: file for name, file in taken(node).items() if name in names}
    known = {written.file.path: written for written in all_written(node)}
    told = [
        f"{known[path]}, which NVIDIA's toolkit wrote" if path in known else f"{path}"
        for path in files
    ]
    undone = "; [nvidia] default = true is not done" if node.settings.default else ""
    return (
        f"the handlers are those of {' and of '.join(told)}{undone}; to have ours instead:"
        f" k0sruntime quarantine {' '.join(files)}"
    )


def checks(node: Node[NvidiaSettings]) -> Iterator[Check]:
    """Tell which handlers are another hand's, and what the toolkit's files are like."""
    names = [node.settings.handler, *(f"{node.settings.handler}-{v}" for v in VARIANTS)]
    found = taken(node)
    for name in names:
        if name in found:
            yield Check(
                name=f"handler {name}",
                verdict="warn",
                detail=f"it is that of {found[name].path}, and we contribute none",
                remedy=f"To have ours instead: k0sruntime quarantine {found[name].path}",
            )
    if node.settings.default and node.settings.handler in found:
        path = found[node.settings.handler].path
        yield Check(
            name="default handler",
            verdict="warn",
            detail=f"[nvidia] default = true is not done: the handler is that of {path}",
            remedy=f"To have ours as the default: k0sruntime quarantine {path}",
        )
