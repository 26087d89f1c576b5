"""A rehearsal: what another k0s would make of the node, told before anyone upgrades it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from k0sruntime.errors import Problem
from k0sruntime.mends import Mend
from k0sruntime.rehearse import Rehearsal, _lasting

V2 = 'plugins."io.containerd.grpc.v1.cri"'
V3 = 'plugins."io.containerd.cri.v1.runtime"'
ACME_2 = f'# by hand\nversion = 2\n[{V2}.containerd.runtimes.acme]\nruntime_type = "x.y.v1"\n'
ACME_3 = ACME_2.replace("version = 2", "version = 3").replace(V2, V3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    settings = tmp_path / "node/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nk0s = "1.35"\nmode = "managed"\n')
    return tmp_path / "node"


def put(root: Path, name: str, text: str) -> Path:
    path = root / "etc/k0s/containerd.d" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def rehearsed(root: Path, capsys, *arguments: str, k0s: str = "1.36") -> tuple[int, dict]:
    before = files(root)
    code = run(["rehearse", "--k0s", k0s, "--root", str(root), "--json", *arguments])
    assert files(root) == before, "nothing is written"
    return code, json.loads(capsys.readouterr().out)


def test_a_file_of_1_35_keeps_a_node_of_1_36_down_and_migrate_mends_it(root: Path, capsys) -> None:
    path = put(root, "acme.toml", ACME_2)
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, True)
    (stop,) = [f for f in said["findings"] if f["severity"] == "error"]
    assert (stop["code"], stop["path"]) == ("K0R202", "/etc/k0s/containerd.d/acme.toml")
    (mend,) = said["mends"]
    assert mend["by"] == "migrate"
    assert f"+[{V3}.containerd.runtimes.acme]" in mend["diff"]
    (acme,) = [h for h in said["handlers"] if h["name"] == "acme"]
    assert (acme["lies"], acme["after"]) == (False, True)
    path.write_text(ACME_3)
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["mends"]) == (0, True, [])


def test_files_of_ours_are_written_anew_by_up(root: Path, capsys) -> None:
    with (root / "etc/k0sruntime/config.toml").open("a") as settings:
        settings.write("[node.handlers.crun]\n")
    assert run(["up", "--root", str(root)]) == 0
    capsys.readouterr()
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back_after"]) == (3, True)
    (mend,) = said["mends"]
    assert (mend["by"], mend["path"]) == ("up", "/etc/k0s/containerd.d/k0sruntime-node.toml")
    assert "+version = 3" in mend["diff"]


def test_the_way_back_is_rehearsed_as_well(root: Path, capsys) -> None:
    put(root, "acme.toml", ACME_3)
    code, said = rehearsed(root, capsys, k0s="1.35")
    assert code == 3
    assert said["comes_back_after"]
    assert said["then"] == "k0s 1.35 with containerd 1.7.30"


def test_what_neither_up_nor_migrate_can_mend_is_left_for_hands(root: Path, capsys) -> None:
    put(root, "acme.toml", f'version = 2\n[{V2}.containerd]\ndefault_runtime_name = "gone"\n')
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back_after"]) == (3, False)
    assert any("gone" in problem["message"] for problem in said["left"])


def test_keys_that_lose_their_meaning_are_told(root: Path, capsys) -> None:
    put(root, "acme.toml", f'{ACME_2}runtime_engine = "/x"\n')
    _, said = rehearsed(root, capsys)
    assert any("runtime_engine" in finding["message"] for finding in said["findings"])
    (mend,) = said["mends"]
    assert any(note["lost"] and "runtime_engine" in note["key"] for note in mend["notes"])


def test_defaults_that_change_are_told_unless_somebody_sets_them(root: Path, capsys) -> None:
    put(root, "acme.toml", f"version = 2\n[{V2}]\nenable_cdi = false\n")
    _, said = rehearsed(root, capsys)
    keys = [default["key"] for default in said["defaults"]]
    assert "enable_cdi" not in keys
    assert "enable_unprivileged_ports" in keys
    _, said = rehearsed(root, capsys, k0s="1.34")
    assert said["defaults"] == []


def test_the_cgroup_driver_is_told_now_and_then(root: Path, capsys) -> None:
    options = f"[{V2}.containerd.runtimes.runc.options]\nSystemdCgroup = true\n"
    put(root, "acme.toml", f"version = 2\n{options}")
    _, said = rehearsed(root, capsys)
    now, then = said["drivers"]
    assert now.startswith("now: cgroupfs, for Kubernetes 1.35 is not told by the CRI")
    assert then.startswith("then: systemd, for Kubernetes 1.36 takes the CRI's")


def test_a_folder_can_stand_for_a_node(root: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "dropins"
    folder.mkdir()
    (folder / "acme.toml").write_text(ACME_2)
    (folder / "k0sruntime-node.toml").write_text(ACME_2.replace("acme", "crun"))
    code, said = rehearsed(root, capsys, "--dropins", str(folder))
    assert (code, said["comes_back_after"]) == (3, True)
    assert sorted(mend["by"] for mend in said["mends"]) == ["migrate", "up"]
    assert {handler["name"] for handler in said["handlers"]} == {"acme", "crun", "runc"}


def test_a_main_file_of_the_operators_is_judged_and_one_of_k0s_is_not(root: Path, capsys) -> None:
    main = root / "etc/k0s/containerd.toml"
    put(root, "acme.toml", ACME_3)
    main.write_text('# k0s_managed=true\nversion = 2\nimports = ["/run/k0s/containerd-cri.toml"]\n')
    assert rehearsed(root, capsys)[0] == 0
    main.write_text("version = 9\n")
    code, said = rehearsed(root, capsys)
    assert code == 3
    assert any(finding["path"] == "/etc/k0s/containerd.toml" for finding in said["findings"])


def test_secrets_of_foreign_files_are_masked_in_the_difference(root: Path, capsys) -> None:
    registry = f'[{V2}.registry.configs."r.example".auth]\npassword = "S3CRET"\n'
    put(root, "acme.toml", f"{ACME_2}{registry}")
    assert run(["rehearse", "--k0s", "1.36", "--root", str(root)]) == 3
    out, err = capsys.readouterr()
    assert "password" in out
    assert "S3CRET" not in out + err


def test_people_are_told_in_which_order_it_comes_back(root: Path, capsys) -> None:
    put(root, "acme.toml", ACME_2)
    assert run(["rehearse", "--k0s", "1.36", "--root", str(root)]) == 3
    out = capsys.readouterr().out
    assert "would NOT come back, by rules: 1 thing stops it" in out
    assert "stop k0s, replace it, migrate --write, up, start k0s" in out
    assert "do:   k0sruntime migrate rewrites it, see below." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--k0s VERSION"),
        (["--k0s", "newest"], "no k0s line with drop-ins"),
        (["--k0s", "1.26"], "no k0s line with drop-ins"),
        (["--containerd", "/bin/true"], "does not answer --version"),
    ],
)
def test_what_cannot_be_rehearsed_is_a_usage_error(root: Path, capsys, arguments, said) -> None:
    assert run(["rehearse", "--root", str(root), *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "imported", ["garbage = [\n", "version = 9\n", 'disabled_plugins = ["io.containerd.cri.v1"]\n']
)
def test_what_a_drop_in_imports_is_judged_as_well(root: Path, capsys, imported: str) -> None:
    put(root, "acme.toml", 'imports = ["/opt/acme/*.toml"]\n' + ACME_3)
    vendor = root / "opt/acme/a.toml"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("version = 3\n")
    assert rehearsed(root, capsys)[0] == 0
    vendor.write_text(imported.replace("cri.v1", "cri.v1.runtime"))
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, False)
    assert "/opt/acme/a.toml" in {f["path"] for f in said["findings"] if f["severity"] == "error"}


def test_what_an_operator_s_main_file_imports_is_judged_as_well(root: Path, capsys) -> None:
    (root / "etc/k0s").mkdir()
    (root / "etc/k0s/containerd.toml").write_text('version = 3\nimports = ["/etc/x.d/*.toml"]\n')
    (root / "etc/x.d").mkdir()
    (root / "etc/x.d/a.toml").write_text("garbage = [\n")
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"]) == (3, False)
    assert "/etc/x.d/a.toml" in {finding["path"] for finding in said["findings"]}


def in_sandbox(folder: Path, capsys, text: str, *arguments: str) -> tuple[int, dict]:
    dropins = folder / "etc/k0s/containerd.d"
    dropins.mkdir(parents=True, exist_ok=True)
    settings = folder / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text('[node]\nk0s = "1.35"\nmode = "managed"\n')
    (dropins / "acme.toml").write_text(text)
    code = run(["rehearse", "--k0s", "1.36", "--sandbox", str(folder), "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f'{ACME_3}base_runtime_spec = "/etc/nope.json"\n', "K0R806"),
        (f'imports = ["/etc/nope.toml"]\n{ACME_3}', "K0R501"),
    ],
)
def test_on_a_node_its_machine_is_judged_as_well(tmp_path: Path, capsys, text, code) -> None:
    exit_code, said = in_sandbox(tmp_path, capsys, text)
    assert (exit_code, said["comes_back"], said["comes_back_after"]) == (3, False, False)
    (stop,) = [f for f in said["findings"] if f["severity"] == "error"]
    assert stop["code"] == code
    assert [code in problem["message"] for problem in said["left"]] == [True]


def test_a_folder_alone_is_judged_without_this_machine(tmp_path: Path, capsys) -> None:
    text = f'{ACME_3}base_runtime_spec = "/etc/nope.json"\n'
    code, said = in_sandbox(tmp_path, capsys, text, "--dropins", f"{tmp_path}/etc/k0s/containerd.d")
    assert (code, said["left"]) == (0, [])


@pytest.mark.parametrize("kind", [os.mkfifo, os.mkdir])
def test_what_is_no_file_under_the_name_of_one_keeps_the_node_down(
    root: Path, capsys, kind: Callable[[Path], None]
) -> None:
    """containerd fails on a folder, and waits for a FIFO for ever: that is an answer."""
    path = put(root, "acme.toml", "")
    path.unlink()
    kind(path)
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, False)
    assert said["left"][0]["place"] == "/etc/k0s/containerd.d/acme.toml"


SPEC = f'{ACME_3}base_runtime_spec = "/etc/acme.json"\n'


@pytest.mark.parametrize(
    ("text", "needs", "code"),
    [
        (SPEC, "etc/acme.json", "K0R806"),
        (f'imports = ["/etc/acme.toml"]\n{ACME_3}', "etc/acme.toml", "K0R501"),
        (
            ACME_3.replace(
                "version = 3",
                f'version = 3\n[{V3}.containerd]\ndefault_runtime_name = "acme"',
            ),
            "usr/bin/containerd-shim-y-v1",
            "K0R801",
        ),
    ],
)
def test_an_image_is_the_machine_as_far_as_its_files_tell(
    root: Path, capsys, text: str, needs: str, code: str
) -> None:
    put(root, "acme.toml", text)
    exit_code, said = rehearsed(root, capsys)
    assert (exit_code, said["comes_back"], said["comes_back_after"]) == (3, False, False)
    assert [f["code"] for f in said["findings"] if f["severity"] == "error"] == [code]
    assert any("the image was judged as the machine" in note for note in said["notes"])
    path = root / needs
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("version = 3\n" if needs.endswith("toml") else "{}")
    path.chmod(0o755)
    said = rehearsed(root, capsys)[1]
    assert code not in {finding["code"] for finding in said["findings"]}


def test_what_a_verdict_rests_on_is_said(root: Path, capsys) -> None:
    _, said = rehearsed(root, capsys)
    assert (said["judged_by"], said["judged_after_by"], said["untried"]) == ("rules", "rules", "")
    assert run(["rehearse", "--k0s", "1.36", "--root", str(root)]) == 0
    assert "The node comes back as far as rules can tell." in capsys.readouterr().out


def test_a_node_with_something_left_that_was_there_does_not_come_back() -> None:
    left = (Problem("stops it", "/etc/k0s/containerd.d/acme.toml:1"),)
    ours = Mend("/etc/k0s/containerd.d/acme.toml", "up", "")
    assert _lasting(left, ()) == left
    assert _lasting(left, (ours,)) == (), "it is about what up would write"
    assert Rehearsal("", "", (), left=left).comes_back
    assert not Rehearsal("", "", (), left=left, lasting=left).comes_back


REMOTE = ("--mode", "remote", "--cri-socket", "remote:unix:///run/x.sock")


def test_a_node_on_another_cri_comes_back(root: Path, capsys) -> None:
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.35"\n')
    code, said = rehearsed(root, capsys, *REMOTE)
    assert (code, said["comes_back"], said["comes_back_after"]) == (0, True, True)
    assert (said["refused"], said["mends"], said["handlers"], said["defaults"]) == ([], [], [], [])
    assert "another CRI serves this node" in said["notes"][0]


def test_a_left_over_drop_in_of_a_node_on_another_cri_is_what_k0s_refuses(
    root: Path, capsys
) -> None:
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.35"\n')
    put(root, "acme.toml", ACME_2)
    code, said = rehearsed(root, capsys, *REMOTE)
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, True)
    assert [mend["by"] for mend in said["mends"]] == ["migrate"]
    assert rehearsed(root, capsys, *REMOTE, k0s="1.35")[0] == 0
    # What containerd alone would die of kills nothing there.
    put(root, "acme.toml", 'version = 3\ndisabled_plugins = ["io.containerd.cri.v1.runtime"]\n')
    assert rehearsed(root, capsys, *REMOTE)[0] == 0


UNIT = "[Service]\nExecStart=/usr/local/bin/k0s worker --token-file=/etc/t{}\n"
DEADLY = 'version = 3\ndisabled_plugins = ["io.containerd.cri.v1.runtime"]\n'


def started_with(root: Path, flags: str) -> None:
    """Lay k0s's unit as ``k0s install worker`` does."""
    unit = root / "etc/systemd/system/k0sworker.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(UNIT.format(flags))


