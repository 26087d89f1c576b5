"""What a coming contract takes away: told once, by the provider's name, everywhere it should be."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import going
from k0sruntime.cli.main import run
from k0sruntime.going import GOING, Going
from k0sruntime.testing import compose, make_node

CODE = """
from k0sruntime import Check, DropIn, Host, HostsFile, Provider

class Acme(Provider):
    def contribute_dropin(self, node):
        if node.kvm:
            pass
        registry = {"config_path": node.paths.certs}
        yield DropIn(images={"registry": registry}, reason="acme needs it")

    def contribute_hosts(self, node):
        yield HostsFile(registry="r.example", hosts=[Host(url="https://a", skip_verify=True)])

    def cri_socket(self, node):
        return ()

    def post_start_check(self, node, cri):
        yield Check(name="acme", verdict="pass")

provider = Acme()
"""
PARTS = {
    "an imported name": "HostsFile",
    "a field of a contribution": "DropIn.reason",
    "a field within a contribution": "Host.skip_verify",
    "a field of the node": "Node.kvm",
    "an argument of a hook": "post_start_check(cri)",
    "a hook": "cri_socket",
}
UNUSED = ("Binary", "DropIn.tables", "Host.header", "Node.gpus", "cri_socket(cluster)", "Node.kvm2")


def goes(*what: str) -> tuple[Going, ...]:
    return tuple(Going(part, (1, 1), (2, 0), f"use better.{part}") for part in what)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions, with a provider that uses all of it."""
    info = tmp_path / "site" / "going_acme-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site/going_acme.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: going-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = going_acme:provider\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path
    sys.modules.pop("going_acme", None)


def said(site: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    options = ["--sandbox", str(site / "node"), "--json"]
    others = [f"--without={name}" for name in ("gvisor", "nvidia", "dockerd", "mirrors")]
    assert run(["providers", "acme", *options, *others]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.parametrize("part", PARTS)
def test_each_part_that_goes_is_told_once_with_the_providers_name_and_what_to_do(
    site: Path, part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(going, "GOING", goes(PARTS[part]))
    with pytest.warns(FutureWarning) as warned:
        document = said(site, capsys)
    (warning,) = [w for w in warned if "'acme'" in str(w.message)]  # the host's own may use it too
    sentence = (
        f"uses {PARTS[part]}, which goes with contract 2.0 (announced with 1.1);"
        f" use better.{PARTS[part]}"
    )
    assert str(warning.message) == f"provider 'acme' {sentence}"
    assert warning.filename.endswith("going_acme.py"), "it points at the provider's own code"
    assert document["going"] == [sentence]
    assert document["state"] == "active", "it still works"


def test_what_a_provider_does_not_use_is_not_told(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(going, "GOING", goes(*UNUSED))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "provider 'acme'")
        assert said(site, capsys)["going"] == []


def test_a_person_reads_it_beside_the_contract(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(going, "GOING", goes("cri_socket"))
    others = [f"--without={name}" for name in ("gvisor", "nvidia", "dockerd", "mirrors")]
    with pytest.warns(FutureWarning):
        assert run(["providers", "acme", "--sandbox", str(site / "node"), *others]) == 0
    told = capsys.readouterr().out
    assert "this host has 1.0\n          it uses cri_socket, which goes with contract 2.0" in told


def test_the_vendors_own_tests_are_warned_as_well(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going, "GOING", goes("HostsFile", "DropIn.reason"))
    with pytest.warns(FutureWarning, match="this code uses HostsFile"):
        import going_acme  # type: ignore[import-not-found]
    node = make_node("acme", None, mode="managed")
    with pytest.warns(FutureWarning, match="provider 'acme' uses DropIn.reason"):
        compose(going_acme.provider, node)


def test_the_conformance_kit_gives_notice_and_fails_where_warnings_are_errors(site: Path) -> None:
    (site / "site/sitecustomize.py").write_text(
        "from k0sruntime import going\n"
        "going.GOING = (going.Going('Node.kvm', (1, 1), (2, 0), 'use Node.gpus'),)\n"
    )
    found = [kit(site, *more) for more in ([], ["-W", "error::FutureWarning"])]
    assert [done.returncode for done in found] == [0, 1], found[0].stdout
    for done in found:
        assert "FutureWarning: provider 'acme' uses Node.kvm, which goes with" in done.stdout


NODE_IN_HAND = """
import copy
import dataclasses
import threading

from k0sruntime import DropIn, Provider

class Acme(Provider):
    def contribute_dropin(self, node):
        {does}
        yield DropIn(tables={{"acme": {{"x": 1}}}})

provider = Acme()
"""
TAKES_ALL = {
    "a copy with another field": "dataclasses.replace(node, arch='aarch64')",
    "a copy": "copy.copy(node)",
    "a comparison": "assert node == copy.copy(node)",
    "a look at it": "repr(node)",
}


@pytest.mark.parametrize("does", TAKES_ALL)
def test_what_takes_the_whole_node_reads_no_field_of_it(
    site: Path, does: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "site/going_acme.py").write_text(NODE_IN_HAND.format(does=TAKES_ALL[does]))
    monkeypatch.setattr(going, "GOING", goes("Node.kvm", "Node.os_release"))
    assert said(site, capsys)["going"] == []


def test_a_read_in_a_thread_of_the_providers_own_is_told_in_its_name(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    does = "one = threading.Thread(target=lambda: node.kvm); one.start(); one.join()"
    (site / "site/going_acme.py").write_text(NODE_IN_HAND.format(does=does))
    monkeypatch.setattr(going, "GOING", goes("Node.kvm"))
    with pytest.warns(FutureWarning, match="provider 'acme' uses Node.kvm"):
        assert len(said(site, capsys)["going"]) == 1


def test_a_watched_node_is_the_same_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(going, "GOING", goes("Node.kvm"))
    node = make_node("acme", None)
    one, two = (going.watched(node, going.Uses("acme")) for _ in range(2))
    assert one == node == two
    assert node == one == two
    assert one != make_node("bcme", None)
    assert repr(one) == repr(node)


def kit(site: Path, *more: str) -> subprocess.CompletedProcess[str]:
    options = ["--k0sruntime-conformance", "--k0sruntime-provider=acme", "--k0sruntime-containerd="]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *more],
        cwd=site / "site",
        env={"PYTHONPATH": str(site / "site"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_that_goes_is_part_of_the_contract_and_has_its_line_in_the_changelog() -> None:
    changes = (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
    for part in GOING:
        assert part.gone[0] > part.since[0], "only a major takes away"
        assert part.what in changes.partition("### Deprecated")[2]
