"""Second stage: ask every usable provider what it contributes to this node.

Takes the providers and the node, gives all contributions with their owners, and the providers'
records with the final state: a provider that says ``Inactive`` contributes nothing at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from k0sruntime import hooks as hooks_
from k0sruntime import settings as settings_
from k0sruntime.binaries import Binary
from k0sruntime.contributions import (
    Check,
    ConfigFile,
    Contribution,
    CRISocket,
    DropIn,
    HandlerExtension,
    HostsFile,
    KubeletProfile,
    RuntimeHandler,
)
from k0sruntime.errors import Inactive, Problem, ProviderError, Refused, RefusedError
from k0sruntime.guard import cause, one_line, unheard
from k0sruntime.json_keys import JSONKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from k0sruntime.discovery import Discovered
    from k0sruntime.hooks import Hooks
    from k0sruntime.node import Node
    from k0sruntime.records import Record
    from k0sruntime.settings import SettingsFile

Part = RuntimeHandler | HandlerExtension | DropIn | Binary | ConfigFile | JSONKeys | Check


@dataclass(frozen=True)
class Left:
    """What a provider declared and the operator prefers another's of: ``[node] prefer``."""

    provider: str
    kind: Literal["handler", "hosts file", "CRI socket"]
    name: str
    """The handler's; the registry's; of a socket nothing."""
    winner: str
    """The provider whose one counts."""

    def __str__(self) -> str:
        """Return ``handler fast``."""
        return f"{self.kind} {self.name}".rstrip()


@dataclass(frozen=True)
class Collected:
    """Everything that the providers declared for this node, in the order of their names."""

    records: tuple[Record, ...] = ()
    parts: tuple[Contribution[Part], ...] = ()
    hosts: tuple[Contribution[HostsFile], ...] = ()
    sockets: tuple[Contribution[CRISocket], ...] = ()
    profiles: tuple[Contribution[KubeletProfile], ...] = ()
    left: tuple[Left, ...] = ()
    """What does not count, and is in none of the above."""


@dataclass(frozen=True)
class Answers:
    """What one provider contributed, by hook."""

    parts: tuple[Contribution[Part], ...] = ()
    hosts: tuple[Contribution[HostsFile], ...] = ()
    sockets: tuple[Contribution[CRISocket], ...] = ()
    profiles: tuple[Contribution[KubeletProfile], ...] = ()

    def all(self) -> tuple[Contribution[Any], ...]:
        """Return everything, in the order of the hooks."""
        return (*self.parts, *self.hosts, *self.sockets, *self.profiles)

    def empty(self) -> bool:
        """Tell whether nothing was contributed."""
        return not (self.parts or self.hosts or self.sockets or self.profiles)


def refuse_broken(records: Iterable[Record]) -> None:
    """Stop before anything is asked when a provider is there but cannot be used.

    On a node, a runtime that silently does not come is worse than an error.

    Raises:
        ProviderError: every such provider, with its distribution, version and reason.
    """
    problems = [
        Problem(
            f"provider {record.name!r} is {record.state}: {record.reason}",
            place=f"entry point {record.name} in group k0sruntime",
            culprit=record.origin,
            remedy=record.remedy,
        )
        for record in records
        if record.unusable
    ]
    if problems:
        raise ProviderError(*problems)


def provider_settings(
    discovered: Discovered,
    file: SettingsFile,
    owners: Iterable[str] = (),
    broken: dict[str, Problem] | None = None,
) -> Mapping[str, Any]:
    """Return every usable provider's typed settings, from its table of the settings file.

    Args:
        discovered: what is installed.
        file: the settings file.
        owners: the provider of each file of ours on the node, be it still installed or not.
        broken: where to put what is wrong with providers whose settings' class fails, by name,
            instead of raising.

    Raises:
        RefusedError: all unknown tables and keys and all wrong types at once.
        ProviderError: a settings' class fails by itself; all of them, and what is refused.
    """
    refused: list[Problem] = []
    failed: dict[str, Problem] = {} if broken is None else broken
    found: dict[str, Any] = {}
    try:
        settings_.refuse_unknown_tables(file, discovered.names(), Counter(owners))
    except RefusedError as exc:
        refused += exc.problems
    for record in discovered.usable():
        try:
            found[record.name] = settings_of(record, file)
        except ProviderError as exc:
            failed[record.name] = exc.problems[0]
        except RefusedError as exc:
            refused += exc.problems
    if failed and broken is None:
        raise ProviderError(*failed.values(), *dict.fromkeys(refused))
    if refused:
        raise RefusedError(*dict.fromkeys(refused))
    return found


