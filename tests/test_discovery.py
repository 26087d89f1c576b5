"""Discovery against distributions on disk: good, broken, duplicate, outdated."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime import discovery
from k0sruntime.discovery import Record, discover

GOOD = """
from k0sruntime import Provider, RuntimeHandler

class Good(Provider):
    summary = "a good one"
    def contribute_dropin(self, node):
        yield RuntimeHandler(name="good")

provider = Good()
"""


class Site:
    """A folder that distributions are laid into, as an installer would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def install(
        self,
        distribution: str,
        code: str,
        *,
        name: str = "acme",
        version: str = "1.0",
        requires: str = "",
        target: str = "provider",
    ) -> None:
        module = distribution.replace("-", "_")
        self.modules.append(module)
        (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requires}"] if requires else []
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        where = f"{module}:{target}" if target else module
        (info / "entry_points.txt").write_text(f"[k0sruntime]\n{name} = {where}\n")

    def records(self, **options: object) -> dict[str, Record]:
        found = discover(path=[str(self.folder)], **options)  # type: ignore[arg-type]
        return {record.name: record for record in found.records}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Site(tmp_path)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def test_the_built_in_provider_comes_first_and_is_always_there(site: Site) -> None:
    assert list(site.records()) == ["node"]


def test_a_good_provider_is_active_with_its_origin(site: Site) -> None:
    site.install("acme-runtime", GOOD)
    record = site.records()["acme"]
    assert (record.state, record.distribution, record.version) == ("active", "acme-runtime", "1.0")
    assert record.hooks == ("contribute_dropin",)
    assert record.summary == "a good one"


def test_a_module_with_functions_is_a_provider_too(site: Site) -> None:
    site.install("acme-runtime", "def contribute_hosts(node):\n    return ()\n", target="")
    assert site.records()["acme"].hooks == ("contribute_hosts",)


WRAPPER = """
import pluggy

impl = pluggy.HookimplMarker("k0sruntime")

class P:
    @impl(wrapper=True)
    def cri_socket(self, node):
        return (yield)

provider = P()
"""
BROKEN = {
    "an import error": ("import nothing_of_that_name\n", "ModuleNotFoundError"),
    "an exit at import": ("raise SystemExit(3)\n", "SystemExit"),
    "a missing name": ("x = 1\n", "AttributeError"),
    "a syntax error": ("def (:\n", "SyntaxError"),
    "a class and no instance": (
        GOOD.replace("provider = Good()", "provider = Good"),
        "export an instance",
    ),
    "no hook at all": ("class P: pass\nprovider = P()\n", "implements none of the hooks"),
    "a typo in a hook's name": (
        GOOD.replace("contribute_dropin", "contribute_dropins"),
        "did you mean 'contribute_dropin'",
    ),
    "an argument that the contract lacks": (
        GOOD.replace("(self, node)", "(self, nodes)"),
        "nodes",
    ),
    "a hook wrapper": (
        WRAPPER,
        "wrapper",
    ),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_provider_is_a_record_with_its_reason_and_the_rest_go_on(
    site: Site, case: str
) -> None:
    code, reason = BROKEN[case]
    site.install("bad-runtime", code, name="bad")
    site.install("good-runtime", GOOD, name="good")
    records = site.records()
    assert records["bad"].state == "broken", records["bad"]
    assert reason in records["bad"].reason
    assert "--without bad" in records["bad"].remedy
    assert records["good"].state == "active"


def test_an_import_that_hangs_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "IMPORT_SECONDS", 0.1)
    site.install("slow-runtime", "import time\ntime.sleep(2)\n")
    assert "no answer within 0.1 s" in site.records()["acme"].reason


def test_two_distributions_with_one_name_are_both_out_and_both_named(site: Site) -> None:
    site.install("one-runtime", GOOD)
    site.install("other-runtime", GOOD, version="2.0")
    found = discover(path=[str(site.folder)]).records
    records = [record for record in found if record.name == "acme"]
    assert {record.state for record in records} == {"duplicate"}
    assert {record.reason.split(" has ")[0] for record in records} == {
        "one-runtime 1.0",
        "other-runtime 2.0",
    }


def test_nobody_takes_the_hosts_own_name(site: Site) -> None:
    site.install("cuckoo", GOOD, name="node")
    found = discover(path=[str(site.folder)]).records
    assert [(r.distribution, r.state) for r in found if r.name == "node"] == [
        ("k0sruntime", "active"),
        ("cuckoo", "duplicate"),
    ]


def test_an_older_copy_later_on_the_path_counts_not(site: Site, tmp_path: Path) -> None:
    site.install("acme-runtime", GOOD, version="2.0")
    later = Site(tmp_path / "later")
    later.folder.mkdir()
    later.install("acme-runtime", "raise RuntimeError('the old one')\n", version="1.0")
    found = discover(path=[str(site.folder), str(later.folder)]).records
    (record,) = [record for record in found if record.name == "acme"]
    assert (record.state, record.version) == ("active", "2.0")


@pytest.mark.parametrize("requires", ["k0sruntime>=99", "k0sruntime (<0.1)", "K0sruntime==0.0.1"])
def test_a_provider_for_another_host_is_told_which_one(site: Site, requires: str) -> None:
    site.install("acme-runtime", GOOD, requires=requires)
    record = site.records()["acme"]
    assert record.state == "incompatible"
    assert "it needs k0sruntime" in record.reason
    assert "Install a version of acme-runtime that fits" in record.remedy


@pytest.mark.parametrize("requires", ["k0sruntime>=0.1,<1", "k0sruntime", "k0sruntime-other>=99"])
def test_a_provider_for_this_host_is_taken(site: Site, requires: str) -> None:
    site.install("acme-runtime", GOOD, requires=requires)
    assert site.records()["acme"].state == "active"


def test_a_provider_that_is_left_out_is_not_even_imported(site: Site) -> None:
    site.install("bad-runtime", "raise RuntimeError\n")
    assert site.records(without=["acme"])["acme"].state == "blocked"
