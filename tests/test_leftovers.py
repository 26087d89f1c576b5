"""What a provider has left when it is uninstalled goes with the next up, as part of the plan."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from k0sruntime.cli.main import run

NODE = '[node]\nmode = "managed"\nk0s = "1.36"\n'
CODE = """
from k0sruntime import ConfigFile, Provider, RuntimeHandler

class Acme(Provider):
    def contribute_dropin(self, node):
        options = {"ConfigPath": node.config_file("acme.toml")}
        yield RuntimeHandler(name="acme", options=options)
        yield ConfigFile(name="acme.toml", content="x = 1\\n")

provider = Acme()
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions, with one provider in it."""
    folder = tmp_path / "site"
    info = folder / "left_acme-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "left_acme.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-left\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = left_acme:provider\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def acmes(node: Path) -> set[str]:
    return {
        str(p.relative_to(node)) for p in (node / "etc/k0s").rglob("*") if "acme" in str(p.name)
    }


def test_the_next_up_removes_what_an_uninstalled_provider_has_left(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    settings = node / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(NODE)
    options = ["--sandbox", str(node)]
    assert run(["up", *options]) == 0
    assert acmes(node) == {
        "etc/k0s/containerd.d/k0sruntime-acme.toml",
        "etc/k0s/k0sruntime/acme",
        "etc/k0s/k0sruntime/acme/acme.toml",
    }
    shutil.rmtree(site)
    sys.modules.pop("left_acme", None)
    capsys.readouterr()

    assert run(["plan", "--exit-code", "--json", *options]) == 10
    planned = json.loads(capsys.readouterr().out)["files"]
    removed = {f["path"]: f["owner"] for f in planned if f["action"] == "remove"}
    assert removed == {
        f"{node}/etc/k0s/containerd.d/k0sruntime-acme.toml": "acme",
        f"{node}/etc/k0s/k0sruntime/acme/acme.toml": "acme",
    }

    assert run(["up", *options]) == 0
    assert acmes(node) == set()
    assert run(["plan", "--exit-code", *options]) == 0


def test_a_leftover_that_somebody_edited_is_not_removed_in_silence(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    settings = node / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(NODE)
    options = ["--sandbox", str(node)]
    assert run(["up", *options]) == 0
    dropin = node / "etc/k0s/containerd.d/k0sruntime-acme.toml"
    dropin.write_text(dropin.read_text() + "# mine\n")
    shutil.rmtree(site)
    sys.modules.pop("left_acme", None)
    assert run(["up", *options]) == 3
    assert "is ours, and somebody edited it" in capsys.readouterr().err
    assert dropin.exists()


def test_the_table_of_an_uninstalled_provider_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"{NODE}\n[acme]\nx = 1\n")
    assert run(["up", "--sandbox", str(tmp_path)]) == 3
    assert "no provider called 'acme' is installed" in capsys.readouterr().err


def test_with_its_table_an_uninstalled_provider_is_still_wanted_and_what_it_left_is_told(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    settings = node / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"{NODE}\n[acme]\n")
    options = ["--sandbox", str(node)]
    assert run(["up", *options]) == 0
    before = acmes(node)
    shutil.rmtree(site)
    sys.modules.pop("left_acme", None)

    for command in ("up", "plan", "providers"):
        capsys.readouterr()
        assert run([command, *options]) == 3
        said = " ".join(capsys.readouterr().err.split())
        assert "'acme' is installed any more, and its 2 files are still here" in said
        assert "delete [acme], and the next up removes what it has left" in said
    assert acmes(node) == before

    settings.write_text(NODE)
    assert run(["up", *options]) == 0
    assert acmes(node) == set()
