"""``up`` on the real containerd, from an empty folder to proven handlers and back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from k0sruntime import pipeline
from k0sruntime.cli.story import Silent
from k0sruntime.paths import Paths
from k0sruntime.stages import Request
from tests.real.conftest import LAB, SETTINGS, RealNode, mounts, processes

pytestmark = pytest.mark.real


def proof_of(document: dict, handler: str) -> str:
    (proof,) = [p for p in document["proofs"] if p["handler"] == handler]
    assert proof["name"] == "sandbox"
    return proof["verdict"]


def pid_of(node: RealNode) -> int:
    return node.ok("status")["running"]["pid"]


def test_up_goes_from_an_empty_folder_to_proven_handlers(node: RealNode) -> None:
    document = node.ok("up")
    assert document["ran"] == "started"
    assert document["generation"] == 1
    assert proof_of(document, "runc") == "pass"
    assert proof_of(document, "crun") == "pass"
    assert (node.folder / "etc/k0s/containerd.toml").read_text().startswith("# k0s_managed=true\n")


def test_the_schema_is_that_of_the_containerd(node: RealNode) -> None:
    document = node.ok("up")
    schema = 2 if "1.7" in str(node.containerd) else 3
    assert document["plan"]["containerd_schema"] == schema
    main = (node.folder / "etc/k0s/containerd.toml").read_text()
    assert f"version = {schema}" in main
    merged = node.folder / "run/k0s/containerd-cri.toml"
    assert merged.exists() == (schema == 2)


def test_the_merge_patch_scheme_gives_the_same_handlers_on_containerd_2(node_2: RealNode) -> None:
    native = node_2.ok("up")
    node_2.write_settings(
        node_2.settings.read_text().replace("[node]", '[node]\nscheme = "merge-patch"', 1)
    )
    merged = node_2.ok("up")
    assert (node_2.folder / "run/k0s/containerd-cri.toml").exists()
    assert merged["ran"] == "adopted", "the effective configuration stays the same: no bounce"
    assert merged["handlers"] == native["handlers"]


def test_a_second_up_changes_nothing_and_keeps_the_pid(node: RealNode) -> None:
    first = node.ok("up")
    before = node.files()
    second = node.ok("up")
    assert second["ran"] == "adopted"
    assert not second["applied"]
    assert second["running"]["pid"] == first["running"]["pid"]
    assert node.files() == before


def test_a_foreign_drop_in_is_loaded_shown_and_never_touched(node_2: RealNode) -> None:
    node_2.ok("up")
    foreign = node_2.dropins / "vendor.toml"
    content = (
        "# a vendor wrote this\nversion = 3\n"
        '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.vendor]\n'
        '  runtime_type = "io.containerd.runc.v2"  # as it is\n'
    )
    foreign.write_text(content)
    document = node_2.ok("up")
    assert document["ran"] == "bounced"
    assert proof_of(document, "vendor") == "pass"
    assert foreign.read_text() == content
    assert str(foreign) in node_2.ok("status")["foreign"]


def test_an_edited_file_of_ours_is_drift_and_needs_a_word(node_2: RealNode) -> None:
    node_2.ok("up")
    pid = pid_of(node_2)
    ours = node_2.dropins / "k0sruntime-node.toml"
    edited = ours.read_text() + "# by hand\n"
    ours.write_text(edited)
    assert node_2.ok("status")["drift"] == [str(ours)]
    refused = node_2.run("up")
    assert refused.returncode == 3
    assert "somebody edited it" in refused.stderr
    assert ours.read_text() == edited
    assert node_2.ok("up", "--force")["applied"]
    assert ours.read_text() != edited
    assert pid_of(node_2) == pid, "a comment bounces nothing"


def test_down_leaves_no_process_no_mount_and_no_file_of_ours(node: RealNode) -> None:
    node.ok("up")
    foreign = node.dropins / "zz-foreign.toml"
    schema = 2 if "1.7" in str(node.containerd) else 3
    foreign.write_text(f"version = {schema}\n")
    node.ok("down")
    assert not processes(node.folder)
    assert not mounts(node.folder)
    assert set(node.files()) == {
        "etc/k0sruntime/config.toml",
        "etc/k0s/containerd.d/zz-foreign.toml",
    }


def test_a_user_managed_main_file_is_never_written(node_2: RealNode) -> None:
    main = node_2.folder / "etc/k0s/containerd.toml"
    main.parent.mkdir(parents=True)
    content = f'version = 3\nimports = ["{node_2.dropins}/*.toml"]\n# mine\n'
    main.write_text(content)
    document = node_2.ok("up")
    assert proof_of(document, "crun") == "pass"
    assert main.read_text() == content
    node_2.ok("down")
    assert main.read_text() == content


def test_a_user_managed_main_file_without_the_import_is_refused_with_the_line_to_add(
    node_2: RealNode,
) -> None:
    main = node_2.folder / "etc/k0s/containerd.toml"
    main.parent.mkdir(parents=True)
    main.write_text("version = 3\n")
    done = node_2.run("up")
    assert done.returncode == 3
    assert f'imports = ["{node_2.dropins}/*.toml"]' in done.stderr.replace("\n", " ")
    assert not node_2.dropins.exists()


NO_SUCH_DEFAULT = """version = 3
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "nope"
"""
BROKEN = {
    "a handler whose options are a type error": (
        'options = { SystemdCgroup = "yes" }',
        None,
        3,
        "SystemdCgroup",
    ),
    "an undefined default runtime": (
        "",
        NO_SUCH_DEFAULT,
        3,
        "nope",
    ),
    "a drop-in that is not TOML": ("", "version = 3\nx = \n", 3, "bad.toml:2"),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_composition_leaves_everything_as_it_was(node_2: RealNode, case: str) -> None:
    line, dropin, code, told = BROKEN[case]
    node_2.ok("up")
    pid = pid_of(node_2)
    good = node_2.settings.read_text()
    node_2.write_settings(good + line + "\n")
    if dropin:
        (node_2.dropins / "bad.toml").write_text(dropin)
    before = node_2.files()
    done = node_2.run("up")
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert node_2.files() == before
    (node_2.dropins / "bad.toml").unlink(missing_ok=True)
    node_2.write_settings(good)
    assert pid_of(node_2) == pid


def test_a_provider_that_raises_leaves_everything_as_it_was(
    node_2: RealNode, tmp_path: Path
) -> None:
    node_2.ok("up")
    pid, before = pid_of(node_2), node_2.files()
    write_provider(
        tmp_path,
        "def contribute_dropin(node):\n    raise RuntimeError('no such luck')\n",
    )
    node_2.python_path = [tmp_path]
    done = node_2.run("up")
    assert done.returncode == 4
    assert "k0sruntime-acme 1.0" in done.stderr
    assert "no such luck" in done.stderr
    assert "contribute_dropin" in done.stderr
    assert node_2.files() == before
    node_2.python_path = []
    assert pid_of(node_2) == pid
    node_2.python_path = [tmp_path]
    assert node_2.ok("up", without=["acme", *node_2.without])["ran"] == "adopted"


def test_a_handler_that_fails_its_sandbox_is_rolled_back_and_the_old_ones_are_proved(
    node_2: RealNode,
) -> None:
    node_2.ok("up")
    before = node_2.files()
    good = node_2.settings.read_text()
    node_2.write_settings(good + '\n[node.handlers.broken]\nbinary = "/bin/false"\n')
    changed = node_2.files()["etc/k0sruntime/config.toml"]
    done = node_2.run("up")
    assert done.returncode == 6, done.stderr
    assert "broken" in done.stderr
    assert "is back and proved" in done.stderr
    assert node_2.files() == {**before, "etc/k0sruntime/config.toml": changed}
    node_2.write_settings(good)
    document = node_2.ok("up")
    assert document["ran"] == "adopted"
    assert proof_of(document, "runc") == "pass"


def test_a_generation_that_was_never_proved_is_no_way_back(node_2: RealNode) -> None:
    """``up`` was killed after its files were in place, and before their proof."""
    node_2.ok("up")
    good = node_2.files()
    settings = node_2.settings.read_text()
    broken = settings + '\n[node.handlers.broken]\nbinary = "/bin/false"\n'
    node_2.write_settings(broken)
    asked = Request(
        Paths.in_sandbox(str(node_2.folder)),
        without=frozenset(node_2.without),
        containerd=str(node_2.containerd),
        start=False,
    )
    pipeline.up(asked, Silent())
    assert node_2.files() != good
    done = node_2.run("up")
    assert done.returncode == 6, done.stderr
    assert "generation 1 is back and proved" in done.stderr
    assert node_2.files() == {**good, "etc/k0sruntime/config.toml": broken.encode()}
    assert pid_of(node_2)


PROVIDER = """
from k0sruntime import RuntimeHandler

