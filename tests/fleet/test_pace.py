"""How a roll-out is paced, on a made-up fleet: local connections, a root folder a node, nothing runs.

The play, the role and the modules are those of real nodes. A node that is lost has an address on
loopback where nobody listens.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.fleet.conftest import BIN, Ansible, Run

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

ROLLOUT = "k0sruntime.node.rollout"
UP = "k0sruntime.node.up"
GOOD = '[node]\nk0s = "1.36"\n\n[node.handlers.crun]\nbinary = "/usr/bin/crun"\n'
REFUSED = '[node]\nk0s = "1.36"\nno_such_key = "x"\n'
LOST = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


@pytest.fixture
def ansible(base: Path, collections: Path) -> Ansible:
    return Ansible(base, collections)


def lay(ansible: Ansible, count: int, **special: dict[str, Any]) -> None:
    """Write an inventory of so many nodes; some may have variables of their own."""
    hosts = {}
    for number in range(1, count + 1):
        name = f"n{number:03d}"
        root = ansible.base / "roots" / name
        root.mkdir(parents=True, exist_ok=True)
        hosts[name] = {"k0sruntime_root": str(root), **special.get(name, {})}
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "ansible_remote_tmp": str(ansible.base / "remote"),
        "k0sruntime_settings": GOOD,
        "k0sruntime_program": str(BIN / "k0sruntime"),
    }
    ansible.write_inventory({"k0s_nodes": {"hosts": hosts, "vars": shared}})


def touched(run: Run) -> list[str]:
    """Return the nodes that the roll-out came to, in order."""
    return list(dict.fromkeys(entry["host"] for entry in run.recorded["results"]))


def names(*numbers: int) -> list[str]:
    return [f"n{number:03d}" for number in numbers]


def test_a_canary_comes_first_then_ever_larger_batches_and_a_second_run_changes_nothing(
    ansible: Ansible,
) -> None:
    lay(ansible, 6)
    run = ansible.run(ROLLOUT, k0sruntime_serial=[1, 2, 3])
    assert run.code == 0, run.said
    done = [entry["host"] for entry in run.recorded["results"] if entry["action"] == UP]
    assert (done[0], set(done[1:3]), set(done[3:])) == (
        "n001",
        set(names(2, 3)),
        set(names(4, 5, 6)),
    )
    assert set(run.count("changed").values()) == {1}
    again = ansible.run(ROLLOUT, k0sruntime_serial="100%")
    assert again.code == 0, again.said
    assert set(again.count("changed").values()) == {0}


def test_a_canary_that_is_refused_stops_everything_and_keeps_its_settings(
    ansible: Ansible,
) -> None:
    lay(ansible, 3, n001={"k0sruntime_settings": REFUSED})
    settings = ansible.base / "roots/n001/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(GOOD)
    settings.chmod(0o640)
    run = ansible.run(ROLLOUT)
    assert run.code == 2, run.said
    assert touched(run) == ["n001"]
    (failed,) = run.of("n001", UP)
    assert (failed["error"], failed["exit_code"], failed["changed"]) == ("REFUSED", 3, False)
    assert "no_such_key" in failed["msg"]
    assert (settings.read_text(), settings.stat().st_mode & 0o777) == (GOOD, 0o640)


def test_as_many_nodes_may_fail_or_be_lost_as_max_fail_percentage_says(ansible: Ansible) -> None:
    lay(ansible, 6, n002={"k0sruntime_settings": REFUSED}, n003=LOST)
    run = ansible.run(ROLLOUT, k0sruntime_serial=[1, 4], k0sruntime_max_fail_percentage=50)
    assert run.code != 0, run.said
    assert touched(run)[-1] == "n006", "two of four is not more than half"
    assert run.count("failures") == dict.fromkeys(names(1, 2, 3, 4, 5, 6), 0) | {"n002": 1}
    assert run.count("unreachable")["n003"] == 1


def test_a_lost_node_counts_as_a_failed_one(ansible: Ansible) -> None:
    """Ansible alone goes on where nodes are unreachable, however many."""
    lay(ansible, 5, n002=LOST)
    run = ansible.run(ROLLOUT, k0sruntime_serial=[1, 2])
    assert run.code != 0, run.said
    assert sorted(touched(run)) == names(1, 2, 3), "the batch is finished, and no other begins"
    assert run.count("unreachable")["n002"] == 1
    assert run.count("failures")["n003"] == 0
    assert "The roll-out stops: n002 cannot be reached." in run.said


def test_programs_images_and_files_are_brought_along(ansible: Ansible) -> None:
    cache, secret = ansible.base / "cache/sha512", ansible.base / "token"
    cache.mkdir(parents=True)
    (cache / "ab12").write_text("a program")
    secret.write_text("zq7-token")
    (ansible.base / "pause.tar").write_text("an image")
    wanted = {"src": str(secret), "dest": f"{ansible.base}/brought", "mode": "0600"}
    lay(
        ansible,
        1,
        n001={
            "k0sruntime_cache": str(cache.parent),
            "k0sruntime_node_cache": f"{ansible.base}/node-cache",
            "k0sruntime_images": [str(ansible.base / "pause.tar")],
            "k0sruntime_files": [wanted],
        },
    )
    run = ansible.run(ROLLOUT, "--diff", "-vvv")
    assert run.code == 0, run.said
    assert (ansible.base / "node-cache/sha512/ab12").read_text() == "a program"
    assert (ansible.base / "brought").stat().st_mode & 0o777 == 0o600
    assert (ansible.base / "roots/n001/var/lib/k0s/images/pause.tar").exists()
    assert "zq7" not in run.said
    again = ansible.run(ROLLOUT, "--diff")
    assert again.count("changed") == {"n001": 0}


def test_a_bundle_brings_the_program_images_and_settings(
    ansible: Ansible, wheels: Path, tmp_path: Path
) -> None:
    settings, bundle, home = tmp_path / "node.toml", tmp_path / "site.tar", ansible.base / "home"
    settings.write_text(GOOD)
    (tmp_path / "pause.tar").write_text("an image")
    command = [BIN / "k0sruntime", "bundle", bundle, "--settings", settings]
    left_out = [f"--without={name}" for name in ("dockerd", "gvisor", "nvidia")]
    packed = [f"--wheels={wheels.parent}", "--no-images", f"--image={tmp_path}/pause.tar"]
    done = subprocess.run(
        [*command, *left_out, *packed], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lay(ansible, 1)
    inventory = YAML().load(ansible.inventory)
    for name in ("k0sruntime_settings", "k0sruntime_program"):
        del inventory["k0s_nodes"]["vars"][name]
    inventory["k0s_nodes"]["vars"].update(
        k0sruntime_bundle=str(bundle),
        k0sruntime_home=str(home),
        k0sruntime_python=os.path.realpath(sys.executable),
        k0sruntime_offline=True,
    )
    ansible.write_inventory(inventory)
    run = ansible.run(ROLLOUT, "--check", "--diff")
    assert run.code == 0, run.said
    assert not (home / "bundle.tar").exists()
    run = ansible.run(ROLLOUT)
    assert run.code == 0, run.said
    root = ansible.base / "roots/n001"
    assert (root / "etc/k0sruntime/config.toml").read_text() == GOOD
    assert (root / "var/lib/k0s/images/pause.tar").exists()
    assert (home / "bundle.tar").stat().st_mode & 0o777 == 0o600
    again = ansible.run(ROLLOUT)
    assert again.count("changed") == {"n001": 0}
    ahead = ansible.run(ROLLOUT, "--check")
    assert ahead.count("changed") == {"n001": 0}


def test_a_node_without_k0sruntime_says_what_to_do(ansible: Ansible) -> None:
    lay(ansible, 1, n001={"k0sruntime_program": "/nowhere/k0sruntime"})
    home, wheels = ansible.base / "home", ansible.base / "wheels.tar"
    wheels.touch()
    brought = {"k0sruntime_wheels": str(wheels), "k0sruntime_home": str(home)}
    program = f"{home}/current/bin/k0sruntime"
    run = ansible.run(ROLLOUT, "--check", "--diff", k0sruntime_program=program, **brought)
    assert run.code == 0, run.said
    assert "k0sruntime or its bundle is not on this node yet" in run.said
    assert not home.exists()
    run = ansible.run(ROLLOUT)
    assert run.code == 2
    (failed,) = run.of("n001", UP)
    assert failed["error"] == "NOT_INSTALLED"
    assert not (ansible.base / "roots/n001/etc/k0sruntime/config.toml").exists()
