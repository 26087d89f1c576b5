"""``render`` over the corpus: the same folders, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.cli.main import run

CASES = Path(__file__).parent.parent / "cases" / "merge"
NAMES = sorted(path.name for path in CASES.iterdir())
PAUSE = "registry.k8s.io/pause:3.10"


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of drop-ins of a case; an empty one where the case has none."""
    found = CASES / request.param / "containerd.d"
    if found.exists():
        return found
    return tmp_path


def render(folder: Path, scheme: str, *more: str) -> int:
    return run(
        ["render", "--dropins", str(folder), "--scheme", scheme, "--pause-image", PAUSE, *more]
    )


def expected(name: str) -> dict[str, Any]:
    return json.loads((CASES / name / "expected.json").read_text())


ACCEPTED = [name for name in NAMES if not name.endswith("-rejected")]
REJECTED = [name for name in NAMES if name.endswith("-rejected")]


@pytest.mark.parametrize(("name", "folder"), [(n, n) for n in ACCEPTED], indirect=["folder"])
def test_merge_patch_prints_the_merged_document_and_the_imports(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(folder, "merge-patch", "--json") == 0
    assert json.loads(capsys.readouterr().out) == expected(name)["merge_patch"]


@pytest.mark.parametrize(("name", "folder"), [(n, n) for n in ACCEPTED], indirect=["folder"])
def test_native_prints_what_containerd_loads_without_its_defaults(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = expected(name)["native 2.1.9"]
    code = render(folder, "native", "--json")
    if real.get("rejected"):
        assert code == 3
        return
    assert code == 0
    effective = json.loads(capsys.readouterr().out)["effective"]
    for plugin in ("io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"):
        held_in(effective.get(plugin, {}), real["plugins"][plugin], real["unknown_keys"] > 0)
    held_in(effective.get("proxy_plugins", {}), real["proxy_plugins"] or {}, unknown=False)


def held_in(ours: dict[str, Any], real: dict[str, Any], unknown: bool) -> None:
    """See that every value of ours is in the real one; unknown keys may be left out there."""
    for key, value in ours.items():
        if key not in real:
            assert unknown or value in ({}, []), key
        elif isinstance(value, dict):
            held_in(value, real[key], unknown)
        else:
            assert real[key] == value, key


@pytest.mark.parametrize("scheme", ["merge-patch", "native"])
@pytest.mark.parametrize(("name", "folder"), [(n, n) for n in REJECTED], indirect=["folder"])
def test_a_bad_set_exits_3_and_names_the_file_and_the_line(
    name: str, folder: Path, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(folder, scheme) == 3
    said = capsys.readouterr()
    bad = "b.toml" if name == "one-bad-among-good-rejected" else min(folder.iterdir()).name
    assert f"{folder}/{bad}:" in said.err
    assert said.out == ""


def test_all_bad_files_are_named_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("x =\n")
    (tmp_path / "b.toml").write_text("version = 4\n")
    (tmp_path / ".c.toml").write_bytes(b"\xef\xbb\xbfversion = 3\n")
    (tmp_path / "d.toml").write_text("version = 3\noom_score = 'x'\n")
    (tmp_path / "e.toml").write_text(
        'version = 3\n\n[plugins."io.containerd.grpc.v1.cri"]\nenable_cdi = true\n'
    )
    assert render(tmp_path, "native") == 3
    said = capsys.readouterr().err
    for place in ("a.toml:1", "b.toml:1: version", ".c.toml:1", "d.toml:2: oom_score", "e.toml:3"):
        assert f"{tmp_path}/{place}" in said


def test_a_folder_that_is_not_there_has_no_drop_ins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(tmp_path / "none", "merge-patch", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == expected("no-dropins")["merge_patch"]
    assert "there is no folder" in said.err


def test_a_drop_in_that_cannot_be_read_is_a_bad_file_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dangling.toml").symlink_to("/nowhere")
    (tmp_path / "folder.toml").mkdir()
    assert render(tmp_path, "native") == 3
    said = capsys.readouterr().err
    assert "dangling.toml" in said
    assert "folder.toml" in said


def test_native_needs_schema_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert render(tmp_path, "native", "--schema", "2") == 3
    assert "1.7 replaces" in capsys.readouterr().err


def test_schema_2_keeps_the_default_handler(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text(
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.x]\nruntime_type = "t"\n'
    )
    assert render(tmp_path, "merge-patch", "--schema", "2", "--json") == 0
    document = json.loads(capsys.readouterr().out)["containerd-cri.toml"]
    table = document["plugins"]["io.containerd.grpc.v1.cri"]
    assert set(table["containerd"]["runtimes"]) == {"runc", "x"}
    assert table["sandbox_image"] == PAUSE


def test_without_json_toml_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text("version = 3\n[debug]\nlevel = 'info'\n")
    assert render(tmp_path, "merge-patch") == 0
    assert capsys.readouterr().out.startswith("# import a.toml\nversion = 3\n")


def test_dates_floats_and_strings_keep_their_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text(
        'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\n'
        "one = 1.0\nday = 1979-05-27\nat = 1979-05-27T07:32:00Z\nclock = 07:32:00\nword = '1'\n"
    )
    assert render(tmp_path, "native") == 0
    said = capsys.readouterr().out
    for line in ("one = 1.0", "day = 1979-05-27", "at = 1979-05-27T07:32:00Z", 'word = "1"'):
        assert line in said.splitlines(), said
