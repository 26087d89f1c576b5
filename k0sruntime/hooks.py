"""The only module that imports pluggy: registration, and one typed method a hook.

pluggy gives no attribution, no order and no isolation, so providers are asked one at a time
through ``subset_hook_caller``; how one is asked stands in ``asking.py``.
"""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from k0sruntime import going
from k0sruntime.__about__ import CONTRACT
from k0sruntime.asking import Question, ask
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
    Owner,
    RuntimeHandler,
)
from k0sruntime.hookspecs import HOOKS, Provider
from k0sruntime.json_keys import JSONKeys
from k0sruntime.settings import is_kind, unreadable

if TYPE_CHECKING:
    from k0sruntime.errors import Problem
    from k0sruntime.hookspecs import RunningCRI
    from k0sruntime.node import Node
    from k0sruntime.records import Record

Part = RuntimeHandler | HandlerExtension | DropIn | Binary | ConfigFile | JSONKeys | Check
PARTS = (RuntimeHandler, HandlerExtension, DropIn, Binary, ConfigFile, JSONKeys, Check)
"""What ``contribute_dropin`` may return."""

PROJECT = "k0sruntime"
COLLECT_SECONDS = 5.0
"""Deadline of one hook call before anything runs; facts come with the node, so it is generous."""
CHECK_SECONDS = 60.0
"""Deadline of one provider's ``post_start_check``."""

RESERVED = ("contribute_",)
"""How hooks of a newer contract may begin; a helper must not."""

hookspec = pluggy.HookspecMarker(PROJECT)


class InvalidProviderError(Exception):
    """An object that cannot serve as a provider; the message says why."""


class _Plugin:
    """What pluggy gets to see: the provider's hooks and nothing else.

    pluggy compares and hashes plugins; a provider may be equal to another, or unhashable.
    """

    def __init__(self, provider: object) -> None:
        for name in implemented(provider):
            setattr(self, name, getattr(provider, name))


@dataclass(frozen=True)
class _Registered:
    record: Record
    plugin: _Plugin


class _Manager(pluggy.PluginManager):
    """Takes every function with a hook's name for an implementation; no marker is needed."""

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> Any:
        ours = inspect.isclass(module_or_class) and issubclass(module_or_class, Provider)
        return {} if ours and name in HOOKS else None

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if name not in HOOKS:
            return None
        marked = getattr(getattr(plugin, name), f"{PROJECT}_impl", None) or {}
        if marked.get("wrapper") or marked.get("hookwrapper"):
            raise InvalidProviderError(f"{name} is a hook wrapper, which could rewrite others")
        return {}


def _inherited(plugin: object, name: str) -> bool:
    return getattr(type(plugin), name, None) is getattr(Provider, name)


def implemented(plugin: object) -> tuple[str, ...]:
    """Return the names of the hooks that ``plugin`` implements, in the contract's order."""
    return tuple(
        name
        for name in HOOKS
        if inspect.isroutine(getattr(plugin, name, None)) and not _inherited(plugin, name)
    )


