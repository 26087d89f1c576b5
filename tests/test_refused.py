"""What a provider refuses is the operator's to mend, not a fault of the provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from k0sruntime import Problem, Refused, masking, this_node
from k0sruntime.cli.main import run
from k0sruntime.errors import RefusedError
from k0sruntime.hooks import Hooks
from k0sruntime.hookspecs import Provider
from k0sruntime.records import Record
from k0sruntime.testing import make_node


class Refusing(Provider[None]):
    def contribute_dropin(self, node):
        raise Refused(
            Problem("one thing is wrong", remedy="Mend it."),
            Problem("another is", place="/c.toml: [acme] key"),
        )


def test_every_problem_gets_the_providers_name_and_a_place() -> None:
    hooks = Hooks()
    hooks.register(
        Record("acme", "k0sruntime-acme", "1.0", "active", hooks=("contribute_dropin",)), Refusing()
    )
    with pytest.raises(RefusedError) as told:
        hooks.contribute_dropin("acme", make_node("acme", None))
    first, second = told.value.problems
    assert first.place == "[acme] of the settings"
    assert second.place == "/c.toml: [acme] key"
    assert "k0sruntime-acme 1.0" in first.culprit


def test_the_command_line_refuses_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        '[node]\nk0s = "1.36"\nmode = "managed"\n'
        '[mirrors."docker.io"]\nendpoints = ["https://m.example"]\nca = "/no.crt"\n'
        '[mirrors."*"]\nendpoints = ["https://m.example"]\n'
    )
    assert run(["up", "--root", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "/no.crt cannot be read" in said
    assert "there is no registry '*'" in said
    assert not (tmp_path / "etc/k0s").exists()
    assert not (tmp_path / "var").exists()


def test_a_providers_own_command_gets_this_machines_node(tmp_path: Path) -> None:
    from k0sruntime_mirrors import provider

    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[mirrors."docker.io"]\nendpoints = ["https://m.example"]\n')
    node = this_node("mirrors", provider, sandbox=str(tmp_path))
    assert node.settings["docker.io"].endpoints == ["https://m.example"]
    assert node.paths.certs == f"{tmp_path}/etc/k0s/containerd.d/certs.d"


@pytest.mark.parametrize(
    ("table", "secret"),
    [
        ({}, False),
        ({"registry": {"config_path": "/c"}}, False),
        ({"registry": {"configs": {"h": {"auth": {"username": "bob"}}}}}, False),
        ({"registry": {"configs": {"h": {"auth": {"password": "x"}}}}}, True),
        ({"registry": {"configs": {"h": {"auth": {"identitytoken": "x"}}}}}, True),
        ({"registry": {"headers": {"Authorization": ["x"]}}}, True),
        ({"registry": {"headers": {}}}, False),
    ],
)
def test_a_drop_in_with_a_secret_is_known(table: dict[str, object], secret: bool) -> None:
    assert masking.holds_secret(table) is secret
