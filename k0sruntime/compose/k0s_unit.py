"""The service that starts k0s, as it is installed, and the command line that installs it anew.

``k0s install --force`` replaces the unit and all of its flags: what is not said again is gone. So
the full line is built on the flags that the unit has. Sources: k0s ``cmd/install`` and
``pkg/install``; the units are those of kardianos/service.
"""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from k0sruntime import masking, units
from k0sruntime.compose import cri_flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k0sruntime.contributions import CRISocket, KubeletProfile
    from k0sruntime.node import Files, K0sService, Node
    from k0sruntime.paths import Paths

Role = Literal["worker", "controller"]
ROLES: tuple[Role, ...] = ("controller", "worker")
"""In the order in which k0s itself looks for its service (``pkg/install/service.go``)."""
WORKS = ("--enable-worker", "--single")
"""Flags with which a controller runs a kubelet as well."""
PROFILE = "--profile"
LONGEST_WORD = 100
SECRET_NAMES = ("password", "secret", "token", "key")


@dataclass(frozen=True)
class Service:
    """How k0s is started on this node.

    Attributes:
        role: what it is.
        program: the k0s that is started.
        flags: everything behind the role, as it stands there.
        environment: variables that were given to ``k0s install -e``, as ``NAME=VALUE``.
        path: the file that says so; empty where it was read from the k0s that runs.
        init: whose file it is.
        overridden_by: a drop-in that sets ``ExecStart``, so that the unit's own counts for nothing;
            or OpenRC's ``conf.d``, where it names a CRI or a profile: its flags come last.
        added: flags that are added there, and stay there.
    """

    role: Role
    program: str
    flags: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    path: str = ""
    init: Literal["systemd", "openrc", ""] = ""
    overridden_by: str = ""
    added: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The service's name: ``k0sworker`` or ``k0scontroller``."""
        return f"k0s{self.role}"

    @property
    def restart(self) -> str:
        """What restarts it: ``k0s install`` does not. Empty where nobody knows."""
        commands = {"openrc": f"rc-service {self.name} restart"}
        commands["systemd"] = f"systemctl restart {self.name}"
        return commands.get(self.init, "")

    @property
    def runs_a_kubelet(self) -> bool:
        """It is a worker, or a controller that is one as well."""
        on = any(_name(flag) in WORKS and not flag.endswith("=false") for flag in self.flags)
        return self.role == "worker" or on

    def flag(self, name: str) -> str:
        """Return the value of a flag, or an empty string; the last one counts."""
        found = ""
        words = (*self.flags, *self.added)
        for word, following in zip(words, (*words[1:], ""), strict=False):
            if word == name:
                found = following
            elif word.startswith(f"{name}="):
                found = word.partition("=")[2]
        return found

    def cri(self, paths: Paths) -> str:
        """Return the path of the CRI socket that its kubelet uses; empty for one that k0s refuses.

        Without the flag that is its own containerd's.
        """
        said = self.flag(cri_flag.FLAG)
        path = cri_flag.path(said) if said else paths.socket
        return paths.socket if cri_flag.same_path(path, paths.socket) else path


def find(node: Node[Any]) -> Service | None:
    """Return how k0s is started here: its unit, its script, or else the k0s that runs."""
    return installed(node.files, node.paths) or running(node.k0s_service)


def installed(files: Files, paths: Paths) -> Service | None:
    """Return how the service is started that is installed; ``None`` where there is none."""
    for role in ROLES:
        if found := _systemd(files, paths, role) or _openrc(files, paths, role):
            return found
    return None


def _systemd(files: Files, paths: Paths, role: Role) -> Service | None:
    unit, folders = f"k0s{role}.service", paths.systemd
    lines = units.unit_values(files, unit, "Service", "ExecStart", folders)
    if not lines:
        return None
    environment = [
        word
        for value in units.unit_values(files, unit, "Service", "Environment", folders)
        for word in units.unit_words(value.text)
        if "/" + unit + ".d/" not in value.path  # drop-ins stay, whatever k0s install does
    ]
    found = _service(units.unit_command(lines[-1].text), role, tuple(environment))
    if found is None:
        return None
    dropin = lines[-1].path if f"/{unit}.d/" in lines[-1].path else ""
    own = next((p for f in folders if files.exists(p := f"{f}/{unit}")), lines[0].path)
    return replace(found, path=own, init="systemd", overridden_by=dropin)