class Hooks:
    """The providers' hooks, asked one provider at a time."""

    def __init__(self, contract: type[Provider[Any]] = Provider) -> None:
        """Serve a contract.

        Args:
            contract: the class with the hooks; one of a newer minor may give them more arguments,
                which older providers need not name.
        """
        self._manager = _Manager(PROJECT)
        self._manager.add_hookspecs(contract)
        self._plugins: dict[str, _Registered] = {}
        self._uses: dict[str, going.Uses] = {}

    def register(self, record: Record, plugin: object) -> None:
        """Take a provider in.

        Raises:
            InvalidProviderError: a class instead of an instance, a wrapper, an unknown hook, a
                hook or settings of the wrong kind, or an argument that the contract does not have.
        """
        if inspect.isclass(plugin):
            raise InvalidProviderError(
                f"the entry point names the class {plugin.__name__}; export an instance of it"
            )
        self._refuse_unknown_hooks(plugin)
        _refuse_what_is_no_function(plugin)
        _refuse_by_keyword_only(plugin)
        if record.settings is not None and not is_kind(record.settings):
            raise InvalidProviderError(
                "its settings must be a class derived from Settings, or dict[str, …]"
            )
        if record.settings is not None and (reason := unreadable(record.settings)):
            raise InvalidProviderError(f"its settings cannot be read: {reason}")
        if not implemented(plugin):
            raise InvalidProviderError(f"it implements none of the hooks {', '.join(HOOKS)}")
        shown = _Plugin(plugin)
        try:
            self._manager.register(shown, name=record.name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as exc:
            if self._manager.has_plugin(record.name):
                self._manager.unregister(name=record.name)
            raise InvalidProviderError(" ".join(str(exc).split())) from exc
        self._plugins[record.name] = _Registered(record, shown)
        for name in implemented(shown):
            for found in going.in_signature(name, inspect.signature(getattr(shown, name))):
                self.uses(record.name).add(found, self._place(record.name, name))

    def _place(self, provider: str, hook: str) -> tuple[str, int] | None:
        """Return file and line of a provider's hook."""
        code = getattr(getattr(self._plugins[provider].plugin, hook), "__code__", None)
        return (code.co_filename, code.co_firstlineno) if code else None

    def uses(self, provider: str) -> going.Uses:
        """Return what a provider was seen to use that a coming contract no longer has."""
        return self._uses.setdefault(provider, going.Uses(provider))

    def _refuse_unknown_hooks(self, plugin: object) -> None:
        optional = getattr(plugin, "optional_hooks", ())
        if isinstance(optional, str):
            raise InvalidProviderError(
                f"its optional_hooks is a string, not a tuple; write ({optional!r},)"
            )
        for name in dir(plugin):
            if name.startswith("_") or name in (*HOOKS, *optional) or hasattr(Provider, name):
                continue
            function = inspect.getattr_static(plugin, name)
            if not inspect.isroutine(function):
                continue
            near = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.8)
            if near:
                raise InvalidProviderError(f"it has no hook {name!r}; did you mean {near[0]!r}?")
            if name.startswith(RESERVED) or hasattr(function, f"{PROJECT}_impl"):
                major, minor = CONTRACT
                raise InvalidProviderError(
                    f"contract {major}.{minor} has no hook {name!r}, only {', '.join(HOOKS)};"
                    " for a hook of a newer contract update k0sruntime, or list it in"
                    " optional_hooks; begin a helper's name with an underscore"
                )

    def contribute_dropin(self, provider: str, node: Node[Any]) -> list[Contribution[Part]]:
        """Ask one provider for handlers, drop-in keys, binaries, files, and what it warns of."""
        kinds = PARTS
        return self._ask(provider, "contribute_dropin", kinds, COLLECT_SECONDS, node=node)

    def binaries(
        self, provider: str, node: Node[Any]
    ) -> tuple[list[Contribution[Binary]], tuple[Problem, ...]]:
        """Ask one provider for its binaries alone, with why this machine could not have the rest.

        What a generator yields before it raises ``Refused`` counts.
        """
        refused: list[Problem] = []
        kinds = PARTS
        hook = "contribute_dropin"
        found = self._ask(provider, hook, kinds, COLLECT_SECONDS, refused, node=node)
        return [part for part in found if isinstance(part.value, Binary)], tuple(refused)

    def contribute_hosts(self, provider: str, node: Node[Any]) -> list[Contribution[HostsFile]]:
        """Ask one provider for hosts files."""
        return self._ask(provider, "contribute_hosts", (HostsFile,), COLLECT_SECONDS, node=node)

    def cri_socket(self, provider: str, node: Node[Any]) -> list[Contribution[CRISocket]]:
        """Ask one provider for the CRI socket of another runtime."""
        return self._ask(provider, "cri_socket", (CRISocket,), COLLECT_SECONDS, node=node)

    def kubelet_profile(self, provider: str, node: Node[Any]) -> list[Contribution[KubeletProfile]]:
        """Ask one provider for a kubelet profile."""
        return self._ask(provider, "kubelet_profile", (KubeletProfile,), COLLECT_SECONDS, node=node)

    def post_start_check(
        self, provider: str, node: Node[Any], cri: RunningCRI, seconds: float = CHECK_SECONDS
    ) -> list[Contribution[Check]]:
        """Ask one provider to prove what it contributed on the running node."""
        return self._ask(provider, "post_start_check", (Check,), seconds, node=node, cri=cri)

    def owner(self, provider: str, hook: str) -> Owner:
        """Return who answers for what ``provider`` returns from ``hook``."""
        record = self._plugins[provider].record
        return Owner(record.name, record.distribution, record.version, hook)

    def _ask(
        self,
        provider: str,
        hook: str,
        kinds: tuple[type, ...],
        seconds: float,
        refused: list[Problem] | None = None,
        **arguments: object,
    ) -> list[Contribution[Any]]:
        """Call one hook of one provider.

        Args:
            provider: its name.
            hook: the name of the hook.
            kinds: what it may return.
            seconds: how long it may take.
            refused: where to put what the provider refuses, instead of raising.
            **arguments: what the hook is given.

        Raises:
            Inactive: as the provider raised it.
            RefusedError: what the provider says that this node cannot have.
            ProviderError: anything else that went wrong, with provider, version and hook named.
        """
        if hook not in implemented(self._plugins[provider].plugin):
            return []
        others = [entry.plugin for name, entry in self._plugins.items() if name != provider]
        question = Question(
            self._manager.subset_hook_caller(hook, others),
            self.owner(provider, hook),
            kinds,
            seconds,
            self.uses(provider),
            self._place(provider, hook),
        )
        return ask(question, arguments, refused)


def _refuse_what_is_no_function(plugin: object) -> None:
    """Refuse what has a hook's name and could be called, but would never be asked."""
    for name in HOOKS:
        found = getattr(plugin, name, None)
        if found is not None and not inspect.isroutine(found):
            raise InvalidProviderError(
                f"{name} is a {type(found).__name__}, not a function; write it with def"
            )


def _refuse_by_keyword_only(plugin: object) -> None:
    """Refuse arguments that pluggy would never give: it looks at those before a ``*`` alone."""
    for name in implemented(plugin):
        try:
            parameters = inspect.signature(getattr(plugin, name)).parameters.values()
        except (TypeError, ValueError):  # a function of C without a signature
            continue
        known = inspect.signature(getattr(Provider, name)).parameters
        only = [
            found.name
            for found in parameters
            if found.kind is found.KEYWORD_ONLY
            and (found.default is found.empty or found.name in known)
        ]
        if only:
            raise InvalidProviderError(
                f"{name} takes {', '.join(only)} by keyword only; write its arguments without the *"
            )
