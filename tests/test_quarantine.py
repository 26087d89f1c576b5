"""Foreign files at the operator's word: moved away and kept, or put right in place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import rtoml
from hypothesis import given, settings
from hypothesis import strategies as st

from k0sruntime import repair
from k0sruntime.cli.main import run
from k0sruntime.errors import RefusedError

DATA = Path(__file__).parent / "data/nvidia-ctk"
DROPINS = sorted(path.name for path in DATA.glob("1.*.toml"))
PLUGINS = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}
OWN = 'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\nenable_selinux = true\n'


def put(root: Path, name: str, text: str, mode: int = 0o644) -> str:
    path = root / "etc/k0s" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return f"/etc/k0s/{name}"


@pytest.fixture(params=["1.36", "1.35"])
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path, line: str) -> Path:
    settings = tmp_path / "node/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[node]\nk0s = "{line}"\nmode = "managed"\n')
    return tmp_path / "node"


def command(root: Path, *arguments: str) -> int:
    return run(["quarantine", "--root", str(root), *arguments])


def listing(root: Path) -> dict[str, bytes]:
    base = root / "etc/k0s"
    return {str(p.relative_to(base)): p.read_bytes() for p in base.rglob("*") if p.is_file()}


def schema(line: str) -> int:
    return 3 if line == "1.36" else 2


# -- moving away ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DROPINS)
def test_a_drop_in_is_renamed_away_from_toml_and_kept(root: Path, name: str, capsys) -> None:
    text = (DATA / name).read_text()
    path = put(root, "containerd.d/nvidia.toml", text, 0o600)
    assert command(root, path) == 0
    assert listing(root) == {"quarantine/nvidia.toml.quarantined": text.encode()}
    kept = "/etc/k0s/quarantine/nvidia.toml.quarantined"
    assert os.stat(f"{root}{kept}").st_mode & 0o777 == 0o600
    assert f"to put it back: mv {kept} {path}" in capsys.readouterr().out


def test_what_was_kept_before_is_never_overwritten(root: Path) -> None:
    for text in ("version = 3 # first\n", "version = 3 # second\n", "version = 3 # third\n"):
        assert command(root, put(root, "containerd.d/nvidia.toml", text)) == 0
    kept = {name: text.decode() for name, text in listing(root).items()}
    assert {name: text[-7:-1].strip() for name, text in kept.items()} == {
        "quarantine/nvidia.toml.quarantined": "first",
        "quarantine/nvidia.toml.quarantined.1": "second",
        "quarantine/nvidia.toml.quarantined.2": "third",
    }


def test_a_file_that_is_no_toml_can_be_moved_away_as_well(root: Path) -> None:
    assert command(root, put(root, "containerd.d/half.toml", "version = [")) == 0
    assert list(listing(root)) == ["quarantine/half.toml.quarantined"]


@pytest.mark.parametrize("how", [(), ("--repair",)])
def test_one_file_that_is_none_of_another_hand_stops_all(root: Path, how, capsys) -> None:
    good = put(root, "containerd.d/nvidia.toml", (DATA / DROPINS[0]).read_text())
    managed = put(root, "containerd.toml", "# k0s_managed=true\nversion = 3\n")
    hosts = put(root, "containerd.d/certs.d/docker.io/hosts.toml", "")
    note = put(root, "containerd.d/notes.txt", "")
    before = listing(root)
    missing = "/etc/k0s/containerd.d/missing.toml"
    assert command(root, *how, good, managed, hosts, note, missing) == 3
    assert listing(root) == before
    said = capsys.readouterr().err
    assert "this file is k0s's own" in said
    assert "there is no such file" in said
    assert said.count("no file that k0s's containerd loads") == 2


@pytest.mark.parametrize("how", [(), ("--repair",)])
def test_a_file_of_ours_is_refused(root: Path, how, capsys) -> None:
    with (root / "etc/k0sruntime/config.toml").open("a") as file:
        file.write('[node.handlers.other]\nbinary = "/usr/bin/other"\n')
    assert run(["up", "--root", str(root)]) == 0
    ours = "/etc/k0s/containerd.d/k0sruntime-node.toml"
    assert command(root, *how, ours) == 3
    assert "this file is ours" in capsys.readouterr().err
    assert (root / ours.lstrip("/")).exists()


def test_a_file_that_another_leans_on_is_not_moved_alone(root: Path, line: str, capsys) -> None:
    head = f'version = {schema(line)}\n[plugins."{PLUGINS[schema(line)]}".containerd'
    handler = put(
        root, "containerd.d/acme.toml", f'{head}.runtimes.acme]\nruntime_type = "x.y.v1"\n'
    )
    leans = put(root, "containerd.d/site.toml", f'{head}]\ndefault_runtime_name = "acme"\n')
    before = listing(root)
    assert command(root, handler) == 3
    said = capsys.readouterr().err
    assert "what is left without /etc/k0s/containerd.d/acme.toml" in said
    assert "site.toml" in said
    assert listing(root) == before
    assert command(root, handler, leans) == 0


def test_one_bad_file_of_two_can_be_moved_though_the_other_stays_bad(root: Path) -> None:
    first = put(root, "containerd.d/a.toml", "version = = 1\n")
    put(root, "containerd.d/b.toml", "version = = 2\n")
    assert command(root, first) == 0


def test_the_document_tells_where_the_file_is_kept(root: Path, capsys) -> None:
    path = put(root, "containerd.d/nvidia.toml", "version = 3\n")
    assert command(root, "--json", path) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["schema"]) == ("Quarantine", 1)
    kept = "/etc/k0s/quarantine/nvidia.toml.quarantined"
    assert document["files"] == [{"path": path, "kept": kept, "repaired": []}]


def test_status_tells_what_is_kept(root: Path, capsys) -> None:
    assert command(root, put(root, "containerd.d/nvidia.toml", "version = 3\n")) == 0
    capsys.readouterr()
    run(["status", "--root", str(root), "--json"])
    kept = "/etc/k0s/quarantine/nvidia.toml.quarantined"
    assert json.loads(capsys.readouterr().out)["quarantined"] == [kept]
    run(["status", "--root", str(root)])
    assert f"kept     {kept}" in capsys.readouterr().out


def test_what_cannot_be_read_can_be_moved_away_as_well(root: Path) -> None:
    folder = root / "etc/k0s/containerd.d"
    (folder / "folder.toml").mkdir(parents=True)
    (folder / "link.toml").symlink_to("/nowhere")
    for name in ("folder.toml", "link.toml"):
        assert command(root, f"/etc/k0s/containerd.d/{name}") == 0
    assert sorted(os.listdir(root / "etc/k0s/quarantine")) == [
        "folder.toml.quarantined",
        "link.toml.quarantined",
    ]
    assert not os.listdir(folder)


@pytest.mark.parametrize("name", ["folder.toml", "link.toml"])
def test_what_cannot_be_read_cannot_be_put_right(root: Path, name: str, capsys) -> None:
    folder = root / "etc/k0s/containerd.d"
    (folder / "folder.toml").mkdir(parents=True)
    (folder / "link.toml").symlink_to("/nowhere")
    assert command(root, "--repair", f"/etc/k0s/containerd.d/{name}") == 3
    assert name in capsys.readouterr().err
    assert sorted(os.listdir(folder)) == ["folder.toml", "link.toml"]


# -- putting right ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DROPINS)
def test_a_repaired_drop_in_has_the_lines_version_its_handlers_and_nothing_copied(
    root: Path, line: str, name: str
) -> None:
    original = (DATA / name).read_text()
    path = put(root, "containerd.d/nvidia.toml", original, 0o640)
    assert command(root, "--repair", path) == 0
    found = listing(root)
    assert found["quarantine/nvidia.toml.quarantined"].decode() == original
    document = rtoml.loads(found["containerd.d/nvidia.toml"].decode())
    assert document["version"] == schema(line)
    assert list(document["plugins"]) == [PLUGINS[schema(line)]]
    runtime = document["plugins"][PLUGINS[schema(line)]]
    assert set(runtime) <= {"containerd", "enable_cdi"}
    handlers = runtime["containerd"]["runtimes"]
    assert sorted(handlers) == ["nvidia", "nvidia-cdi", "nvidia-legacy"]
    for table in handlers.values():
        assert table["runtime_type"] == "io.containerd.runc.v2"
        assert not {"runtime_engine", "runtime_root"} & set(table)
        assert "nvidia-container-runtime" in table["options"]["BinaryName"]
    assert os.stat(root / path.lstrip("/")).st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", DROPINS)
def test_what_is_repaired_is_right(root: Path, line: str, name: str, capsys) -> None:
    path = put(root, "containerd.d/nvidia.toml", (DATA / name).read_text())
    assert command(root, "--repair", path) == 0
    again = listing(root)
    capsys.readouterr()
    assert command(root, "--repair", path) == 0
    assert "nothing to put right" in capsys.readouterr().out
    assert listing(root) == again
    assert run(["lint", "--k0s", line, str(root / path.lstrip("/"))]) == 0


def test_a_handler_that_the_copy_made_the_default_stays_the_default() -> None:
    text = (DATA / "1.20-nothing-version-2.toml").read_text()
    document = rtoml.loads(repair.repaired(text, 3, "x.toml").text)
    assert document["plugins"][PLUGINS[3]]["containerd"]["default_runtime_name"] == "nvidia"


def test_repaired_handlers_agree_with_the_nodes_cgroup_driver(root: Path, line: str) -> None:
    plugin = PLUGINS[schema(line)]
    put(
        root,
        "containerd.d/10-cgroups.toml",
        f'version = {schema(line)}\n[plugins."{plugin}".containerd.runtimes.runc.options]\n'
        "SystemdCgroup = true\n",
    )
    name = "1.20-command-version-4.toml"
    path = put(root, "containerd.d/nvidia.toml", (DATA / name).read_text())
    assert command(root, "--repair", path) == 0
    document = rtoml.loads((root / path.lstrip("/")).read_text())
    for table in document["plugins"][plugin]["containerd"]["runtimes"].values():
        assert table["options"]["SystemdCgroup"] is True


def test_a_driver_that_was_copied_is_not_stated_any_more() -> None:
    """What is not stated follows the default handler, also when that changes later."""
    text = (DATA / "1.20-command-version-4.toml").read_text()
    assert "SystemdCgroup = false" in text
    for systemd in (None, False):
        assert "SystemdCgroup" not in repair.repaired(text, 3, "x.toml", systemd).text
    stated = (DATA / "1.19-file-without-runtime-type.toml").read_text()
    assert "SystemdCgroup = true" in repair.repaired(stated, 3, "x.toml").text
    assert "SystemdCgroup" not in repair.repaired(stated, 3, "x.toml", systemd=False).text


def test_a_file_of_an_operator_keeps_its_comments() -> None:
    text = "# mine\nversion = 4 # as dumped\n" + OWN.split("\n", 1)[1]
    found = repair.repaired(text, 3, "x.toml")
    assert found.text == text.replace("version = 4", "version = 3")
    assert found.done == ("version 4 is version 3 now",)


@pytest.mark.parametrize("name", ["main-of-1.36-rewritten.toml", "main-of-1.35-rewritten.toml"])
def test_a_main_file_has_its_marker_on_line_1_again(root: Path, name: str) -> None:
    path = put(root, "containerd.toml", (DATA / name).read_text())
    assert command(root, "--repair", path) == 0
    text = (root / path.lstrip("/")).read_text()
    assert text == "# k0s_managed=true\n" + (DATA / name).read_text()


@pytest.mark.parametrize(
    "text", ["version = [", 'version = 3\n[plugins]\ncri = "x"\n', "version = 9\n"]
)
def test_what_cannot_be_put_right_is_left_as_it_is(root: Path, text: str, capsys) -> None:
    path = put(root, "containerd.d/half.toml", text)
    assert command(root, "--repair", path) == 3
    assert listing(root) == {"containerd.d/half.toml": text.encode()}
    assert path in capsys.readouterr().err


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_a_file_holds_it_is_repaired_or_refused(data: st.DataObject) -> None:
    """One key of a file of the toolkit's becomes something else, anywhere in it."""
    name = data.draw(st.sampled_from(DROPINS))
    document = rtoml.loads((DATA / name).read_text())
    here = document
    while True:
        key = data.draw(st.sampled_from(sorted(here)))
        if not isinstance(here[key], dict) or not here[key] or data.draw(st.booleans()):
            break
        here = here[key]
    here[key] = data.draw(st.sampled_from([3, "", "x", [], ["x"], [3], True, 1.5, {}, {"x": {}}]))
    for to in (2, 3):
        try:
            text = repair.repaired(rtoml.dumps(document), to, "x.toml", systemd=True).text
        except RefusedError:
            continue
        assert rtoml.loads(text)["version"] == to
        assert repair.repaired(text, to, "x.toml", systemd=True).text == text