def settings_of(record: Record, file: SettingsFile) -> Any:
    """Return one provider's typed settings; its class is the provider's code, and guarded as such.

    Defaults and ``__post_init__`` run as hooks do: within a deadline, and unheard.

    Raises:
        RefusedError: what is wrong with the provider's table.
        ProviderError: the class fails by itself.
    """
    kind = record.settings or settings_.Settings
    try:
        return unheard(lambda: settings_.convert(file, record.name, kind), hooks_.COLLECT_SECONDS)
    except (RefusedError, Refused) as exc:
        raise RefusedError(*(_of_table(record, file, problem) for problem in exc.problems)) from exc
    except KeyboardInterrupt:  # the user's: see guard.bounded
        raise
    except BaseException as exc:
        message = f"the settings of provider {record.name!r} cannot be made: {cause(exc)}"
        remedy = f"Update {record.distribution}, or go on with --without {record.name}."
        place = f"{file.path}: [{record.name}]"
        raise ProviderError(Problem(message, place, record.origin, remedy)) from exc


def _of_table(record: Record, file: SettingsFile, problem: Problem) -> Problem:
    """Return what is wrong with a table, in words that a provider may have chosen."""
    return Problem(
        one_line(problem.message),
        one_line(problem.place) or f"{file.path}: [{record.name}]",
        f"{record.name} ({record.origin})" if problem.culprit else "",
        one_line(problem.remedy),
    )


def with_broken(discovered: Discovered, broken: Mapping[str, Problem]) -> tuple[Record, ...]:
    """Return the records of all providers; those whose settings' class fails are ``broken``."""
    return tuple(
        replace(
            record,
            state="broken",
            reason=broken[record.name].message,
            remedy=broken[record.name].remedy,
        )
        if record.state == "active" and record.name in broken
        else record
        for record in discovered.records
    )


def collect(
    discovered: Discovered, node: Node[Any], provider_settings: Mapping[str, Any]
) -> Collected:
    """Ask all usable providers, one at a time.

    Raises:
        ProviderError: what is wrong with each provider that failed, all at once.
        RefusedError: everything that providers say this node cannot have.
    """
    records: list[Record] = []
    answers: list[Answers] = []
    problems: list[Problem] = []
    refused: list[Problem] = []
    for record in discovered.records:
        if record.state != "active":
            records.append(record)
            continue
        own = for_provider(node, record.name, provider_settings)
        try:
            answer = _ask(discovered.hooks, record.name, own)
        except Inactive as exc:
            records.append(_inactive(record, exc, discovered.hooks))
        except ProviderError as exc:
            problems += exc.problems
        except RefusedError as exc:
            refused += exc.problems
        else:
            records.append(_answered(record, answer, discovered.hooks))
            answers.append(answer)
    if problems:
        raise ProviderError(*problems, *refused)
    if refused:
        raise RefusedError(*refused)
    return Collected(
        tuple(records),
        tuple(part for answer in answers for part in answer.parts),
        tuple(host for answer in answers for host in answer.hosts),
        tuple(socket for answer in answers for socket in answer.sockets),
        tuple(profile for answer in answers for profile in answer.profiles),
    )


def asked(
    discovered: Discovered, record: Record, node: Node[Any], settings: Mapping[str, Any]
) -> tuple[Record, Answers]:
    """Ask one provider; return its record with the state that its answer gives, and the answer.

    Never raises: a provider that fails is a record that says so.
    """
    if record.state != "active":
        return record, Answers()
    try:
        own = for_provider(node, record.name, settings)
        answer = _ask(discovered.hooks, record.name, own)
        return _answered(record, answer, discovered.hooks), answer
    except Inactive as exc:
        return _inactive(record, exc, discovered.hooks), Answers()
    except ProviderError as exc:
        return replace(record, state="broken", reason=exc.problems[0].message), Answers()
    except RefusedError as exc:
        reason = f"refused: {exc.problems[0].message}"
        return replace(record, state="inactive", reason=reason), Answers()


def for_provider(node: Node[Any], provider: str, settings: Mapping[str, Any]) -> Node[Any]:
    """Return the node as one provider sees it: with its own settings and no one else's."""
    return replace(node, provider=provider, settings=settings.get(provider))


def _ask(hooks: Hooks, provider: str, node: Node[Any]) -> Answers:
    asks: tuple[Callable[[str, Node[Any]], list[Any]], ...] = (
        hooks.contribute_dropin,
        hooks.contribute_hosts,
        hooks.cri_socket,
        hooks.kubelet_profile,
    )
    return Answers(*(tuple(ask(provider, node)) for ask in asks))


def _inactive(record: Record, resting: Inactive, hooks: Hooks) -> Record:
    found = hooks.uses(record.name).sentences()
    return replace(record, state="inactive", reason=one_line(resting.reason), going=found)


def _answered(record: Record, answer: Answers, hooks: Hooks) -> Record:
    record = replace(record, going=hooks.uses(record.name).sentences())
    if answer.empty() and set(record.hooks) - {"post_start_check"}:
        return replace(record, state="inactive", reason="it contributed nothing and gave no reason")
    return record