def _openrc(files: Files, paths: Paths, role: Role) -> Service | None:
    path, more = f"{paths.init_scripts}/k0s{role}", f"{paths.init_settings}/k0s{role}"
    data = files.read(path)
    found = _service(units.script_command(data), role, _exported(data)) if data else None
    if found is None:
        return None
    flags = tuple(word for word in found.flags if not word.startswith("$"))
    settings = files.read(more) or b""
    names = [word.strip("${}") for word in found.flags if word.startswith("$")]
    added = units.script_words(settings, [*names, "command_args_foreground"])
    wins = {cri_flag.FLAG, PROFILE} & {_name(word) for word in added}
    found = replace(found, path=path, init="openrc", flags=flags, added=tuple(added))
    return replace(found, overridden_by=more) if wins else found


def _exported(data: bytes) -> tuple[str, ...]:
    """Return the variables that an OpenRC script exports."""
    found = []
    for line in data.decode(errors="replace").splitlines():
        if line.startswith("export ") and "=" in line:
            try:
                found += shlex.split(line.removeprefix("export "))
            except ValueError:
                continue
    return tuple(word for word in found if "=" in word)


def running(service: K0sService | None) -> Service | None:
    """Return how the k0s that runs was started, as far as it tells."""
    words = list(service.arguments) if service else []
    for role in ROLES:
        if found := _service(words, role, ()):
            return found
    return None


def _service(words: Sequence[str], role: Role, environment: tuple[str, ...]) -> Service | None:
    if role not in words[1:2]:
        return None
    return Service(role, words[0], tuple(words[2:]), environment)


def profile_of(
    service: Service, profile: KubeletProfile | None, left: str = "", own: str = ""
) -> str:
    """Return the name of the worker profile that a service shall be started with, or nothing.

    Args:
        service: how k0s is started now.
        profile: the worker profile that is needed; ``None``: the one that it has stays.
        left: a worker profile that goes with the socket that is left, and goes as well.
        own: the one that the service had before that.
    """
    if profile:
        return profile.name
    named = service.flag(PROFILE)
    return own if left and named == left else named


def install_words(service: Service, socket: CRISocket | None, profile: str) -> list[str]:
    """Return the full ``k0s install --force`` for a service with another CRI.

    Args:
        service: how k0s is started now.
        socket: the CRI to point it at; ``None``: k0s's own containerd.
        profile: name of its worker profile; empty for none.
    """
    replaced = {cri_flag.FLAG}
    if service.flag(PROFILE) != profile:
        replaced.add(PROFILE)
    flags = list(_without(service.flags, replaced))
    if socket:
        flags.append(cri_flag.flag(socket.url))
    if profile and PROFILE in replaced:
        flags.append(f"{PROFILE}={profile}")
    environment = [word for pair in service.environment for word in ("-e", pair)]
    return [service.program, "install", "--force", *environment, service.role, *flags]


def lost(words: Sequence[str], found: Service) -> list[str]:
    """Return what a service lacks of the command line that was to install it.

    k0s spells flags out and makes paths absolute, so names are compared, and the values of what
    points it at a CRI.
    """
    names = {_name(flag) for flag in found.flags}
    wanted = Service(found.role, words[0], tuple(words))
    pairs = [pair for word, pair in itertools.pairwise(words) if word == "-e"]
    known = {_name(pair) for pair in found.environment}
    missing = [pair for pair in pairs if _name(pair) not in known]
    missing += [w for w in words[3:] if w.startswith("--") and _name(w) not in names]
    told = (f"{name}={wanted.flag(name)}" for name in (cri_flag.FLAG, PROFILE))
    return [
        *missing,
        *(word for word in told if found.flag(_name(word)) != wanted.flag(_name(word))),
    ]


def _without(flags: Iterable[str], names: set[str]) -> Iterable[str]:
    """Leave out flags in both spellings, ``--flag=value`` and ``--flag value``."""
    value_follows = False
    for word in flags:
        if value_follows:
            value_follows = False
        elif word in names:
            value_follows = True
        elif _name(word) not in names:
            yield word


def _name(flag: str) -> str:
    return flag.partition("=")[0]


def shown(words: Iterable[str]) -> str:
    """Return a command line as it may be printed, and pasted where nothing had to be masked."""
    return " ".join(_shown(word) for word in words)


def _shown(word: str) -> str:
    name, equals, value = word.partition("=")
    if equals and not word.startswith("-"):
        secret = any(part in name.lower() for part in SECRET_NAMES)
        masked = masking.MASK if secret else masking.url(value) if "@" in value else value
        return shlex.quote(f"{name}={masked}") if masked == value else f"{name}={masked}"
    if len(word) > LONGEST_WORD and not word.startswith(("-", "/")):
        return masking.MASK  # a join token, given as an argument
    return shlex.quote(word)
