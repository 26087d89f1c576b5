"""The collection itself: Ansible's own sanity tests, versions, and what its page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ansible_test
import pip
import pytest
from ruamel.yaml import YAML

from k0sruntime.__about__ import __version__
from k0sruntime.errors import ExitCode
from tests.fleet.conftest import BIN, COLLECTION, Ansible
from tests.real.conftest import ROOT

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

PAGE = (ROOT / "docs/ansible.md").read_text()
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ROLLOUT = "k0sruntime.node.rollout"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def ansible(base: Path, collections: Path) -> Ansible:
    return Ansible(base, collections)


def test_it_shares_the_version_of_k0sruntime() -> None:
    assert YAML().load(COLLECTION / "galaxy.yml")["version"] == __version__


def test_it_holds_nothing_but_what_belongs_there(collections: Path) -> None:
    installed = collections / "ansible_collections/k0sruntime/node"
    names = {path.name for path in installed.iterdir()} - {"MANIFEST.json", "FILES.json"}
    documents = {"CHANGELOG.md", "LICENSE", "README.md"}
    assert names == documents | {"meta", "playbooks", "plugins", "roles"}


def test_ansible_test_sanity_passes(ansible: Ansible) -> None:
    """All of it but pylint, which judges the same files as ruff does, at twice the time.

    ansible-test makes an environment for each of its tests, and would fetch pip for them from a
    site; a copy of ours is handed to it where it keeps that.
    """
    source = ansible.collections / "ansible_collections/k0sruntime/node"
    target = ansible.base / "ansible_collections/k0sruntime/node"
    shutil.copytree(source, target)
    for name in ("MANIFEST.json", "FILES.json"):
        (target / name).unlink()
    shutil.copy(COLLECTION / "galaxy.yml", target)
    hand_over_pip(ansible.base)
    command = [str(BIN / "ansible-test"), "sanity", "--python", PYTHON, "--skip-test", "pylint"]
    environment = {**ansible.environment(), "PIP_NO_COMPILE": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=target, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ran = set(re.findall(r'Running sanity test "([a-z0-9-]+)"', done.stdout + done.stderr))
    assert ran >= {"ansible-doc", "compile", "import", "pep8", "validate-modules", "yamllint"}


def test_ansible_lint_has_nothing_to_say_with_its_production_profile(
    ansible: Ansible, tmp_path: Path
) -> None:
    """``make lint`` runs the same, for whoever has no root."""
    source = tmp_path / "node"
    shutil.copytree(COLLECTION, source)
    done = subprocess.run(
        [
            str(BIN / "ansible-lint"),
            "--offline",
            "--strict",
            "--profile",
            "production",
            "--nocolor",
        ],
        capture_output=True,
        text=True,
        cwd=source,
        env=ansible.environment(),
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    judged = re.search(r"Passed: 0 failure\(s\), 0 warning\(s\).* in (\d+) files", said)
    assert judged, said
    assert int(judged[1]) >= len(list((COLLECTION / "roles").rglob("*.yml"))), said
    assert "'production'" in said


def hand_over_pip(home: Path) -> None:
    """Lay a script where ansible-test keeps the one that brings pip; it leads to a copy of ours."""
    shutil.copytree(Path(pip.__file__).parent, home / "pip/pip")
    script = f'import site\nopen(site.getsitepackages()[0] + "/p.pth", "w").write("{home}/pip")\n'
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True)
    text = (Path(ansible_test.__file__).parent / "_internal/python_requirements.py").read_text()
    for version in re.findall(r"\bpip='([0-9.]+)'", text):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(script)


def test_the_page_names_every_module_every_variable_and_every_way_to_fail() -> None:
    for module in (COLLECTION / "plugins/modules").glob("*.py"):
        assert f"k0sruntime.node.{module.stem}`" in PAGE
    specs = YAML().load(COLLECTION / "roles/k0sruntime/meta/argument_specs.yml")
    options = specs["argument_specs"]["main"]["options"]
    inner = {"k0sruntime_sandbox", "k0sruntime_root", "k0sruntime_node_cache"}
    assert {name for name in options if name not in PAGE} <= inner
    play = (COLLECTION / "playbooks/rollout.yml").read_text()
    chosen = set(re.findall(r"(k0sruntime_\w+) \| default", play))
    assert chosen <= set(re.findall(r"`(k0sruntime_\w+)`", PAGE))
    told = set(re.findall(r"`([A-Z_]+)`", PAGE))
    # of those that no module can come to: UNJUDGED is the word of a rehearsal
    elsewhere = {"DONE", "BUG", "USAGE", "PENDING", "UNJUDGED", "INTERRUPTED"}
    assert {code.name for code in ExitCode} - elsewhere <= told


def test_the_pages_inventory_and_playbooks_work_as_they_stand(ansible: Ansible) -> None:
    """The page's own inventory, with what differs here: local connections, and root folders without k0s."""
    inventory, _, play, _ = blocks("yaml")
    content = YAML().load(inventory)
    brought = ansible.base / "files"
    brought.mkdir()
    (brought / "pause.tar").write_text("an image")
    group = content["k0s_nodes"]
    for name, host in group["hosts"].items():
        root = ansible.base / name
        root.mkdir()
        host.update(ansible_connection="local", k0sruntime_root=str(root))
    del group["vars"]["k0sruntime_wheels"]
    settings = group["vars"]["k0sruntime_settings"]
    assert settings.startswith("[node]\n")
    group["vars"]["k0sruntime_settings"] = settings.replace("[node]", '[node]\nk0s = "1.36"')
    group["vars"].update(here())
    ansible.write_inventory(content)
    run = ansible.run(ROLLOUT, "--check", "--diff", k0sruntime_become=False)
    assert run.code == 0, run.said
    assert "mirror.internal.example" in run.said
    run = ansible.run(ROLLOUT, "--forks", "50", "--diff", k0sruntime_become=False)
    assert run.code == 0, run.said
    assert "from-a-vault" not in run.said
    look = YAML().load(play)
    for one in look:
        assert set(one["module_defaults"]["group/k0sruntime.node.all"]) == {"program"}
        at = {"program": str(BIN / "k0sruntime"), "root": "{{ k0sruntime_root }}"}
        one["module_defaults"] = {"group/k0sruntime.node.all": at}
    fleet = ansible.base / "fleet.yml"
    YAML().dump(look, fleet)
    run = ansible.run(str(fleet), "--become-method=su")
    assert run.code == 0, run.said
    assert run.said.count("generation 1, to do: False") == len(group["hosts"])
    for name in group["hosts"]:
        hosts_file = ansible.base / name / "etc/k0s/containerd.d/certs.d/docker.io/hosts.toml"
        assert "mirror.internal.example:5000" in hosts_file.read_text()


def here() -> dict[str, Any]:
    return {
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "k0sruntime_program": str(BIN / "k0sruntime"),
        "k0sruntime_environment": {"PATH": os.environ["PATH"]},
    }
