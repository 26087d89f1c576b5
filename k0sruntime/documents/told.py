"""Documents about providers, judgements and errors."""

from __future__ import annotations

from dataclasses import dataclass

from k0sruntime.documents.parts import Document, Problem


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A provider in the list."""

    name: str
    state: str
    """``active``, ``inactive``, ``blocked``, ``broken``, ``incompatible`` or ``duplicate``."""
    reason: str
    distribution: str
    version: str
    hooks: list[str]
    summary: str


@dataclass(frozen=True, kw_only=True)
class Providers(Document):
    """``providers --json``."""

    providers: list[Listed]


@dataclass(frozen=True, kw_only=True)
class Contributed:
    """A contribution in a few words; contents, which may be secret, are left out."""

    hook: str
    kind: str
    """The contribution's class."""
    what: str


@dataclass(frozen=True, kw_only=True)
class SettingsKey:
    """A key of the provider's table in the settings file."""

    key: str
    """``NAME`` in it stands for a name that the operator chooses."""
    type: str
    default: str
    """As it would stand in the file."""
    words: str


@dataclass(frozen=True, kw_only=True)
class Provider(Document):
    """``providers NAME --json``."""

    name: str
    state: str
    reason: str
    remedy: str
    distribution: str
    version: str
    also: list[str]
    """Other distributions that have a provider of this name, with their versions."""
    contract: str | None
    """The version of the contract that it is written for, where it says so."""
    host_contract: str
    going: list[str]
    """What it uses that a coming contract no longer has, a sentence each."""
    hooks: list[str]
    summary: str
    contributions: list[Contributed]
    settings: list[SettingsKey]


@dataclass(frozen=True, kw_only=True)
class New(Document):
    """``new --json``."""

    name: str
    folder: str
    files: list[str]


@dataclass(frozen=True, kw_only=True)
class JudgedFor:
    """What the files were judged for."""

    containerd: str
    k0s: str | None
    """The line, such as ``1.36``."""
    config_schema: int
    machine: bool
    """Programs, folders and certificates of a machine were judged as well."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule's word on one place."""

    code: str
    name: str
    severity: str
    """``error`` or ``warning``."""
    consequence: str
    """``stops the node``, ``kills CRI``, ``breaks pods``, ``silently ignored`` or ``untidy``."""
    message: str
    path: str
    line: int | None
    column: int | None
    key: str | None
    remedy: str
    culprit: str
    help: str
    """The rule's page."""


@dataclass(frozen=True, kw_only=True)
class Lint(Document):
    """``lint --format json``."""

    target: JudgedFor
    files: list[str]
    errors: int
    warnings: int
    findings: list[Finding]


@dataclass(frozen=True, kw_only=True)
class Error(Document):
    """What any command prints with ``--json`` where it fails; standard error has the text."""

    error: str
    """The error's class."""
    exit_code: int
    name: str
    """The exit code's name, such as ``REFUSED``."""
    problems: list[Problem]