def test_text_that_is_no_toml_is_an_error_with_its_place() -> None:
    with pytest.raises(RefusedError) as raised:
        repair.repaired("version = [", 3, "/x.toml")
    assert raised.value.problems[0].place.startswith("/x.toml:1")


# -- the guard of the host: it needs no provider ----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "k0s", "code", "exit_code"),
    [
        ("1.20-command-version-4.toml", "1.36", "K0R201", 3),
        ("1.20-command-version-4.toml", "1.35", "K0R201", 3),
        ("1.20-command-version-4.toml", "1.36", "K0R601", 3),
        ("1.20-nothing-version-2.toml", "1.36", "K0R202", 3),
        ("1.20-file-version-3.toml", "1.35", "K0R201", 3),
        ("1.19-file-without-runtime-type.toml", "1.36", "K0R303", 0),
    ],
)
def test_lint_knows_what_the_toolkits_files_do_to_a_node(
    tmp_path: Path, capsys, name: str, k0s: str, code: str, exit_code: int
) -> None:
    folder = tmp_path / "containerd.d"
    folder.mkdir()
    (folder / "nvidia.toml").write_text((DATA / name).read_text())
    assert run(["lint", "--k0s", k0s, str(folder)]) == exit_code
    assert code in capsys.readouterr().out


