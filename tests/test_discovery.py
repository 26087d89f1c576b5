"""Discovery against distributions on disk: good, broken, duplicate, outdated."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k0sruntime import discovery
from k0sruntime.collect import refuse_broken
from k0sruntime.discovery import Discovered, discover
from k0sruntime.errors import ProviderError
from k0sruntime.records import Record
from k0sruntime.testing import make_node

PLUGINS = Path(__file__).parent / "data" / "plugins"
GOOD = (PLUGINS / "good" / "acme_good.py").read_text()

Laid = Callable[..., Discovered]


@pytest.fixture
def loaded_modules() -> Iterator[None]:
    """Forget the modules that a test has imported."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0].startswith(("acme", "bad", "good")):
            del sys.modules[name]


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch, loaded_modules: None) -> Laid:
    """Discover the distributions of one or more folders, the first of them first on the path."""

    def discovered(*names: str, without: tuple[str, ...] = ()) -> Discovered:
        folders = [str(PLUGINS / name) for name in names]
        for folder in reversed(folders):
            monkeypatch.syspath_prepend(folder)
        return discover(without, path=folders)

    return discovered


def acme(found: Discovered) -> Record:
    (record,) = [record for record in found.records if record.name == "acme"]
    return record


class Site:
    """A folder that distributions are laid into, as an installer would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        distribution: str,
        code: str = GOOD,
        *,
        name: str = "acme",
        version: str = "1.0",
        requires: str = "",
        points: str = "",
    ) -> Path:
        module = distribution.replace("-", "_").lower()
        (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requires}"] if requires else []
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        written = points or f"[k0sruntime]\n{name} = {module}:provider\n"
        (info / "entry_points.txt").write_text(written)
        return info

    def discover(self, without: tuple[str, ...] = ()) -> Discovered:
        return discover(without, path=[str(self.folder)])

    def records(self) -> dict[str, Record]:
        return {record.name: record for record in self.discover().records}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded_modules: None) -> Site:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Site(tmp_path)


def test_the_built_in_provider_comes_first_and_is_always_there(site: Site) -> None:
    assert list(site.records()) == ["node"]


def test_a_good_provider_is_active_with_its_origin(case: Laid) -> None:
    record = acme(case("good"))
    assert (record.state, record.distribution, record.version) == ("active", "acme-good", "1.0")
    assert record.hooks == ("contribute_dropin",)
    assert record.summary == "one handler"


def test_a_module_with_functions_is_a_provider_too(case: Laid) -> None:
    found = case("module-with-functions")
    record = acme(found)
    assert (record.state, record.hooks) == ("active", ("contribute_hosts",))
    assert record.summary == "a module with functions"
    (contribution,) = found.hooks.contribute_hosts("acme", make_node("acme", None))
    assert str(contribution.owner) == "acme (acme-module 1.0), hook contribute_hosts"


BROKEN = {
    "import-error": "ModuleNotFoundError: No module named 'acme_has_no_such_module'",
    "exits-at-import": "SystemExit: acme gives up",
    "raises-at-import": "the licence of acme",
    "class-not-instance": "the class Acme; export an instance of it",
    "typo-in-a-hook": "no hook 'contribute_dropins'; did you mean 'contribute_dropin'?",
    "hook-wrapper": "cri_socket is a hook wrapper",
    "old-hook-wrapper": "contribute_dropin is a hook wrapper",
    "wrong-argument": "config",
    "no-hook": "implements none of the hooks contribute_dropin, contribute_hosts",
    "raises-when-looked-at": "no summary today",
    "hook-that-is-no-function": "contribute_dropin",
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_provider_is_a_record_with_its_reason_and_the_rest_go_on(
    case: Laid, site: Site, name: str
) -> None:
    site.install("good-runtime", name="good")
    found = case(name, str(site.folder))
    record = acme(found)
    assert record.state == "broken", record
    assert BROKEN[name] in record.reason
    assert "--without acme" in record.remedy
    assert record.distribution in record.remedy
    assert [r.state for r in found.records if r.name == "good"] == ["active"]


@pytest.mark.parametrize("name", list(BROKEN))
def test_up_refuses_a_broken_provider_and_names_distribution_version_and_entry_point(
    case: Laid, name: str
) -> None:
    found = case(name)
    with pytest.raises(ProviderError) as refused:
        refuse_broken(found.records)
    (problem,) = refused.value.problems
    assert "provider 'acme' is broken" in problem.message
    assert problem.place == "entry point acme in group k0sruntime"
    assert problem.culprit == f"{acme(found).distribution} 1.0"


@pytest.mark.parametrize("name", ["import-error", "class-not-instance", "duplicate", "outdated"])
def test_without_goes_on_without_it_and_does_not_even_import_it(case: Laid, name: str) -> None:
    found = case(name, without=("acme",))
    assert {r.state for r in found.records if r.name == "acme"} == {"blocked"}
    refuse_broken(found.records)
    assert not [module for module in sys.modules if module.startswith("acme")]


def test_an_import_that_hangs_is_given_up(case: Laid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "IMPORT_SECONDS", 0.05)
    record = acme(case("hangs-at-import"))
    assert record.state == "broken"
    assert "no answer within 0.05 s" in record.reason


def test_a_reason_is_one_line_whatever_the_exception_says(case: Laid) -> None:
    assert "\n" not in acme(case("raises-at-import")).reason


def test_the_reason_names_the_line_that_raised(case: Laid) -> None:
    assert "acme_raises.py:2" in acme(case("raises-at-import")).reason


def test_an_async_hook_is_refused_with_the_reason(case: Laid) -> None:
    found = case("async-hook")
    if acme(found).state == "broken":
        assert "coroutine" in acme(found).reason
        return
    with pytest.raises(ProviderError, match="coroutine") as refused:
        found.hooks.contribute_dropin("acme", make_node("acme", None))
    assert refused.value.problems[0].culprit == "acme-async 1.0"


def test_a_syntax_error_is_told_with_the_file(site: Site) -> None:
    site.install("bad-runtime", "def (:\n")
    record = site.records()["acme"]
    assert "SyntaxError" in record.reason
    assert "bad_runtime.py" in record.reason


@pytest.mark.parametrize(
    "name", ["hook-wrapper", "wrong-argument", "class-not-instance", "typo-in-a-hook"]
)
def test_no_hook_of_a_refused_provider_is_ever_called(case: Laid, site: Site, name: str) -> None:
    code = GOOD.replace('name="acme"', 'name="good"')
    site.install("good-runtime", code, name="good")
    found = case(name, str(site.folder))
    given = found.hooks.contribute_dropin("good", make_node("good", None))
    assert [contribution.value.name for contribution in given] == ["good"]
    assert {contribution.owner.distribution for contribution in given} == {"good-runtime"}


def test_two_distributions_with_one_name_are_both_out_and_both_named(case: Laid) -> None:
    found = case("duplicate")
    records = [record for record in found.records if record.name == "acme"]
    assert [(r.distribution, r.version) for r in records] == [
        ("acme-one", "1.0"),
        ("acme-other", "2.0"),
    ]
    assert {record.state for record in records} == {"duplicate"}
    assert "acme-other 2.0 has a provider of the same name" in records[0].reason
    assert "acme-one 1.0 has a provider of the same name" in records[1].reason
    with pytest.raises(ProviderError) as refused:
        refuse_broken(found.records)
    assert [p.culprit for p in refused.value.problems] == ["acme-one 1.0", "acme-other 2.0"]


def test_the_order_of_folders_decides_nothing(case: Laid, site: Site) -> None:
    site.install("good-runtime", name="good")
    site.install("bad-runtime", name="another")
    one = case("good", str(site.folder))
    other = case(str(site.folder), "good")
    assert one.names() == other.names() == ("node", "acme", "another", "good")


def test_nobody_takes_the_hosts_own_name(site: Site) -> None:
    site.install("bad-cuckoo", name="node")
    found = site.discover().records
    assert [(r.distribution, r.state) for r in found if r.name == "node"] == [
        ("k0sruntime", "active"),
        ("bad-cuckoo", "duplicate"),
    ]


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "x" * 300], ids=lambda name: name[:8])
def test_a_name_that_cannot_be_part_of_a_file_name_is_refused(site: Site, name: str) -> None:
    site.install("bad-runtime", name=name)
    (record,) = [r for r in site.discover().records if r.distribution == "bad-runtime"]
    assert record.state == "broken"
    assert "name" in record.reason


def test_an_older_copy_later_on_the_path_counts_not(case: Laid) -> None:
    record = acme(case("two-copies/first", "two-copies/later"))
    assert (record.state, record.version) == ("active", "2.0")


@pytest.mark.parametrize("spelling", ["Acme-Twice", "acme.twice", "ACME_TWICE"])
def test_an_older_copy_counts_not_however_its_name_is_spelt(
    case: Laid, site: Site, spelling: str
) -> None:
    site.install(spelling, "raise RuntimeError('the old one')\n", version="0.9")
    record = acme(case("two-copies/first", str(site.folder)))
    assert (record.state, record.version) == ("active", "2.0")


def test_an_older_copy_counts_not_though_the_newer_one_has_no_provider_any_more(
    site: Site, tmp_path: Path
) -> None:
    site.install("acme-runtime", version="2.0", points="[console_scripts]\na = a:b\n")
    later = Site(tmp_path / "later")
    later.folder.mkdir()
    later.install("acme-runtime", version="1.0")
    found = discover(path=[str(site.folder), str(later.folder)])
    assert found.names() == ("node",)


@pytest.mark.parametrize("name", ["incompatible", "outdated"])
def test_a_provider_for_another_host_is_told_which_one_and_is_not_imported(
    case: Laid, name: str
) -> None:
    record = acme(case(name))
    assert record.state == "incompatible"
    assert "it needs k0sruntime " in record.reason
    assert f"Install a version of {record.distribution} that fits k0sruntime" in record.remedy
    with pytest.raises(ProviderError, match="is incompatible"):
        refuse_broken([record])


@pytest.mark.parametrize(
    "requires",
    [
        "k0sruntime>=99",
        "k0sruntime (<0.1)",
        "K0sruntime==0.0.1",
        "k0sruntime[gvisor]>=99",
        'k0sruntime>=99; python_version >= "3.10"',
        'k0sruntime>=99 ; sys_platform == "linux"',
    ],
)
def test_every_way_to_require_another_host_is_read(site: Site, requires: str) -> None:
    site.install("acme-runtime", requires=requires)
    assert site.records()["acme"].state == "incompatible"


@pytest.mark.parametrize(
    "requires",
    [
        "k0sruntime>=0.1",
        "k0sruntime>=0.1,<1",
        "k0sruntime<1,>=0.1",
        "k0sruntime",
        "k0sruntime-other>=99",
        'k0sruntime>=99; extra == "tomorrow"',
        'k0sruntime>=99; python_version < "3"',
    ],
)
def test_a_provider_for_this_host_is_taken(site: Site, requires: str) -> None:
    site.install("acme-runtime", requires=requires)
    assert site.records()["acme"].state == "active"


@pytest.mark.parametrize(
    "points",
    ["[k0sruntime]\nacme = not an object reference\n", "[k0sruntime]\nacme = acme_runtime:a..b\n"],
)
def test_an_entry_point_that_names_nothing_is_broken(site: Site, points: str) -> None:
    site.install("acme-runtime", points=points)
    assert site.records()["acme"].state == "broken"


def test_a_name_that_the_module_lacks_is_told(site: Site) -> None:
    site.install("bad-runtime", "x = 1\n")
    record = site.records()["acme"]
    assert record.state == "broken"
    assert "no attribute 'provider'" in record.reason


@pytest.mark.parametrize("damage", ["no metadata", "garbled entry points"])
def test_a_damaged_installation_hides_no_other_provider(site: Site, damage: str) -> None:
    info = site.install("bad-runtime", name="bad")
    if damage == "no metadata":
        (info / "METADATA").unlink()
    else:
        (info / "entry_points.txt").write_text("[k0sruntime]\nbad\n= =\n[[\n")
    site.install("good-runtime", name="good")
    assert site.records()["good"].state == "active"


def test_a_damaged_installation_is_told_itself(site: Site) -> None:
    info = site.install("bad-runtime", name="bad")
    (info / "METADATA").unlink()
    record = site.records()["bad"]
    assert (record.state, record.reason) == ("broken", "its installation has no metadata")
    assert record.origin == f"an installation without metadata in {site.folder}"
    assert record.remedy == "Install it anew, or go on with --without bad."
    assert site.discover(without=("bad",)).records[1].state == "blocked"


def test_a_distribution_with_garbled_entry_points_is_told_by_its_own_name(site: Site) -> None:
    info = site.install("bad-runtime", name="bad")
    (info / "entry_points.txt").write_text("[k0sruntime]\nbad\n")
    record = site.records()["bad-runtime"]
    assert record.state == "broken"
    assert "its entry points cannot be read: " in record.reason


def test_garbled_entry_points_of_others_are_none_of_our_business(site: Site) -> None:
    site.install("bad-runtime", points="[console_scripts]\nbad\n")
    assert list(site.records()) == ["node"]


LATIN = "# J\xfcrgen\n[{group}]\nacme = bad_runtime:provider\n"


def test_entry_points_that_are_not_utf_8_are_told_by_the_distributions_name(site: Site) -> None:
    info = site.install("bad-runtime")
    (info / "entry_points.txt").write_bytes(LATIN.format(group="k0sruntime").encode("latin-1"))
    site.install("good-runtime", name="good")
    assert site.records()["good"].state == "active"
    record = site.records()["bad-runtime"]
    assert record.state == "broken"
    assert "its entry points cannot be read: UnicodeDecodeError" in record.reason
    names = [record.name for record in discovery.installed([str(site.folder)])]
    assert names == ["bad-runtime", "good"]


def test_entry_points_of_others_that_are_not_utf_8_are_none_of_our_business(site: Site) -> None:
    info = site.install("bad-runtime")
    (info / "entry_points.txt").write_bytes(LATIN.format(group="console_scripts").encode("latin-1"))
    site.install("good-runtime", name="good")
    assert list(site.records()) == ["node", "good"]


CHECKER_ONLY = """
from __future__ import annotations
from typing import TYPE_CHECKING
from k0sruntime import Provider, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

