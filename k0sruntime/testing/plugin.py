"""The conformance kit as a plugin of pytest.

It comes with the host and does nothing until it is asked: ``pytest --k0sruntime-conformance``
checks every installed provider, beside the tests at hand. Nothing heavy is imported before.
"""

from __future__ import annotations

import os
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k0sruntime.testing.seen import Seen

HELP = {
    "settings": "settings file with the provider's table, for its conformance",
    "nodes": "Python file whose NODES are further made-up nodes, label to arguments of make_node",
    "images": "image bundle for the real node, where it cannot pull the pause image",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the kit's options."""
    group = parser.getgroup("k0sruntime", "conformance of k0sruntime providers")
    group.addoption(
        "--k0sruntime-conformance",
        action="store_true",
        help="check that the installed providers keep the contract",
    )
    group.addoption(
        "--k0sruntime-provider",
        action="append",
        default=[],
        metavar="NAME",
        help="check this provider alone; may be given more than once",
    )
    group.addoption(
        "--k0sruntime-containerd",
        action="append",
        default=[],
        metavar="BIN",
        help="containerd that runs the provider for real; may be given more than once"
        "  [default: those in K0SRUNTIME_CONTAINERD, separated by colons, or the one on PATH]",
    )
    group.addoption(
        "--k0sruntime-update",
        action="store_true",
        help="write snapshots anew instead of comparing them",
    )
    for name, words in HELP.items():
        group.addoption(f"--k0sruntime-{name}", metavar="FILE", default="", help=words)
        parser.addini(f"k0sruntime_{name}", f"{words} (a path below the root folder)", default="")


def _containerds(config: pytest.Config) -> list[str]:
    """Return the containerds that are at hand; an empty path where there is none."""
    given = list(config.getoption("--k0sruntime-containerd"))
    named = [path for path in os.environ.get("K0SRUNTIME_CONTAINERD", "").split(os.pathsep) if path]
    return given or named or [shutil.which("containerd") or ""]


def _file(config: pytest.Config, name: str) -> str:
    """Return a file named on the command line, or in the project's own configuration."""
    if given := str(config.getoption(f"--k0sruntime-{name}")):
        return os.path.abspath(given)
    noted = str(config.getini(f"k0sruntime_{name}"))
    return str(config.rootpath / noted) if noted else ""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add one item a promise and a provider."""
    if config.getoption("--k0sruntime-conformance"):
        items += list(_items(session, config))


def _items(session: pytest.Session, config: pytest.Config) -> Iterator[pytest.Item]:
    from k0sruntime.discovery import installed
    from k0sruntime.testing.checks import CHECKS
    from k0sruntime.testing.real import runs_for_real

    known = list(dict.fromkeys(record.name for record in installed()))
    wanted = config.getoption("--k0sruntime-provider") or known
    if missing := sorted(set(wanted) - set(known)):
        raise pytest.UsageError(
            f"no provider {missing[0]!r} is installed here; there are: {', '.join(known) or 'none'}"
        )
    if not wanted:
        raise pytest.UsageError("no provider is installed here: pip install -e . first")
    _refuse_given(config, wanted, known)
    for name in wanted:
        root = _Provider.from_parent(session, name=f"k0sruntime-conformance[{name}]", provider=name)
        for check in CHECKS:
            yield _Promise.from_parent(root, name=check.__name__, check=check)
        containerds = _containerds(config)
        for path in containerds:
            words = f"[{path}]" if len(containerds) > 1 else ""
            title = f"{runs_for_real.__name__}{words}"
            yield _RealRun.from_parent(root, name=title, check=runs_for_real, containerd=path)


def _refuse_given(config: pytest.Config, wanted: list[str], known: list[str]) -> None:
    """Refuse files that cannot be used, before a provider is blamed for them.

    Raises:
        pytest.UsageError: says which, why, and what to do.
    """
    from k0sruntime.testing import given
    from k0sruntime.testing.fresh import nodes_problem

    named = bool(config.getoption("--k0sruntime-provider"))
    try:
        given.refuse_settings(_file(config, "settings"), wanted, known, named=named)
        given.refuse_images(_file(config, "images"))
    except given.GivenError as exc:
        raise pytest.UsageError(str(exc)) from None
    if problem := nodes_problem(_file(config, "nodes")):
        raise pytest.UsageError(problem)


class _Provider(pytest.Collector):
    """One provider under test; it is probed once, when its first promise is judged."""

    def __init__(self, *, provider: str, **more: Any) -> None:
        super().__init__(**more)
        self.provider = provider
        self._seen: Seen | None = None

    def collect(self) -> list[pytest.Item]:
        """Return nothing: the items are made beside the project's own."""
        return []

    @property
    def seen(self) -> Seen:
        """What two probes saw."""
        if self._seen is None:
            from k0sruntime.testing.facts import Request
            from k0sruntime.testing.fresh import probes
            from k0sruntime.testing.seen import Seen

            config = self.config
            files = _file(config, "settings"), _file(config, "nodes")
            request = Request(self.provider, *files)
            self._seen = Seen(self.provider, *probes(request))
            for sentence in self._seen.first.going:  # a notice, unless warnings are errors
                message = f"provider {self.provider!r} {sentence}"
                warnings.warn(message, FutureWarning, stacklevel=2)
        return self._seen


@pytest.fixture
def k0sruntime_snapshots(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """Compare what ``testing.snapshots`` returned with the files in a folder.

    ``compare(found, folder)``: the folder lies beside the test; ``--k0sruntime-update`` writes it.
    """
    from k0sruntime.testing import kept

    def compare(found: dict[str, dict[str, str]], folder: str) -> None:
        whole = str(request.path.parent / folder)
        if request.config.getoption("--k0sruntime-update"):
            kept.write(found, whole)
        elif differences := kept.differences(found, whole):
            more = "\n".join(differences)
            pytest.fail(f"{more}\n  do: look at it, then pytest --k0sruntime-update", pytrace=False)

    return compare


class BrokenPromiseError(Exception):
    """A provider does not keep what the contract promises."""


class _Promise(pytest.Item):
    """One promise of one provider."""

    def __init__(self, *, check: Callable[..., Iterator[str]], **more: Any) -> None:
        super().__init__(**more)
        self._check = check
        if self.config.pluginmanager.hasplugin("timeout"):  # the probe has limits of its own
            self.add_marker(pytest.mark.timeout(0))

    def _found(self) -> Iterator[str]:
        return self._check(self._provider().seen)

    def _provider(self) -> _Provider:
        assert isinstance(self.parent, _Provider)  # noqa: S101 - it was made so
        return self.parent

    def runtest(self) -> None:
        """Judge, and tell all that is wrong at once."""
        from k0sruntime.testing.seen import NotSeenError

        try:
            found = list(self._found())
        except NotSeenError as exc:
            pytest.skip(str(exc))
        if found:
            remedy = " ".join((self._check.__doc__ or "").split("\n\n")[0].split())
            raise BrokenPromiseError("\n".join([*found, f"  do: {remedy}"]))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Return the sentences alone; a traceback would show the kit's own code."""
        if isinstance(excinfo.value, BrokenPromiseError):
            return f"provider {self._provider().provider}, {self.name}:\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return how the item is called in reports."""
        return self.config.rootpath, None, f"{self._provider().provider}: {self.name}"


class _RealRun(_Promise):
    """The promise that needs a containerd."""

    def __init__(self, *, containerd: str, **more: Any) -> None:
        super().__init__(**more)
        self._containerd = containerd

    def _found(self) -> Iterator[str]:
        from k0sruntime.discovery import installed
        from k0sruntime.testing.real import Parts

        config, name = self.config, self._provider().provider
        others = tuple(sorted({record.name for record in installed()} - {name}))
        parts = Parts(self._containerd, _file(config, "settings"), _file(config, "images"), others)
        return self._check(name, parts)