@pytest.mark.parametrize(("k0s", "exit_code"), [("1.36", 0), ("1.35", 3)])
def test_lint_knows_a_main_file_that_was_rewritten(
    tmp_path: Path, capsys, k0s: str, exit_code: int
) -> None:
    (tmp_path / "containerd.toml").write_text((DATA / f"main-of-{k0s}-rewritten.toml").read_text())
    assert run(["lint", "--k0s", k0s, str(tmp_path / "containerd.toml")]) == exit_code
    said = capsys.readouterr().out
    assert "K0R505" in said
    assert "K0R504" not in said


def test_up_refuses_what_would_kill_the_node_and_says_the_way_out(root: Path, capsys) -> None:
    path = put(root, "containerd.d/nvidia.toml", (DATA / "1.20-command-version-4.toml").read_text())
    assert run(["up", "--root", str(root), "--without", "nvidia"]) == 3
    assert f"k0sruntime quarantine [--repair] {path}" in capsys.readouterr().err
    assert command(root, path) == 0
    assert run(["up", "--root", str(root), "--without", "nvidia"]) == 0


def test_up_tells_what_another_hand_undoes(root: Path, line: str, capsys) -> None:
    plugin = PLUGINS[schema(line)]
    text = f'version = {schema(line)}\n[plugins."{plugin}"]\n'
    put(root, "containerd.d/10-mine.toml", f"{text}enable_selinux = true\n")
    copied = rtoml.loads((DATA / "1.20-command-version-4.toml").read_text())
    table = copied["plugins"][PLUGINS[3]]
    if line == "1.35":
        table.pop("containerd")
        table["cni"].pop("bin_dirs")
    dumped = rtoml.dumps({"version": schema(line), "plugins": {plugin: table}})
    put(root, "containerd.d/nvidia.toml", dumped)
    with (root / "etc/k0sruntime/config.toml").open("a") as file:
        file.write("path = []\n")
    containerd = root / "usr/bin/containerd"
    containerd.parent.mkdir(parents=True)
    version = "2.3.3" if line == "1.36" else "1.7.34"
    containerd.write_text(f"#!/bin/sh\necho containerd x {version} y\n")
    containerd.chmod(0o755)
    assert run(["up", "--root", str(root), "--without", "nvidia"]) == 0
    said = capsys.readouterr()
    assert "undoes enable_selinux of 10-mine.toml" in said.out + said.err


def test_up_knows_a_rewritten_main_file_of_1_35_for_what_it_is(tmp_path: Path, capsys) -> None:
    settings_file = tmp_path / "etc/k0sruntime/config.toml"
    settings_file.parent.mkdir(parents=True)
    settings_file.write_text(
        '[node]\nk0s = "1.35"\nmode = "managed"\n[node.handlers.x]\nbinary = "/usr/bin/x"\n'
    )
    path = put(tmp_path, "containerd.toml", (DATA / "main-of-1.35-rewritten.toml").read_text())
    assert run(["up", "--root", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "another program has rewritten" in said
    assert f"k0sruntime quarantine --repair {path}" in said
    assert command(tmp_path, "--repair", path) == 0
    assert run(["up", "--root", str(tmp_path)]) == 0