class Inner(Settings, frozen=True):
    things: Sequence[str] = ()

class Outer(Settings, frozen=True):
    inner: dict[str, Inner] = {}

class Acme(Provider):
    settings = WHICH

    def contribute_hosts(self, node):
        return []

provider = Acme()
"""


@pytest.mark.parametrize("which", ["Inner", "Outer", "dict[str, Inner]"])
def test_settings_with_a_type_of_the_type_checkers_are_told_and_stop_nobody_else(
    site: Site, which: str
) -> None:
    site.install("acme-runtime", CHECKER_ONLY.replace("WHICH", which))
    site.install("good-runtime", name="good")
    assert site.records()["good"].state == "active"
    record = site.records()["acme"]
    assert record.state == "broken"
    assert record.reason == (
        "its settings cannot be read: name 'Sequence' is not defined;"
        " import it at run time, not under TYPE_CHECKING"
    )


INTERRUPTS = """
class Acme:
    @property
    def summary(self):
        raise KeyboardInterrupt

provider = Acme()
"""


@pytest.mark.parametrize("code", ["raise KeyboardInterrupt", INTERRUPTS], ids=["import", "a look"])
def test_an_interrupt_that_nobody_pressed_is_the_providers_mistake(site: Site, code: str) -> None:
    site.install("acme-runtime", code)
    record = site.records()["acme"]
    assert record.state == "broken"
    assert "it raised KeyboardInterrupt by itself (" in record.reason


def test_what_is_left_of_an_older_copy_does_not_stand_in_the_way(site: Site) -> None:
    (site.install("acme-runtime", version="0.9") / "METADATA").unlink()
    site.install("acme-runtime", version="1.0")
    record = site.records()["acme"]
    assert (record.state, record.version) == ("active", "1.0")


def test_settings_that_are_no_settings_class_are_refused(site: Site) -> None:
    code = GOOD + "\n\nprovider.settings = 3\n"
    site.install("acme-runtime", code)
    record = site.records()["acme"]
    assert record.state == "broken"
    assert "its settings must be a class derived from Settings" in record.reason


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("acm", 'no such provider is installed. Did you mean "acme"?'),
        ("node", "it is the host's own provider"),
    ],
)
def test_a_name_that_is_left_out_in_vain_is_told(site: Site, name: str, told: str) -> None:
    site.install("acme-runtime")
    (note,) = site.discover(without=(name,)).notes
    assert note == f"--without {name} has no effect: {told}"
    assert site.discover(without=("acme",)).notes == ()
