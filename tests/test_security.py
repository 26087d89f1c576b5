"""What a provider cannot do to the host, whatever it returns, raises or is called.

Names, sizes and texts of single contributions are in test_contributions.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from k0sruntime import (
    ConfigFile,
    DropIn,
    Host,
    HostsFile,
    Inactive,
    JSONKeys,
    Problem,
    Refused,
    RuntimeHandler,
)
from k0sruntime.cli.main import run
from k0sruntime.errors import ProviderError, RefusedError
from k0sruntime.node_provider import NodeSettings
from k0sruntime.paths import Paths
from k0sruntime.testing import MadeUpFiles, compose, make_node


def provider(hook: Any, **more: Any) -> Any:
    return SimpleNamespace(contribute_dropin=hook, **more)


def test_every_file_of_a_provider_lies_under_its_own_name() -> None:
    everything = provider(
        lambda node: [
            RuntimeHandler(name="fast"),
            DropIn(
                images={"registry": {"config_path": node.paths.certs}},
                tables={"proxy_plugins": {"x": {"type": "snapshot", "address": "/x"}}},
            ),
            ConfigFile(name="x.toml", content=""),
        ],
        contribute_hosts=lambda node: [
            HostsFile(registry="r.example", hosts=[Host(url="https://a")], files={"ca.crt": ""})
        ],
    )
    made = compose(everything, make_node("acme", None, mode="managed"))
    assert {file.path for file in made.files if file.owner == "acme"} == {
        "/etc/k0s/containerd.d/k0sruntime-acme.toml",
        "/etc/k0s/containerd.d/k0sruntime-acme-tables.toml",
        "/etc/k0s/k0sruntime/acme/x.toml",
        "/etc/k0s/containerd.d/certs.d/r.example/hosts.toml",
        "/etc/k0s/containerd.d/certs.d/r.example/ca.crt",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/etc/k0s/containerd.toml",
        "/etc/k0s/containerd.d/acme.toml",
        "/etc/k0s/k0sruntime/gvisor/runsc.toml",
        "/var/lib/k0sruntime/ledger.json",
        "/run/k0s/containerd-cri.toml",
        "/etc/k0sruntime/config.toml",
    ],
)
def test_keys_for_other_programs_files_reach_neither_k0s_nor_another_provider(path: str) -> None:
    hook = provider(lambda node: [JSONKeys(path=path, keys={"a": 1})])
    with pytest.raises(RefusedError, match="provider 'acme' wants keys in a file below") as refused:
        compose(hook, make_node("acme", None, mode="managed"))
    assert refused.value.problems[0].place == path


ANYBODYS = [
    "/etc/cni/net.d/00-acme.conflist",
    "/var/lib/kubelet/config.yaml",
    "/etc/ld.so.preload",
    "/etc/cron.d/acme",
    "/etc/docker/key.json",
    "/etc/acme.json",
]


def keys_in(*paths: str) -> Any:
    return provider(lambda node: [JSONKeys(path=path, keys={"a": 1}) for path in paths])


@pytest.mark.parametrize("there", [True, False])
def test_no_file_of_another_program_is_made_or_changed_without_a_word(there: bool) -> None:
    files = MadeUpFiles(dict.fromkeys(ANYBODYS, "{}") if there else {})
    with pytest.raises(RefusedError) as refused:
        compose(keys_in(*ANYBODYS), make_node("acme", None, mode="managed", files=files))
    assert [problem.place for problem in refused.value.problems] == ANYBODYS, "all at once"
    problem = refused.value.problems[0]
    assert problem.culprit.startswith("acme (")
    assert f'[node] json_files = ["{ANYBODYS[0]}"]' in problem.remedy
    assert "--without acme" in problem.remedy


def test_dockers_file_may_hold_keys_for_a_known_reason() -> None:
    from k0sruntime.json_keys import KNOWN

    assert list(KNOWN) == ["/etc/docker/daemon.json"]
    assert all(len(known.reason.split()) > 3 and known.daemon for known in KNOWN.values())
    made = compose(keys_in(*KNOWN), make_node("acme", None, mode="managed"))
    assert [file.path for file in made.files if file.edited] == list(KNOWN)


DAEMON_JSON = "/etc/docker/daemon.json"
ENDED = ("containerd", "containerd-shim-runc-v2", "k0s", "k0sruntime", "kubelet", "python3")


@pytest.mark.parametrize("path", [DAEMON_JSON, "/etc/acme.json", "/t/x.json"])
@pytest.mark.parametrize("daemon", [*ENDED, "dockerd:/run/k0s/containerd.pid", "-x", "a b"])
def test_no_provider_has_containerd_k0s_or_the_host_signalled(daemon: str, path: str) -> None:
    def hook(node: Any) -> Any:
        pid_file = "/run/k0s/containerd.pid"
        yield JSONKeys(path=path, keys={"a": 1}, daemon=daemon, pid_file=pid_file)

    paths = Paths.in_sandbox("/t") if path.startswith("/t/") else Paths()
    node = make_node("acme", None, paths=paths, json_files=("/etc/acme.json", DAEMON_JSON))
    with pytest.raises(ProviderError, match="provider 'acme' failed in contribute_dropin"):
        compose(provider(hook), node)


@pytest.mark.parametrize("let", [(), (DAEMON_JSON,)])
def test_of_a_known_file_its_own_program_alone_is_told(let: tuple[str, ...]) -> None:
    def hook(daemon: str) -> Any:
        keys = JSONKeys(path=DAEMON_JSON, keys={"a": 1}, daemon=daemon, pid_file="/run/x.pid")
        return provider(lambda node: [keys])

    node = make_node("acme", None, mode="managed", json_files=let)
    with pytest.raises(RefusedError, match="have sshd signalled, and dockerd reads") as refused:
        compose(hook("sshd"), node)
    assert refused.value.problems[0].culprit.startswith("acme (")
    reloads = [file.reload for file in compose(hook("dockerd"), node).files if file.edited]
    assert reloads == ["dockerd:/run/x.pid"]


@pytest.mark.parametrize("program", ENDED)
def test_whatever_a_record_says_they_are_not_signalled(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from k0sruntime.modes import remote

    told: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append(pid))
    monkeypatch.setattr(remote, "_pid", lambda program, pid_file: 1)
    (note,) = remote.reload([f"{program}:/x.pid"], Paths())
    assert f"{program} is not told" in note
    remote.reload(["dockerd:/x.pid"], Paths())
    assert told == [1]


@pytest.mark.parametrize(
    ("let", "path"),
    [
        ("/etc/acme.json", "/etc/acme.json"),
        ("/etc/acme/", "/etc/acme/deep/x.json"),
    ],
)
def test_the_operator_lets_providers_put_keys_into_a_file_or_a_folder(let: str, path: str) -> None:
    node = make_node("acme", None, mode="managed", json_files=(let,))
    made = compose(keys_in(path), node)
    assert [file.path for file in made.files if file.edited] == [path]
    with pytest.raises(RefusedError):
        compose(keys_in(f"{let.rstrip('/')}2"), node)


def test_the_operators_word_opens_no_file_of_k0s_or_of_ours() -> None:
    node = make_node("acme", None, mode="managed", json_files=("/etc/k0s/", "/var/"))
    for path in ("/etc/k0s/containerd.toml", "/var/lib/k0sruntime/ledger.json"):
        with pytest.raises(RefusedError, match="wants keys in a file below"):
            compose(keys_in(path), node)


def test_a_sandbox_is_nobody_elses() -> None:
    node = make_node("acme", None, paths=Paths.in_sandbox("/t"))
    assert [f.path for f in compose(keys_in("/t/etc/x.json"), node).files if f.edited]
    with pytest.raises(RefusedError):
        compose(keys_in("/tt/x.json"), node)


@pytest.mark.parametrize("let", ["acme.json", "/", "/etc/../x", ""])
def test_what_the_operator_lets_is_a_path(let: str) -> None:
    with pytest.raises(ValueError, match="a name in json_files must be an absolute path"):
        NodeSettings(json_files=[let])


def test_the_word_stands_in_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: refused with a remedy, and done once the remedy is followed."""
    info = tmp_path / "site/keys_acme-1.0.dist-info"
    info.mkdir(parents=True)
    target = tmp_path / "other/acme.json"
    code = (
        "from k0sruntime import JSONKeys\n"
        f"def contribute_dropin(node):\n    yield JSONKeys(path={str(target)!r}, keys={{'a': 1}})\n"
    )
    (tmp_path / "site/keys_acme.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-keys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = keys_acme\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    settings = tmp_path / "node/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    node = '[node]\nmode = "managed"\nk0s = "1.36"\n'
    settings.write_text(node)
    command = ["up", "--json", "--sandbox", str(tmp_path / "node"), "--dry-run"]
    assert run(command) == 3
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    line = problem["remedy"].partition("[node] ")[2].partition(";")[0]
    settings.write_text(f"{node}{line}\n")
    assert run(command) == 0
    assert not target.parent.exists()


def endless(node: Any) -> Any:
    while True:
        yield RuntimeHandler(name="fast")


def recursive(node: Any) -> Any:
    return recursive(node)


def huge(node: Any) -> Any:
    raise ValueError("x" * 50_000_000)


def rude(node: Any) -> Any:
    raise ValueError("\x1b[2J\x1b]0;mine\x07 gone\nerror: all is well")


def lone(node: Any) -> Any:
    raise ValueError("\udcff")


def rude_class(node: Any) -> Any:
    raise type("E\x1b[2J\nerror: node is fine", (Exception,), {})("gone")


def rude_place(node: Any) -> Any:
    exec(compile("1 / 0", "/x\x1b[2J\nerror: node is fine", "exec"))


def rude_kind(node: Any) -> Any:
    return type("K\x1b[2J\nerror: node is fine", (), {})()


class Secretive(type):
    def __getattribute__(cls, name: str) -> Any:
        if name == "__name__":
            raise SystemExit(0)
        return super().__getattribute__(name)


def nameless(node: Any) -> Any:
    raise Secretive("E", (Exception,), {})("gone")


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (endless, "more than 1000 contributions"),
        (recursive, "RecursionError"),
        (huge, "ValueError: xxx"),
        (rude, "gone error: all is well"),
        (lone, "ValueError"),
        (rude_class, "E [2J error: node is fine: gone"),
        (rude_place, "/x [2J error: node is fine:1"),
        (rude_kind, "K [2J error: node is fine"),
        (nameless, "an exception: gone"),
    ],
)
def test_whatever_a_hook_does_the_error_is_one_short_line(hook: Any, told: str) -> None:
    with pytest.raises(ProviderError) as refused:
        compose(provider(hook), make_node("acme", None))
    message = refused.value.problems[0].message
    assert told in message
    assert message.isprintable()
    assert len(message) < 3000


