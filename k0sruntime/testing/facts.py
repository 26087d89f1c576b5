"""What the probe saw of a provider, as data that goes from one process to another."""

from __future__ import annotations

from dataclasses import dataclass, field

Note = tuple[str, str]
"""A kind (``write``, ``socket``, ``process``, ``native``) and what was done."""
FOLDERS = {"node": "", "home": "HOME", "tmp": "TMPDIR", "work": ""}
"""Folders of one probe's scratch folder, and the variable that leads there: nothing may be written.

``node`` is the made-up nodes' root, ``work`` the working folder.
"""


IMPORT, SETTINGS, HOOKS = "import", "settings", "hooks"
"""What of a provider is run, in this order."""


@dataclass(frozen=True)
class Request:
    """What is to be probed.

    Attributes:
        provider: its name.
        settings: path of a settings file that has its table; empty: its defaults.
        nodes: path of a Python file whose ``NODES`` are further nodes; may be empty.
        brief: only what is needed to compare two processes.
        scratch: folder of this probe alone: the nodes' files, and where it is at home.
    """

    provider: str
    settings: str = ""
    nodes: str = ""
    brief: bool = False
    scratch: str = ""


@dataclass(frozen=True)
class OnNode:
    """One provider on one made-up node."""

    label: str
    state: str
    """``active``, ``inactive``, ``refused`` or ``failed``."""
    reason: str = ""
    failed: str = ""
    """What went wrong, in a hook or when it was composed."""
    seconds: float = 0.0
    notes: list[Note] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """What of the process was another after the hooks."""
    again: bool = True
    """A second call in the same process said the same."""
    said: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    handlers: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def hangs(self) -> bool:
        """A hook did not come back."""
        return "no answer within" in self.failed


@dataclass(frozen=True)
class Checked:
    """One run of a provider's own check on a made-up node, against a made-up CRI."""

    label: str
    cri: str
    verdicts: list[str] = field(default_factory=list)
    failed: str = ""
    seconds: float = 0.0
    notes: list[Note] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Left:
    """What was written on one node, and what of it was there after ``down``."""

    label: str
    written: list[str] = field(default_factory=list)
    """The provider's files that the host wrote."""
    paths: list[str] = field(default_factory=list)
    failed: str = ""
    """Why it could not be tried."""


@dataclass(frozen=True)
class Facts:
    """All that the probe saw."""

    state: str
    reason: str = ""
    distribution: str = ""
    import_seconds: float = 0.0
    import_notes: list[Note] = field(default_factory=list)
    import_changes: list[str] = field(default_factory=list)
    """What of the process was another after the import."""
    settings_problem: str = ""
    settings_notes: list[Note] = field(default_factory=list)
    settings_changes: list[str] = field(default_factory=list)
    """What of the process was another after the settings were made."""
    hooks: list[str] = field(default_factory=list)
    """Those that it implements."""
    nodes: list[OnNode] = field(default_factory=list)
    going: list[str] = field(default_factory=list)
    """What it uses that a coming contract no longer has."""
    conflicts: list[str] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    said_until: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes on standard output and standard error by then: after the import, after the settings."""
    printed: dict[str, str] = field(default_factory=dict)
    """What came out on both, by who said it: ``IMPORT``, ``SETTINGS`` or ``HOOKS``."""

    @property
    def hangs(self) -> bool:
        """A hook did not come back on some node."""
        return any(node.hangs for node in self.nodes)
