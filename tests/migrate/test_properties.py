"""What holds for any file, not only for those that somebody thought of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.errors import RefusedError
from k0sruntime.migrate import Migration, migrate
from k0sruntime.migrate.statements import sections
from k0sruntime.migrate.writer import _rendered

NAMES = st.sampled_from(["runc", "runsc", "kata-qemu", "we.ird", "é"])
TEXTS = st.sampled_from(["/b", "a b", 'q"\\', "#no", "[x]", "é"])
FLAGS = st.booleans()


def table(**keys: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


OPTIONS = table(BinaryName=TEXTS, SystemdCgroup=FLAGS, ConfigPath=TEXTS)
COMMON: dict[str, Any] = {
    "runtime_type": st.sampled_from(["io.containerd.runc.v2", "io.containerd.runsc.v1"]),
    "pod_annotations": st.lists(TEXTS, max_size=2),
    "snapshotter": TEXTS,
    "options": OPTIONS,
}
CNI: dict[str, Any] = {"conf_dir": TEXTS, "max_conf_num": st.integers(0, 3)}
RUNTIME_KEYS: dict[str, Any] = {"enable_cdi": FLAGS, "cdi_spec_dirs": st.lists(TEXTS, max_size=2)}
IMAGES_KEYS: dict[str, Any] = {
    "max_concurrent_downloads": st.integers(0, 9),
    "registry": table(
        config_path=TEXTS, mirrors=st.dictionaries(NAMES, table(endpoint=st.lists(TEXTS)))
    ),
}
SHARED = {"snapshotter": TEXTS, "discard_unpacked_layers": FLAGS}

CRI_2 = table(
    **RUNTIME_KEYS,
    **IMAGES_KEYS,
    sandbox_image=TEXTS,
    cni=table(**CNI, bin_dir=TEXTS),
    containerd=table(
        **SHARED,
        default_runtime_name=NAMES,
        runtimes=st.dictionaries(NAMES, table(**COMMON, sandbox_mode=TEXTS), max_size=3),
    ),
)
RUNTIME_3 = table(
    **RUNTIME_KEYS,
    cni=table(**CNI, bin_dirs=st.lists(TEXTS, min_size=1, max_size=1)),
    containerd=table(
        default_runtime_name=NAMES,
        runtimes=st.dictionaries(NAMES, table(**COMMON, sandboxer=TEXTS), max_size=3),
    ),
)
IMAGES_3 = table(**SHARED, **IMAGES_KEYS, pinned_images=table(sandbox=TEXTS))
OTHER = table(
    debug=table(level=TEXTS),
    oom_score=st.integers(-9, 9),
    proxy_plugins=st.just({"s": {"type": "t"}}),
)


@st.composite
def spelled(draw: st.DrawFn, document: dict[str, Any]) -> str:
    """Write a document in one of the many ways that TOML has, with comments in between."""
    return "".join(_spelled(draw, document, ()))


def _spelled(draw: st.DrawFn, table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    plain, below = [], []
    for key, value in table.items():
        name = f'"{key}"' if not key.isascii() or "." in key else key
        how = (
            draw(st.sampled_from(["inline", "header", "header"])) if isinstance(value, dict) else ""
        )
        if how == "header":
            below += _spelled(draw, value, (*path, name))
        else:
            plain.append(f"{draw(COMMENTS)}{name} = {_rendered(value)}{draw(TAILS)}\n")
    header = [f"[{'.'.join(path)}]\n"] if path else []
    return [*header, *plain, *below]


COMMENTS = st.sampled_from(["", "", "# above\n", "\n", "\n# free\n\n"])
TAILS = st.sampled_from(["", "", "  # beside"])


def without_empty(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found = {key: without_empty(inner) for key, inner in value.items()}
    return {key: inner for key, inner in found.items() if inner != {}}


def data(text: str) -> Any:
    return without_empty(toml.load(text.encode(), "test"))


def comments(text: str) -> list[str]:
    words = ("# above", "# free", "# beside")
    return sorted(word for line in text.splitlines() for word in words if word in line)


@pytest.mark.property
@given(st.data(), CRI_2, OTHER)
def test_there_and_back_from_schema_2_is_the_same(draw: Any, cri: Any, other: Any) -> None:
    text = draw.draw(spelled({"version": 2, **other, "plugins": {CRI: cri}}))
    there = migrate(text, 3)
    back = migrate(there.text, 2)
    assert data(back.text) == data(text)
    assert not [note for note in (*there.notes, *back.notes) if note.lost]


@pytest.mark.property
@given(st.data(), RUNTIME_3, IMAGES_3, OTHER)
def test_there_and_back_from_schema_3_is_the_same(
    draw: Any, runtime: Any, images: Any, other: Any
) -> None:
    plugins = {RUNTIME: runtime, IMAGES: images}
    text = draw.draw(spelled({"version": 3, **other, "plugins": plugins}))
    back = migrate(migrate(text, 2).text, 3)
    assert data(back.text) == data(text)


@pytest.mark.property
@given(st.data(), CRI_2, OTHER)
def test_no_comment_is_lost(draw: Any, cri: Any, other: Any) -> None:
    text = draw.draw(spelled({"version": 2, **other, "plugins": {CRI: cri}}))
    assert comments(migrate(text, 3).text) == comments(text)


@pytest.mark.property
@given(st.data(), CRI_2, OTHER)
def test_a_rewritten_file_is_right_and_stays_as_it_is(draw: Any, cri: Any, other: Any) -> None:
    text = draw.draw(spelled({"version": 2, **other, "plugins": {CRI: cri}}))
    result = migrate(text, 3).text
    assert not migrate(result, 3).changed


LINES = st.sampled_from(
    [
        "version = 2", "version = 4", f"[plugins.'{CRI}']", f"[plugins.'{RUNTIME}'.containerd]",
        f"[plugins.'{IMAGES}']", f"[[plugins.'{CRI}'.x]]", "[plugins]", "snapshotter = 's'", "runtimes = {}",
        "containerd.snapshotter = 'n'", "registry = { config_path = '/c' }", "pinned_images.sandbox = 'p'",
        "systemd_cgroup = true", "# comment", "", "cni = { bin_dir = '', bin_dirs = ['/a', '/b'] }",
        f"'{CRI}'.containerd.default_runtime.x = 1", "a = [", "]", 'b = """', '"""', "runtime_platforms.x.y = 1",
        f"[plugins.'{CRI}'.containerd.runtimes.x]", "sandbox_mode = 'm'", "sandboxer = 'n'", "plugins = 1",
        "[plugins.'io.containerd.server.v1.grpc-tcp']", "address = ':1'", "[grpc]", "tcp_address = ':2'",
    ]
)  # fmt: skip


def outcome(text: str, to: Any) -> Migration | RefusedError:
    try:
        return migrate(text, to)
    except RefusedError as exc:
        return exc


@pytest.mark.property
@settings(max_examples=400)
@given(st.lists(LINES, max_size=14), st.sampled_from([2, 3]))
def test_any_file_is_rewritten_or_refused_and_never_half_done(lines: list[str], to: Any) -> None:
    text = "\n".join(lines)
    result = outcome(text, to)
    if isinstance(result, RefusedError):
        assert result.problems[0].remedy
        return
    assert toml.load(result.text.encode(), "result").get("version", to) == to
    assert not migrate(result.text, to).changed


@pytest.mark.property
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_end_in_anything_but_a_result_or_a_refusal(content: bytes) -> None:
    assert outcome(content.decode(errors="replace"), 3) is not None


@pytest.mark.property
@given(st.data(), CRI_2, OTHER)
def test_statements_joined_again_are_the_text(draw: Any, cri: Any, other: Any) -> None:
    text = draw.draw(spelled({"version": 2, **other, "plugins": {CRI: cri}}))
    assert "".join(section.text() for section in sections(text)) == text
