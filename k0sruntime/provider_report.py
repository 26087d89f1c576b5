"""What ``providers NAME`` prints: all about one provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.__about__ import CONTRACT
from k0sruntime.binaries import Binary
from k0sruntime.contributions import (
    ConfigFile,
    CRISocket,
    DropIn,
    HandlerExtension,
    HostsFile,
    KubeletProfile,
    RuntimeHandler,
)
from k0sruntime.report import table
from k0sruntime.settings_schema import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from k0sruntime.contributions import Contribution
    from k0sruntime.records import Record


def document(
    record: Record, contributions: Iterable[Contribution[Any]], also: Sequence[Record] = ()
) -> str:
    """Return one provider as a JSON document.

    Args:
        record: the provider.
        contributions: what it contributes to this node.
        also: others of the same name; there is one document however many there are.
    """
    from k0sruntime import documents

    record, settings = fields_of(record)
    return documents.dumps(
        documents.Provider(
            name=record.name,
            state=record.state,
            reason=record.reason,
            remedy=record.remedy,
            distribution=record.distribution,
            version=record.version,
            also=[other.origin for other in also],
            contract=_version(record.contract) or None,
            host_contract=_version(CONTRACT),
            going=list(record.going),
            hooks=list(record.hooks),
            summary=record.summary,
            contributions=[
                documents.Contributed(
                    hook=item.owner.hook, kind=type(item.value).__name__, what=words(item.value)
                )
                for item in contributions
            ],
            settings=[documents.SettingsKey(**vars(field)) for field in settings],
        )
    )


def text(
    record: Record, contributions: Iterable[Contribution[Any]], also: Sequence[Record] = ()
) -> str:
    """Return one provider as a person reads it; the arguments are those of ``document``."""
    record, found = fields_of(record)
    says = f"written for {_version(record.contract)}, " if record.contract else ""
    lines = [
        f"{record.name}: {record.summary}".rstrip(": "),
        "",
        f"state     {record.state}" + (f": {record.reason}" if record.reason else ""),
        *([f"do        {record.remedy}"] if record.remedy else []),
        f"from      {record.origin}",
        *(f"          and {other.origin}" for other in also),
        f"contract  {says}this host has {_version(CONTRACT)}",
        *(f"          it {sentence}" for sentence in record.going),
        f"hooks     {', '.join(record.hooks) or 'none'}",
    ]
    rows = [(item.owner.hook, words(item.value)) for item in contributions]
    if rows:
        lines += ["", *table([("HOOK", "CONTRIBUTES TO THIS NODE"), *rows])]
    if found:
        settings = [(f.key, f.type, f.default, f.words) for f in found]
        lines += ["", *table([(f"[{record.name}]", "TYPE", "DEFAULT", ""), *settings])]
    return "\n".join(lines)


def _version(contract: tuple[int, int] | None) -> str:
    return f"{contract[0]}.{contract[1]}" if contract else ""


def words(value: Any) -> str:
    """Return a contribution in a few words; contents, which may be secret, are left out."""
    return next(say(value) for kind, say in SAID.items() if isinstance(value, kind))


def _handler(value: RuntimeHandler) -> str:
    offered = f", RuntimeClass {value.runtime_class}" if value.runtime_class else ""
    return f"handler {value.name} ({value.runtime_type}){offered}"


def _drop_in(value: DropIn) -> str:
    parts = {"CRI runtime": value.runtime, "CRI images": value.images, "other": value.tables}
    said = [f"{name} keys {_keys(part)}" for name, part in parts.items() if part]
    return "; ".join(said) or "no keys"


def _keys(keys: Mapping[str, Any]) -> str:
    return ", ".join(sorted(keys))


SAID: Mapping[type, Callable[[Any], str]] = {
    RuntimeHandler: _handler,
    HandlerExtension: lambda v: f"keys for the handler {v.handler}: {_keys(v.table())}",
    DropIn: _drop_in,
    Binary: lambda v: f"program {v.installed or f'{v.name} {v.version}, fetched'}",
    ConfigFile: lambda v: f"configuration file {v.name}",
    HostsFile: lambda v: f"hosts file for {v.registry}: {len(v.hosts)} hosts",
    CRISocket: lambda v: f"CRI socket {v.url}",
    KubeletProfile: lambda v: f"worker profile {v.name}: {_keys(v.values)}",
    object: lambda v: type(v).__name__,
}
"""How each kind of contribution is told."""