def test_what_a_provider_prints_is_no_part_of_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "site/prints_acme-1.0.dist-info"
    info.mkdir(parents=True)
    code = "print('imported')\ndef contribute_dropin(node):\n    print('asked')\n    return ()\n"
    (tmp_path / "site/prints_acme.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-prints\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = prints_acme\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert run(["providers", "acme", "--json", "--sandbox", str(tmp_path / "node")]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["name"] == "acme"
    assert "imported" in said.err
    assert "asked" in said.err


def test_a_refusal_cannot_speak_for_somebody_else() -> None:
    def hook(node: Any) -> Any:
        raise Refused(
            Problem("no\x1b[2J", culprit="gvisor", place="/etc/passwd\n", remedy="rm -rf /\n\x07")
        )

    with pytest.raises(RefusedError) as refused:
        compose(provider(hook), make_node("acme", None))
    (problem,) = refused.value.problems
    assert problem.culprit.startswith("acme (acme under test)")
    assert all(line.isprintable() for line in problem.lines())


def test_a_reason_to_rest_is_one_line(tmp_path: Path) -> None:
    from k0sruntime.collect import collect
    from k0sruntime.discovery import Discovered
    from k0sruntime.hooks import Hooks
    from k0sruntime.records import Record

    def hook(node: Any) -> Any:
        raise Inactive("no acme\n\x1b[2J" + "x" * 10_000)

    hooks, record = Hooks(), Record("acme", "acme", "1", "active")
    hooks.register(record, provider(hook))
    (found,) = collect(Discovered((record,), hooks), make_node("", None), {}).records
    assert found.reason.startswith("no acme [2J")
    assert found.reason.isprintable()
    assert len(found.reason) < 3000


def test_control_characters_in_a_providers_name_do_not_reach_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "rude_acme-1.0.dist-info"
    info.mkdir()
    (tmp_path / "rude_acme.py").write_text("raise SystemExit('imported')")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\x1b[2J\nVersion: 1.0\x07\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nac\x1b[2Jme = rude_acme:provider\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run(["providers", "--sandbox", str(tmp_path / "node")]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "its name cannot be part of the name of a file" in said


def test_a_provider_is_given_no_other_ones_settings_and_cannot_change_the_facts() -> None:
    seen = {}

    def hook(node: Any) -> Any:
        seen["settings"] = node.settings
        with pytest.raises(TypeError):
            node.os_release["ID"] = "mine"
        with pytest.raises(AttributeError):
            node.arch = "mine"
        return ()

    other = provider(lambda node: ())
    compose(provider(hook), make_node("acme", "its own"), others={"bcme": (other, "secret")})
    assert seen == {"settings": "its own"}


def test_nothing_is_written_when_a_provider_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site, node = tmp_path / "site", tmp_path / "node"
    info = site / "fails_acme-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "fails_acme.py").write_text("def contribute_dropin(node):\n    raise OSError('no')\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-fails\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = fails_acme\n")
    monkeypatch.syspath_prepend(str(site))
    settings = node / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nmode = "managed"\nk0s = "1.36"\n')
    assert run(["up", "--json", "--sandbox", str(node)]) == 4
    assert "acme-fails 1.0" in json.loads(capsys.readouterr().out)["problems"][0]["culprit"]
    assert not (node / "etc/k0s").exists()
