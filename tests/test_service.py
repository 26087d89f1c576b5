"""The service's definition, judged by the service managers' own checkers where they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from k0sruntime import service
from k0sruntime.cli.main import run
from k0sruntime.errors import RefusedError
from k0sruntime.testing import MadeUpFiles

COMMAND = ["/usr/bin/true", "up", "--foreground", "--settings=/etc/with space/100%/$x.toml"]


@pytest.mark.real
def test_systemd_itself_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "k0sruntime.service"
    unit.write_text(service.text("systemd", COMMAND))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    about_us = [line for line in done.stderr.splitlines() if "k0sruntime" in line]
    assert (done.returncode, about_us) == (0, []), done.stderr


def test_the_unit_never_takes_pods_along() -> None:
    unit = service.text("systemd", COMMAND)
    for line in (
        "Type=notify",
        "KillMode=process",
        "Delegate=yes",
        "LimitNOFILE=1048576",
        "OOMScoreAdjust=-999",
        "Restart=on-failure",
    ):
        assert f"\n{line}\n" in unit
    for inherited in ("Protect", "Private", "NoNewPrivileges", "SystemCall", "Restrict"):
        assert f"\n{inherited}" not in unit.replace("\nRestartPrevent", ""), "containers inherit it"
    assert '"--settings=/etc/with space/100%%/$$x.toml"' in unit


def test_the_script_is_one_that_a_shell_reads(tmp_path: Path) -> None:
    script = tmp_path / "k0sruntime"
    script.write_text(service.text("openrc", [*COMMAND, "--it's"]))
    subprocess.run(["sh", "-n", script], check=True)


@pytest.mark.parametrize(
    ("path", "init"), [("/run/systemd/system/x", "systemd"), ("/sbin/openrc-run", "openrc")]
)
def test_the_nodes_own_service_manager_is_found(path: str, init: str) -> None:
    assert service.init_of(MadeUpFiles({path: ""})) == init


def test_a_node_without_a_service_manager_is_told_what_to_do() -> None:
    with pytest.raises(RefusedError) as refused:
        service.init_of(MadeUpFiles())
    assert "--init" in refused.value.problems[0].remedy


def test_it_is_written_into_an_image_root(tmp_path: Path) -> None:
    assert run(["install-service", "--root", str(tmp_path), "--init", "systemd"]) == 0
    written = (tmp_path / "etc/systemd/system/k0sruntime.service").read_text()
    assert " up --foreground\n" in written


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image with k0sruntime where a bundle's install.sh puts it."""
    program = tmp_path / "opt/k0sruntime/bin/k0sruntime"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("init", "link", "place"),
    [
        (
            "systemd",
            "etc/systemd/system/multi-user.target.wants/k0sruntime.service",
            "/etc/systemd/system/k0sruntime.service",
        ),
        ("openrc", "etc/runlevels/default/k0sruntime", "/etc/init.d/k0sruntime"),
    ],
)
def test_in_an_image_it_is_enabled_and_runs_what_is_in_the_image(
    image: Path, init: str, link: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(["install-service", "--root", str(image), "--init", init]) == 0
    assert (image / link).readlink() == Path(place), "as the service manager's own command does"
    said = capsys.readouterr()
    assert f"enabled: /{link}" in said.out
    assert "next:" not in said.out, "there is nothing to start"
    assert "note:" not in said.err
    text = (image / place.lstrip("/")).read_text()
    assert "/opt/k0sruntime/bin/k0sruntime" in text
    assert str(image) not in text


def test_a_service_can_bring_a_node_to_what_a_bundle_says_at_every_boot(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = "/usr/share/k0sruntime/site.tar"
    command = ["install-service", "--root", str(image), "--init", "systemd", "--bundle", bundle]
    assert run(command) == 0
    assert f"note: there is no {bundle} in the image yet" in capsys.readouterr().err
    (image / "usr/share/k0sruntime").mkdir(parents=True)
    (image / bundle.lstrip("/")).write_text("")
    assert run(command) == 0
    assert "note:" not in capsys.readouterr().err
    unit = (image / "etc/systemd/system/k0sruntime.service").read_text()
    assert f"k0sruntime up --foreground --bundle={bundle} --offline\n" in unit


def test_a_program_that_the_image_lacks_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["install-service", "--root", str(tmp_path), "--init", "systemd"]) == 0
    assert "in the image yet" in capsys.readouterr().err


@pytest.mark.real
def test_systemd_itself_says_that_it_is_enabled(image: Path) -> None:
    assert run(["install-service", "--root", str(image), "--init", "systemd"]) == 0
    done = subprocess.run(
        ["systemctl", f"--root={image}", "is-enabled", "k0sruntime.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("enabled\n", 0), done.stderr


def test_nobody_needs_it_enabled(image: Path) -> None:
    command = ["install-service", "--root", str(image), "--init", "systemd", "--no-enable"]
    assert run(command) == 0
    assert not (image / "etc/systemd/system/multi-user.target.wants").exists()
