"""What a real containerd says comes back with file and line, and our rules agree with it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import toml
from k0sruntime.compose.schema import CRI, IMAGES
from k0sruntime.compose.schema import RUNTIME as RUNTIME_ID
from k0sruntime.lint import Finding, Target, check
from k0sruntime.lint.config_dump import with_containerd
from k0sruntime.lint.gather import gather
from k0sruntime.lint.known_keys import CRI_TABLES, ROOT
from k0sruntime.lint.spec import Key
from k0sruntime.lint.subject import Subject, parse
from k0sruntime.node import Version
from k0sruntime.programs import ask
from k0sruntime.testing import MadeUpFiles
from tests.conftest import LAB
from tests.lint.pages import page

pytestmark = pytest.mark.real

NEW = LAB / "bin" / "containerd"
OLD = LAB / "containerd-1.7" / "bin" / "containerd"
RUNTIME = 'plugins."io.containerd.cri.v1.runtime"'
NRI = 'plugins."io.containerd.nri.v1.nri"'
MAIN = "# k0s_managed=true\nversion = {}\nimports = [\n  # all of them\n  '/etc/k0s/containerd.d/*.toml',\n]\n"


def asked(binary: Path, **files: str) -> tuple[Finding, ...]:
    names = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    made_up = MadeUpFiles({f"/etc/k0s/{name}": text for name, text in names.items()})
    version = Version.parse(ask([str(binary), "--version"], 10).output.split()[2])
    assert version
    target = Target(version)
    subject = gather(["/etc/k0s"], made_up)
    return with_containerd(check(subject, target, made_up), subject, target, str(binary))


def places(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{f.place.removeprefix('/etc/k0s/')} {f.rule.code}" for f in findings]


@pytest.mark.parametrize("code", ["K0R901", "K0R902"])
def test_the_examples_of_containerds_own_words(code: str) -> None:
    example = page(code)
    for section, expected in (("Bad", {code}), ("Good", set())):
        subject, target = example.subject(section), example.target()
        findings = with_containerd((), subject, target, str(NEW))
        assert {finding.rule.code for finding in findings} == expected
        assert all(finding.line for finding in findings)


def test_warnings_of_the_main_file_and_of_drop_ins() -> None:
    findings = asked(
        NEW,
        containerd_toml=MAIN.format(3) + f"[{NRI}]\nmain_key = 1\n",
        containerd_d__10_toml=f"version = 3\n\n[{NRI}]\nother = {{ deep = 1 }}\n",
        containerd_d__20_toml=f"version = 3\n[{RUNTIME}]\nenable_cdii = true\n",
    )
    assert places(findings) == [
        "containerd.toml:8 K0R902",
        "containerd.d/10.toml:4 K0R902",
        "containerd.d/20.toml:3 K0R103",
    ]


def test_every_refusal_is_told_not_the_first_only() -> None:
    findings = asked(
        NEW,
        containerd_toml=MAIN.format(3),
        containerd_d__10_toml=f'version = 3\n[{NRI}]\ndisable = "yes"\n',
        containerd_d__20_toml=f"version = 3\n[{NRI}]\nsocket_path = 3\n",
        containerd_d__30_toml="version = 3\n[debug]\nlevel = 3\n",
    )
    assert places(findings) == [
        "containerd.d/10.toml:3 K0R901",
        "containerd.d/20.toml:3 K0R901",
        "containerd.d/30.toml:3 K0R003",
    ]


def test_1_7_names_a_row_at_best() -> None:
    findings = asked(
        OLD,
        containerd_toml=MAIN.format(2),
        containerd_d__10_toml=f'version = 2\n\n\n[{NRI}]\nsocket_path = "/x"\ndisable = "yes"\n',
        containerd_d__20_toml="version = 3\n",
    )
    assert places(findings) == ["containerd.d/10.toml:6 K0R901", "containerd.d/20.toml:1 K0R201"]


def test_a_good_set_has_nothing_said_of_it() -> None:
    good = f"version = 3\n[{RUNTIME}]\nenable_cdi = true\n"
    assert asked(NEW, containerd_toml=MAIN.format(3), containerd_d__10_toml=good) == ()
    assert asked(NEW, containerd_d__10_toml=good) == ()


@pytest.mark.parametrize("binary", [NEW, OLD], ids=["2.1", "1.7"])
def test_our_known_keys_are_containerds(binary: Path, tmp_path: Path) -> None:
    """Containerd's own default configuration is clean: no key of it is unknown to us."""
    default = ask([str(binary), "config", "default"], 10).output
    findings = asked(binary, containerd_toml="# k0s_managed=true\n" + default)
    assert findings == ()


