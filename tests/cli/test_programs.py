"""Programs through the command line, into an image: planned, fetched, installed, refused."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from k0sruntime.errors import ExitCode, Problem
from k0sruntime.node import Version
from tests.made_up_releases import DATE, SHIM, bare_environment, lay_release, settings, without


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_environment(monkeypatch, tmp_path / "user")
    monkeypatch.setenv("K0SRUNTIME_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    file = folder / "etc/k0sruntime/config.toml"
    file.parent.mkdir(parents=True)
    lay_release(tmp_path / "releases", DATE, platform.machine())
    file.write_text(settings(tmp_path / "releases"))
    return folder


def on(image: Path, *arguments: str) -> int:
    command, *rest = arguments
    left_out = without("nvidia", "dockerd", "mirrors")
    return run([command, "--root", str(image), *left_out, *rest])


def programs(image: Path) -> list[str]:
    base = image / "var/lib/k0sruntime/bin"
    return sorted(str(p.relative_to(base)) for p in base.rglob("*")) if base.exists() else []


def test_a_plan_shows_what_would_be_fetched_and_fetches_nothing(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert on(image, "plan", "--exit-code") == ExitCode.PENDING
    shown = capsys.readouterr().out
    folder = r"/var/lib/k0sruntime/bin/gvisor/gvisor-20260720\.0-[0-9a-f]{8}"
    assert re.search(rf"\+ fetch     {folder}  \[gvisor\] from ", shown)
    assert on(image, "plan", "--json") == 0
    (binary,) = json.loads(capsys.readouterr().out)["binaries"]
    assert (binary["name"], binary["action"]) == ("gvisor", "fetch")
    assert programs(image) == []
    assert not (image.parent / "cache").exists()


def test_up_lays_them_into_an_image_where_the_handler_names_them(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert on(image, "up") == 0
    (name,) = os.listdir(image / "var/lib/k0sruntime/bin/gvisor")
    assert name.startswith("gvisor-20260720.0-")
    version = f"gvisor/{name}"
    assert {f"{version}/runsc", f"{version}/{SHIM}"} < set(programs(image))
    dropin = (image / "etc/k0s/containerd.d/k0sruntime-gvisor.toml").read_text()
    assert f'runtime_path = "/var/lib/k0sruntime/bin/{version}/{SHIM}"' in dropin
    file = (image / "etc/k0s/k0sruntime/gvisor/runsc.toml").read_text()
    assert f'binary_name = "/var/lib/k0sruntime/bin/{version}/runsc"' in file
    capsys.readouterr()
    assert on(image, "plan", "--json") == 0
    assert json.loads(capsys.readouterr().out)["binaries"][0]["action"] == "unchanged"


def test_fetch_fills_the_cache_and_installs_nothing(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carried = image.parent / "carried"
    assert on(image, "fetch", "--cache", str(carried), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cache"] == str(carried)
    assert [Path(f["url"]).name for f in document["files"]] == ["runsc", SHIM]
    assert all(Path(f["path"]).is_file() for f in document["files"])
    assert programs(image) == []


def test_fetch_asks_nothing_of_the_machine_that_has_the_network(
    image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kernel, no KVM, not its architecture, nor the files that the settings name."""
    here = image.parent / "releases/20260720.0" / platform.machine()
    there = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
    here.rename(here.parent / there)
    settings = image / "etc/k0sruntime/config.toml"
    text = settings.read_text().replace("[node]", '[node]\ncontainerd = "/not/here"')
    text = text.replace("[gvisor.release]", '[gvisor]\nplatform = "kvm"\n[gvisor.release]')
    mirror = '[mirrors."r.test"]\nendpoints = ["https://m.test"]\nca = "/not/here.pem"\n'
    settings.write_text(text + mirror)
    monkeypatch.setattr("k0sruntime.host.kernel", lambda _: Version(4, 19))
    monkeypatch.setattr("k0sruntime.host.kvm_problem", lambda _: "/dev/kvm is not there")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    options = ["--root", str(image), "--json"]
    assert run(["plan", *options]) == ExitCode.REFUSED
    capsys.readouterr()
    assert run(["fetch", *options, "--arch", {"aarch64": "arm64"}.get(there, there)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [Path(f["url"]).parent.name for f in document["files"]] == [there, there]


def test_fetch_for_a_machine_that_has_none_of_it_is_refused(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert on(image, "fetch", "--arch", "riscv64") == ExitCode.REFUSED
    assert "is not offered for riscv64" in capsys.readouterr().err


def test_what_a_provider_would_refuse_here_is_told_and_fetched_all_the_same(
    image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> Iterator[Problem]:
        yield Problem("this machine has no turntable")

    monkeypatch.setattr(sys.modules["k0sruntime_gvisor.provider"], "_unfit", refuse)
    assert on(image, "fetch", "--json") == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert len(document["files"]) == 2
    assert "gvisor would be refused here: this machine has no turntable" in document["notes"]
    assert "no turntable" in shown.err


def test_offline_takes_what_was_fetched_and_opens_no_socket(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    settings = image / "etc/k0sruntime/config.toml"
    text = settings.read_text()
    settings.write_text(text.replace('source = "', 'source = "https://mirror.test'))
    monkeypatch.setattr(socket, "socket", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)
    assert on(image, "up", "--offline") == ExitCode.REFUSED
    assert "it is not in the cache, and --offline opens no socket" in capsys.readouterr().err
    assert programs(image) == []
    settings.write_text(text)
    assert on(image, "fetch") == 0
    assert on(image, "up", "--offline") == 0


def test_offline_can_be_the_nodes_own_rule(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = image / "etc/k0sruntime/config.toml"
    text = settings.read_text().replace('source = "', 'source = "https://mirror.test')
    settings.write_text(f"{text}\n[node.downloads]\noffline = true\n")
    assert on(image, "up") == ExitCode.REFUSED
    assert "--offline" in capsys.readouterr().err


def test_everything_that_cannot_be_had_is_told_at_once_and_nothing_is_written(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (image.parent / "releases").rglob("*.sha512"):
        path.write_text(f"{'0' * 128}  {path.stem}\n")
    assert on(image, "up") == ExitCode.REFUSED
    told = capsys.readouterr().err
    assert told.count("is wanted") == 2
    assert "gvisor (k0sruntime-gvisor" in told
    assert programs(image) == []
    assert sorted(os.listdir(image / "etc")) == ["k0sruntime"]


@pytest.mark.parametrize("command", ["plan", "up", "fetch"])
def test_a_checksum_over_plain_http_is_refused_before_anybody_is_asked(
    image: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    settings = image / "etc/k0sruntime/config.toml"
    lines = settings.read_text().splitlines()
    lines = [line for line in lines if not line.startswith("source")]
    text = "\n".join([*lines, 'source = "http://me:s3cret@mirror.test/gvisor"\n'])
    settings.write_text(text)
    assert on(image, command) == ExitCode.REFUSED
    told = capsys.readouterr().err
    assert "runsc and its checksum would come over plain http" in told
    assert "pin the sha512 in the settings" in told
    assert "s3cret" not in told
    machine = platform.machine()
    pins = "".join(f'"{machine}/{name}" = "{"0" * 128}"\n' for name in ("runsc", SHIM))
    settings.write_text(f"{text}[gvisor.release.sha512]\n{pins}")
    assert on(image, "plan") == 0


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ('[gvisor]\nruntime_class = "Bad_Name"', "[gvisor]"),
        ('[gvisor.handlers."a/b"]', "[gvisor]"),
        ('[gvisor]\noverhead = { memory = "128 MB" }', "[gvisor]"),
        ('[node.handlers."a/b"]', "[node]"),
        ('[node.handlers.a]\nruntime_type = "runc"', "[node]"),
        ('[node.handlers.a]\nruntime_class = "A_"', "[node]"),
    ],
)
def test_a_slip_of_the_operators_is_not_blamed_on_a_provider(
    image: Path, capsys: pytest.CaptureFixture[str], mistake: str, told: str
) -> None:
    settings = image / "etc/k0sruntime/config.toml"
    settings.write_text(f'[node]\nk0s = "1.36"\nmode = "managed"\n{mistake}\n')
    assert on(image, "plan") == ExitCode.REFUSED
    (place,) = [line for line in capsys.readouterr().err.splitlines() if "where:" in line]
    assert place.endswith(f"config.toml: {told}")


@pytest.mark.parametrize("command", ["plan", "up"])
def test_a_release_that_is_too_old_for_this_containerd_is_told_by_plan_and_up_and_in_json(
    image: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    settings = image / "etc/k0sruntime/config.toml"
    settings.write_text(settings.read_text().replace("20260720.0", "20260101.0"))
    releases = image.parent / "releases"
    (releases / "20260720.0").rename(releases / "20260101.0")
    assert on(image, "plan") == 0
    shown = capsys.readouterr().out
    assert "warn: gvisor is new enough for this node: gvisor 20260101.0, older than 2026" in shown
    assert on(image, command, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    (warning,) = document.get("plan", document)["warnings"]
    assert (warning["provider"], warning["verdict"]) == ("gvisor", "warn")
    assert "containerd 2.3 hands parameters" in warning["detail"]


def test_nothing_to_fetch_is_said(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.36"\nmode = "managed"\n')
    assert on(image, "fetch") == 0
    assert "Nothing is to be fetched" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["the command line", "the settings", "the sandbox"])
def test_the_cache_is_where_one_expects_it(
    image: Path, where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("K0SRUNTIME_CACHE")
    settings = image / "etc/k0sruntime/config.toml"
    wanted = image.parent / where.rpartition(" ")[2]
    options = ["--root", str(image)]
    if where == "the settings":
        settings.write_text(f'{settings.read_text()}\n[node.downloads]\ncache = "{wanted}"\n')
    elif where == "the command line":
        options += ["--cache", str(wanted)]
    else:
        options = ["--sandbox", str(image)]
        wanted = image / "var/cache/k0sruntime"
    assert run(["fetch", *options, "--without", "mirrors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cache"] == str(wanted)


def test_an_example_pod_comes_with_the_runtime_class_when_asked_for(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert on(image, "export", "runtimeclasses", "--with-example-pod") == 0
    shown = capsys.readouterr().out
    assert "name: gvisor\nhandler: runsc\n" in shown
    assert "runtimeClassName: gvisor" in shown
    assert on(image, "export", "k0s-config", "--with-example-pod") == ExitCode.USAGE


def test_a_controller_applies_the_runtime_classes_and_down_takes_them_away(image: Path) -> None:
    (image / "var/lib/k0s/manifests/coredns").mkdir(parents=True)
    assert on(image, "up") == 0
    manifest = image / "var/lib/k0s/manifests/k0sruntime/runtimeclasses.yaml"
    assert "handler: runsc" in manifest.read_text()
    assert os.listdir(manifest.parent) == [manifest.name], "nothing that k0s would take for one"