def test_the_unit_tells_that_another_cri_serves_the_node(root: Path, capsys) -> None:
    """What would kill containerd kills nothing there, whatever the settings want."""
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.36"\n')
    put(root, "acme.toml", DEADLY)
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"]) == (3, False)
    started_with(root, " --cri-socket=remote:unix:///run/x.sock")
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["comes_back_after"]) == (0, True, True)
    assert (said["left"], said["handlers"], said["drivers"]) == ([], [], [])
    assert any(
        "k0sworker.service starts k0s with the CRI on unix:///run/x" in n for n in said["notes"]
    )
    put(root, "acme.toml", ACME_2)
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, True)


def test_settings_for_another_cri_that_k0s_was_not_told_of_do_not_count(root: Path, capsys) -> None:
    own = '[node]\nk0s = "1.36"\ncri_socket = "remote:unix:///run/x.sock"\n'
    (root / "etc/k0sruntime/config.toml").write_text(own)
    put(root, "acme.toml", DEADLY)
    assert rehearsed(root, capsys)[0] == 0
    started_with(root, "")
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"]) == (3, False)
    assert any("starts k0s with its own containerd" in note for note in said["notes"])


def test_without_a_unit_the_last_generation_tells(root: Path, capsys) -> None:
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.36"\n')
    assert run(["up", "--root", str(root), "--cri-socket", "remote:unix:///run/x.sock"]) == 0
    capsys.readouterr()
    put(root, "acme.toml", DEADLY)
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"]) == (0, True)
    assert any(
        "the last generation was made for the CRI on unix:///run/x" in n for n in said["notes"]
    )