def contribute_dropin(node):
    yield RuntimeHandler(name="acme", options={{"BinaryName": {program!r}}})
"""


def test_a_providers_update_whose_handler_fails_its_sandbox_is_rolled_back(
    node: RealNode, tmp_path: Path
) -> None:
    node.python_path = [tmp_path]
    write_provider(tmp_path, PROVIDER.format(program=str(LAB / "bin/runc")))
    first = node.ok("up")
    assert proof_of(first, "acme") == "pass"
    files = node.files()
    write_provider(tmp_path, PROVIDER.format(program="/bin/false"))
    done = node.run("up")
    assert done.returncode == 6, done.stderr
    assert "sandbox of handler 'acme'" in done.stderr
    assert "/bin/false did not terminate successfully" in done.stderr
    assert "provider acme" in done.stderr
    assert "generation 1 is back and proved" in done.stderr
    assert node.files() == files
    status = node.ok("status")
    assert status["generation"] == 1
    proofs = {proof["handler"]: proof["verdict"] for proof in status["proofs"]}
    assert (proofs["acme"], proofs["runc"], proofs["crun"]) == ("pass", "pass", "pass")
    assert status["running"]["pid"] != first["running"]["pid"]


def test_the_first_up_that_fails_leaves_an_empty_node(node_2: RealNode) -> None:
    node_2.write_settings(
        node_2.settings.read_text() + '[node.handlers.b]\nbinary = "/bin/false"\n'
    )
    done = node_2.run("up")
    assert done.returncode == 6, done.stderr
    assert set(node_2.files()) == {"etc/k0sruntime/config.toml"}
    assert not processes(node_2.folder)


def test_a_providers_own_check_that_fails_takes_the_change_back(
    node_2: RealNode, tmp_path: Path
) -> None:
    node_2.ok("up")
    before = node_2.files()
    write_provider(
        tmp_path,
        "from k0sruntime import Check, RuntimeHandler\n"
        "def contribute_dropin(node):\n    yield RuntimeHandler(name='acme')\n"
        "def post_start_check(node, cri):\n"
        "    yield Check(name='mood', verdict='fail', detail='not today')\n",
    )
    node_2.python_path = [tmp_path]
    done = node_2.run("up")
    assert done.returncode == 6, done.stderr
    assert "mood: not today" in done.stderr
    assert node_2.files() == before


def test_where_anothers_handler_is_preferred_the_losers_check_takes_nothing_back(
    node_2: RealNode, tmp_path: Path
) -> None:
    write_provider(
        tmp_path,
        "from k0sruntime import Check, ConfigFile, RuntimeHandler\n"
        "def contribute_dropin(node):\n"
        "    yield RuntimeHandler(name='acme', options={'ConfigPath': node.config_file('a.toml')})\n"
        "    yield ConfigFile(name='a.toml', content='x')\n"
        "def post_start_check(node, cri):\n"
        "    yield Check(name='mood', verdict='fail', detail='this is not mine')\n",
    )
    node_2.python_path = [tmp_path]
    settings = SETTINGS.replace("[node]\n", '[node]\nprefer = ["node"]\n', 1)
    node_2.write_settings(settings + "[node.handlers.acme]\nbinary = 'crun'\n")
    document = node_2.ok("up")
    assert proof_of(document, "acme") == "pass"
    assert "mood" not in {proof["name"] for proof in document["proofs"]}
    assert not [path for path in node_2.files() if path.endswith("a.toml")]
    done = node_2.run("providers", "acme")
    assert "inactive: handler acme is left to node: [node] prefer" in done.stdout


def test_a_provider_can_look_inside_a_sandbox(node_2: RealNode, tmp_path: Path) -> None:
    write_provider(
        tmp_path,
        "from k0sruntime import Check, RuntimeHandler\n"
        "def contribute_dropin(node):\n    yield RuntimeHandler(name='acme')\n"
        "def post_start_check(node, cri):\n"
        f"    said = cri.run_in_sandbox('acme', '{'k0sruntime.local/probe:1'}', ['uname', '-s'])\n"
        "    yield Check(name='kernel', verdict='pass', detail=said.strip())\n",
    )
    node_2.python_path = [tmp_path]
    document = node_2.ok("up")
    (check,) = [proof for proof in document["proofs"] if proof["name"] == "kernel"]
    assert check["detail"] == "Linux"


def test_a_command_that_fails_in_a_sandbox_says_what_it_printed(
    node_2: RealNode, tmp_path: Path
) -> None:
    write_provider(
        tmp_path,
        "from k0sruntime import Check, CRIError, RuntimeHandler\n"
        "def contribute_dropin(node):\n    yield RuntimeHandler(name='acme')\n"
        "def post_start_check(node, cri):\n"
        "    try:\n"
        "        cri.run_in_sandbox('acme', 'k0sruntime.local/probe:1', ['ls', '/nowhere'])\n"
        "    except CRIError as exc:\n"
        "        yield Check(name='look', verdict='pass', detail=str(exc))\n",
    )
    node_2.python_path = [tmp_path]
    (check,) = [proof for proof in node_2.ok("up")["proofs"] if proof["name"] == "look"]
    assert check["detail"].startswith("exit status 1: ls: /nowhere")


def test_a_handler_whose_program_is_missing_is_refused_before_anything_is_written(
    node_2: RealNode,
) -> None:
    pid = node_2.ok("up")["running"]["pid"]
    before = node_2.files()
    node_2.write_settings(SETTINGS + '[node.handlers.youki]\nbinary = "/nowhere/youki"\n')
    done = node_2.run("up")
    assert done.returncode == 3, done.stderr
    assert "the handler 'youki' needs /nowhere/youki, which is not there" in done.stderr
    settings = {"etc/k0sruntime/config.toml"}
    assert {k: v for k, v in node_2.files().items() if k not in settings} == {
        k: v for k, v in before.items() if k not in settings
    }
    node_2.write_settings(SETTINGS)
    assert node_2.ok("up")["running"]["pid"] == pid


def test_equal_files_are_recorded_again_after_the_record_was_lost(node_2: RealNode) -> None:
    pid = node_2.ok("up")["running"]["pid"]
    shutil.rmtree(node_2.folder / "var/lib/k0sruntime")
    assert node_2.run("plan", "--exit-code").returncode == 10
    assert node_2.ok("up")["running"]["pid"] == pid
    assert node_2.run("plan", "--exit-code").returncode == 0
    node_2.ok("down")
    assert set(node_2.files()) == {"etc/k0sruntime/config.toml"}


def test_a_main_file_without_its_marker_is_its_users_until_it_is_adopted(
    node_2: RealNode,
) -> None:
    node_2.ok("up")
    main = node_2.folder / "etc/k0s/containerd.toml"
    theirs = main.read_text().partition("\n")[2]
    main.write_text(theirs)
    assert str(main) not in json.loads(node_2.run("status", "--json").stdout)["owned"]
    assert node_2.ok("up")["ran"] == "adopted"
    assert main.read_text() == theirs
    node_2.ok("adopt", str(main))
    node_2.ok("up")
    assert main.read_text().startswith("# k0s_managed=true\n")
    node_2.ok("down")
    assert main.read_text() == theirs


def test_an_operators_hosts_file_is_refused_until_it_is_adopted_and_comes_back(
    node_2: RealNode,
) -> None:
    node_2.without = ("gvisor", "nvidia", "dockerd")
    node_2.write_settings(SETTINGS + '[mirrors."docker.io"]\nendpoints = ["http://127.0.0.1:9"]\n')
    theirs = node_2.dropins / "certs.d/docker.io/hosts.toml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('server = "https://their.own"\n')
    done = node_2.run("up")
    assert done.returncode == 5, done.stderr
    assert f"k0sruntime adopt {theirs}" in done.stderr
    assert theirs.read_text() == 'server = "https://their.own"\n'
    node_2.ok("adopt", str(theirs))
    node_2.ok("up")
    assert "127.0.0.1:9" in theirs.read_text()
    node_2.ok("down")
    assert theirs.read_text() == 'server = "https://their.own"\n'


def test_another_process_behind_the_socket_is_told_from_ours(node_2: RealNode) -> None:
    run = node_2.folder / "run/k0s"
    run.mkdir(parents=True)
    (node_2.folder / "var/by-hand.toml").write_text(
        'version = 3\ndisabled_plugins = ["io.containerd.nri.v1.nri"]\n'
        f'[plugins."io.containerd.internal.v1.opt"]\npath = "{node_2.folder}/var/opt"\n'
    )
    by_hand = subprocess.Popen(
        [
            node_2.containerd,
            f"--root={node_2.folder}/var/root",
            f"--state={node_2.folder}/var/state",
            f"--address={node_2.socket}",
            f"--config={node_2.folder}/var/by-hand.toml",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            if node_2.socket.exists():
                break
            time.sleep(0.05)
        done = node_2.run("up")
        assert done.returncode == 3, done.stderr
        exe = node_2.containerd.resolve()
        assert f"another process (PID {by_hand.pid}, {exe}) already serves" in done.stderr
        assert set(node_2.files()) == {"etc/k0sruntime/config.toml"}, "nothing was written"
        assert by_hand.poll() is None
    finally:
        by_hand.terminate()
        by_hand.wait(30)


def test_a_containerd_of_ours_without_a_record_is_known_again(node_2: RealNode) -> None:
    """A command was killed between a start and its record."""
    pid = node_2.ok("up")["running"]["pid"]
    (node_2.folder / "run/k0sruntime/containerd.json").unlink()
    done = node_2.run("up")
    assert done.returncode == 0, done.stderr
    assert f"containerd, PID {pid}, is ours, and there was no record of it" in done.stderr
    assert len([line for line in processes(node_2.folder) if "--address=" in line]) == 1
    (node_2.folder / "run/k0sruntime/containerd.json").unlink()
    assert node_2.ok("down")["ran"] == "stopped"
    assert not processes(node_2.folder)


def test_up_starts_a_containerd_that_was_killed(node_2: RealNode) -> None:
    first = node_2.ok("up")["running"]["pid"]
    os.kill(first, signal.SIGKILL)
    time.sleep(0.2)
    document = node_2.ok("up")
    assert document["ran"] == "started"
    assert document["running"]["pid"] != first


def test_a_containerd_that_is_too_old_is_refused(node_2: RealNode) -> None:
    old = node_2.containerd.parent.parent / "containerd-1.6/bin/containerd"
    done = node_2.run("up", "--containerd", str(old))
    assert done.returncode == 3
    assert "is too old" in done.stderr


def test_dry_run_and_plan_write_nothing(node_2: RealNode) -> None:
    before = node_2.files()
    done = node_2.run("up", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "restrict_oom_score_adj" in done.stdout or "pinned_images" in done.stdout
    assert node_2.run("plan", "--exit-code").returncode == 10
    assert node_2.files() == before
    assert not node_2.socket.exists()


def test_verify_proves_what_runs_and_fails_when_nothing_does(node_2: RealNode) -> None:
    assert node_2.run("verify").returncode == 8
    node_2.ok("up")
    document = node_2.ok("verify")
    assert {proof["verdict"] for proof in document["proofs"]} == {"pass"}


def test_rollback_goes_back_to_the_last_proved_generation(node_2: RealNode) -> None:
    node_2.ok("up")
    first = node_2.files()["etc/k0s/containerd.d/k0sruntime-node.toml"]
    node_2.write_settings(node_2.settings.read_text() + "\n[node.handlers.more]\n")
    assert proof_of(node_2.ok("up"), "more") == "pass"
    document = node_2.ok("rollback")
    assert document["generation"] == 1
    assert node_2.files()["etc/k0s/containerd.d/k0sruntime-node.toml"] == first
    assert {p["handler"] for p in document["proofs"] if p["handler"]} == {"crun", "runc"}


def test_foreground_restarts_containerd_and_stops_it_at_the_end(node_2: RealNode) -> None:
    with node_2.foreground():
        first = wait_for_pid(node_2, 0)
        os.kill(first, signal.SIGKILL)
        second = wait_for_pid(node_2, first)
        assert second != first
    assert not processes(node_2.folder)


def test_foreground_follows_drop_ins_and_keeps_the_last_good_configuration(
    node_2: RealNode,
) -> None:
    with node_2.foreground():
        first = wait_for_pid(node_2, 0)
        vendor = node_2.dropins / "vendor.toml"
        table = '[plugins."io.containerd.cri.v1.runtime".containerd'
        vendor.write_text(f'version = 3\n{table}]\ndefault_runtime_name = "nope"\n')
        wait_for_story(node_2, "'nope' is not defined")
        assert pid_of(node_2) == first, "a bad drop-in bounces nothing"
        (node_2.dropins / "certs.d").mkdir()
        vendor.write_text(
            f'version = 3\n{table}.runtimes.vendor]\nruntime_type = "io.containerd.runc.v2"\n'
        )
        second = wait_for_pid(node_2, first)
        assert proof_of(node_2.ok("status"), "vendor") == "pass"
        assert second != first


def wait_for_story(node: RealNode, text: str) -> None:
    for _ in range(200):
        if text in (node.folder / "run/story").read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"never said: {text}: {(node.folder / 'run/story').read_text()}")


def wait_for_pid(node: RealNode, other_than: int) -> int:
    record = node.folder / "run/k0sruntime/containerd.json"
    for _ in range(600):
        if record.exists():
            document = json.loads(record.read_text())
            if document["pid"] != other_than and document["proofs"]:
                return document["pid"]
        time.sleep(0.1)
    raise AssertionError(f"no containerd came up: {(node.folder / 'run/story').read_text()}")


def write_provider(folder: Path, code: str) -> None:
    """Lay a distribution with one provider into a folder, as an installer would."""
    (folder / "k0sruntime_acme.py").write_text(code)
    info = folder / "k0sruntime_acme-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: k0sruntime-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = k0sruntime_acme\n")


def test_adopt_takes_over_a_users_main_file_and_down_puts_it_back(node_2: RealNode) -> None:
    main = node_2.folder / "etc/k0s/containerd.toml"
    main.parent.mkdir(parents=True)
    content = "version = 3\n# mine, and precious\n"
    main.write_text(content)
    assert node_2.run("up").returncode == 3
    node_2.ok("adopt", str(main))
    assert main.read_text() == content, "nothing is written by adopt itself"
    assert proof_of(node_2.ok("up"), "crun") == "pass"
    assert main.read_text().startswith("# k0s_managed=true\n")
    assert node_2.ok("up")["ran"] == "adopted"
    node_2.ok("down")
    assert main.read_text() == content
    status = json.loads(node_2.run("status", "--json").stdout)
    assert status["owned"] == []


def test_status_tells_what_runs_even_where_the_next_up_would_refuse(node_2: RealNode) -> None:
    pid = node_2.ok("up")["running"]["pid"]
    (node_2.dropins / "bad.toml").write_text("x =\n")
    done = node_2.run("status", "--json")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert document["running"]["pid"] == pid
    assert "bad.toml:1" in document["problems"][0]["place"]
    assert f"PID {pid}" in node_2.run("status").stdout


def test_adopt_takes_over_a_drop_in_under_our_name(node_2: RealNode) -> None:
    theirs = node_2.dropins / "k0sruntime-node.toml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("version = 3\n# by hand\n")
    refused = node_2.run("up")
    assert refused.returncode == 5
    assert f"k0sruntime adopt {theirs}" in refused.stderr
    node_2.ok("adopt", str(theirs))
    assert node_2.ok("up")["applied"]
    assert "by hand" not in theirs.read_text()
    node_2.ok("down")
    assert "by hand" in theirs.read_text()


@pytest.mark.parametrize("name", ["vendor.toml", "k0sruntime-x.txt"])
def test_adopt_takes_nothing_that_we_would_never_write(node_2: RealNode, name: str) -> None:
    path = node_2.dropins / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("version = 3\n")
    done = node_2.run("adopt", str(path))
    assert done.returncode == 3
    assert "only a file under a name that we write" in done.stderr