@pytest.mark.parametrize("code", ["K0R001", "K0R002", "K0R003", "K0R107"])
def test_what_we_say_stops_containerd_does(code: str, tmp_path: Path) -> None:
    """The bad examples about syntax and types are refused by the real one, the good ones are not."""
    for section in ("Bad", "Good"):
        folder = tmp_path / section
        for path, data in page(code).files(section).contents.items():
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data if isinstance(data, bytes) else data.encode())
        main = folder / "main.toml"
        main.write_text(f'version = 3\nimports = ["{folder}/etc/k0s/containerd.d/*.toml"]\n')
        status = ask([str(NEW), f"--config={main}", "config", "dump"], 10).status
        assert bool(status) == (section == "Bad")
        shutil.rmtree(folder)


ZEROS = {
    "string": "",
    "integer": 0,
    "boolean": False,
    "number": 0.5,
    "list": [],
    "list of strings": [],
    "table": {},
}
NOT_IN_A_FILE = {
    "version",
    "imports",
    "plugins",
    "timeouts",
    "root",
    "state",
    "oom_score",
    "proxy_plugins",
}


def everything(spec: Mapping[str, Key], version: Version) -> dict[str, Any]:
    """Return a table that sets every key known to a containerd."""
    table: dict[str, Any] = {}
    for name, key in spec.items():
        if name not in NOT_IN_A_FILE and key.known_to(version):
            inside = everything(key.inside, version) if key.inside else ZEROS[key.kind]
            table[name] = {"x": inside} if key.each else inside
    return table


@pytest.mark.parametrize("binary", [NEW, OLD], ids=["2.1", "1.7"])
def test_every_key_that_we_know_containerd_knows(binary: Path) -> None:
    """Warnings for what is gone are ours to give: registry.configs.*.tls."""
    version = Version(1, 7, 24) if binary == OLD else Version(2, 1, 9)
    names = (CRI,) if binary == OLD else (RUNTIME_ID, IMAGES)
    plugins = {name: everything(CRI_TABLES[name], version) for name in names}
    document = {
        "version": 2 if binary == OLD else 3,
        **everything(ROOT, version),
        "plugins": plugins,
    }
    file = parse("/etc/k0s/containerd.d/all.toml", toml.dump(document).encode(), "drop-in")
    findings = with_containerd((), Subject((file,)), Target(version), str(binary))
    assert [(f.key, f.message) for f in findings if not f.key.endswith(".tls")] == []


CRI_RULES = [
    "K0R106",
    "K0R108",
    "K0R109",
    "K0R111",
    "K0R301",
    "K0R302",
    "K0R307",
    "K0R308",
    "K0R309",
    "K0R310",
    "K0R311",
    "K0R312",
    "K0R313",
    "K0R314",
    "K0R315",
    "K0R401",
    "K0R402",
    "K0R806",
]


@pytest.mark.parametrize("code", CRI_RULES)
def test_what_we_say_kills_cri_does(code: str, tmp_path: Path) -> None:
    """A containerd that runs on the bad example has no CRI; on the good one it has."""
    example = page(code)
    binary = OLD if example.target().schema == 2 else NEW
    assert not cri_loads(binary, example.files("Bad"), tmp_path / "bad")
    assert cri_loads(binary, example.files("Good"), tmp_path / "good")


def cri_loads(
    binary: Path,
    files: MadeUpFiles,
    folder: Path,
    options: tuple[str, ...] = (),
    expected: bool = True,
) -> bool:
    """Run a containerd on the files for a moment, and tell whether its CRI plugin is loaded.

    One that exits has none. Where no main file is among them, one imports the drop-ins. Some die
    a moment after CRI was loaded: where no CRI is expected, its end is waited for.
    """
    base = "/etc/k0s"
    for path, data in files.contents.items():
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        text = data if isinstance(data, bytes) else data.encode()
        place.write_bytes(text.replace(base.encode(), f"{folder}{base}".encode()))
    main = Path(f"{folder}{base}/containerd.toml")
    if not main.exists():
        main = folder / "main.toml"
        version = 2 if binary == OLD else 3
        main.write_text(f'version = {version}\nimports = ["{folder}{base}/containerd.d/*.toml"]\n')
    with tempfile.TemporaryDirectory() as short:
        command = [
            str(binary),
            f"--root={short}/root",
            f"--state={short}/state",
            f"--address={short}/s",
            f"--config={main}",
            *options,
        ]
        running = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, env={"PATH": f"{LAB}/bin:/usr/bin:/bin"}
        )
        try:
            return _has_cri(running, f"{short}/s", expected)
        finally:
            running.terminate()
            running.wait(30)


def _has_cri(running: subprocess.Popen[bytes], socket: str, expected: bool) -> bool:
    end = time.monotonic() + 60  # machines may be busy
    loaded = False
    while time.monotonic() < end and running.poll() is None:
        answer = ask([str(LAB / "bin/ctr"), "--address", socket, "plugins", "ls"], 10)
        if answer.status == 0:
            rows = [row.split() for row in answer.output.splitlines()]
            states = [row[-1] for row in rows if row[:2] == ["io.containerd.grpc.v1", "cri"]]
            if not loaded and states == ["ok"]:
                loaded, end = True, time.monotonic() + 10
            if states != ["ok"] or expected:
                return states == ["ok"]
        time.sleep(0.05)
    return loaded and running.poll() is None