def test_where_nothing_tells_how_k0s_is_started_that_is_said(root: Path, capsys) -> None:
    told = "nothing here tells how k0s is started"
    _, said = rehearsed(root, capsys)
    assert any(told in note for note in said["notes"])
    started_with(root, "")
    _, said = rehearsed(root, capsys)
    assert not any(told in note for note in said["notes"])


def test_settings_that_up_refuses_do_not_keep_a_node_on_another_cri_down(
    root: Path, capsys
) -> None:
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.35"\nmode = "remote"\n')
    assert run(["rehearse", "--k0s", "1.36", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    told = (
        "The node comes back as far as rules can tell.\nk0sruntime up is refused there: see above."
    )
    assert told in out


@pytest.fixture
def open_root() -> Iterator[Path]:
    """Make a node in a folder that other users reach as well, which pytest's own are not."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        settings = Path(folder, "etc/k0sruntime/config.toml")
        settings.parent.mkdir(parents=True)
        settings.write_text('[node]\nk0s = "1.35"\nmode = "managed"\n')
        yield Path(folder)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Run what follows as a user who may not read what is root's alone."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.mark.parametrize(
    "name",
    [
        "etc/k0s/containerd.d/acme.toml",
        "etc/k0s/containerd.d",
        "etc/k0s/containerd.toml",
        "etc/k0sruntime/config.toml",
        "opt/acme/a.toml",
    ],
)
def test_what_cannot_be_read_could_not_be_judged(
    open_root: Path, capsys, request, name: str
) -> None:
    root = open_root
    put(root, "acme.toml", 'imports = ["/opt/acme/a.toml"]\n' + ACME_3)
    for path in (root / "opt/acme/a.toml", root / "etc/k0s/containerd.toml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# k0s_managed=true\nversion = 3\n")
    assert rehearsed(root, capsys)[0] == 0
    (root / name).chmod(0)
    request.getfixturevalue("nobody")
    arguments = ["rehearse", "--k0s", "1.36", "--root", str(root)]
    assert run([*arguments, "--json"]) == 9, "3 means that it would not come back"
    said = json.loads(capsys.readouterr().out)
    assert (said["comes_back"], said["comes_back_after"], said["handlers"]) == (None, None, [])
    (problem,) = said["unjudged"]
    assert (problem["place"], "as root" in problem["remedy"]) == (f"/{name}", True)
    assert run(arguments) == 9
    out, err = capsys.readouterr()
    assert out == "Whether the node comes back could not be judged.\n"
    assert "as root" in err


@pytest.mark.parametrize("text", ["[node\n", "[node]\nnope = 1\n"])
def test_with_broken_settings_nobody_can_tell(root: Path, capsys, text: str) -> None:
    (root / "etc/k0sruntime/config.toml").write_text(text)
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["handlers"]) == (9, None, [])
    assert "/etc/k0sruntime/config.toml" in said["unjudged"][0]["place"]


@pytest.mark.parametrize(("k0s", "newer"), [("1.35", False), ("1.36.9", False), ("1.37", True)])
def test_a_k0s_that_is_newer_than_what_is_known_is_told(root: Path, capsys, k0s, newer) -> None:
    _, said = rehearsed(root, capsys, k0s=k0s)
    told = [note for note in said["notes"] if f"k0s {k0s} is newer than what" in note]
    assert bool(told) == newer
    assert all("judged as k0s 1.36, which brings containerd 2.3.3" in note for note in told)
    _, said = rehearsed(root, capsys, "--dropins", str(root / "etc"), k0s=k0s)
    assert any("is newer than what" in note for note in said["notes"]) == newer


def test_a_standalone_node_is_told_that_it_was_judged_as_k0s_s(root: Path, capsys) -> None:
    _, said = rehearsed(root, capsys)
    assert not any("standalone" in note for note in said["notes"])
    _, said = rehearsed(root, capsys, "--mode", "standalone")
    assert any("judged as a node whose containerd k0s runs" in note for note in said["notes"])


def test_an_operator_s_main_file_and_its_imports_are_migrated_as_well(root: Path, capsys) -> None:
    put(root, "acme.toml", ACME_2)
    main, imported = root / "etc/k0s/containerd.toml", root / "etc/x.d/a.toml"
    main.write_text('version = 2\nimports = ["/etc/k0s/containerd.d/*.toml", "/etc/x.d/*.toml"]\n')
    imported.parent.mkdir()
    imported.write_text(ACME_2.replace("acme", "vendor"))
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, True)
    paths = [f"/{path.relative_to(root)}" for path in (main, imported)]
    mended = {mend["path"] for mend in said["mends"] if mend["by"] == "migrate"}
    assert mended == {*paths, "/etc/k0s/containerd.d/acme.toml"}
    assert said["left"] == []
    assert {"acme", "vendor"} <= {handler["name"] for handler in said["handlers"]}
    assert all(handler["after"] for handler in said["handlers"])
    files_ = [str(root / path.lstrip("/")) for path in mended]
    assert run(["migrate", "--write", *files_]) == 0
    capsys.readouterr()
    code, said = rehearsed(root, capsys)
    assert (code, said["comes_back"], said["mends"]) == (0, True, [])
