"""Every key of the effective configuration tells where it comes from, and what it overrode."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, Existing, compose
from k0sruntime.contributions import Contribution, DropIn, Owner, RuntimeHandler
from k0sruntime.errors import ExitCode, UsageError
from k0sruntime.explain import explain_all, explain_handler, explain_key, short, split
from k0sruntime.testing import make_node

RUNTIME = "io.containerd.cri.v1.runtime"
FOLDER = "/etc/k0s/containerd.d"


def composed(*values: Any, line: str = "1.36", scheme: Any = None, **files: str) -> Composition:
    """Compose what ``acme`` contributes with foreign drop-ins by name."""
    owner = Owner("acme", "acme-dist", "1.0", "contribute_dropin")
    parts = tuple(Contribution(owner, value) for value in values)
    node = make_node("", None, mode="standalone", line=line, scheme=scheme)
    foreign = {f"{name}.toml": text.encode() for name, text in files.items()}
    return compose(node, Collected(parts=parts), Existing(dropins=foreign))


def cri(*lines: str) -> str:
    return "\n".join(("version = 3", f'[plugins."{RUNTIME}"]', *lines, ""))


def test_a_key_is_explained_by_value_file_line_owner_and_reason() -> None:
    result = composed(DropIn(runtime={"enable_cdi": True}, reason="there is a GPU"))
    (entry,) = explain_key(result, "enable_cdi")
    assert entry.value is True
    assert entry.setting.path == f"{FOLDER}/k0sruntime-acme.toml"
    assert entry.setting.owner == "acme (acme-dist 1.0), hook contribute_dropin"
    assert entry.setting.reason == "there is a GPU"
    (layer,) = [layer for layer in result.layers if layer.path == entry.setting.path]
    assert layer.text.splitlines()[entry.setting.line - 1] == "enable_cdi = true"


def test_what_was_overridden_is_told_latest_first() -> None:
    result = composed(
        DropIn(runtime={"x": 1}), a=cri("x = 0"), l=cri("", "x = 2"), z=cri("# more", "", "x = 3")
    )
    (entry,) = explain_key(result, "x")
    assert (entry.value, entry.setting.path, entry.setting.line) == (3, f"{FOLDER}/z.toml", 5)
    assert [(s.value, s.path.rpartition("/")[2], s.line) for s in entry.overrode] == [
        (2, "l.toml", 4),
        (1, "k0sruntime-acme.toml", 5),
        (0, "a.toml", 3),
    ]


def test_a_table_explains_all_keys_in_it() -> None:
    result = composed(RuntimeHandler(name="x", options={"A": 1, "B": {"C": 2}}))
    found = explain_key(result, "containerd.runtimes.x")
    assert [entry.key[5:] for entry in found] == [
        ("options", "A"),
        ("options", "B", "C"),
        ("runtime_type",),
    ]


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("a.b", ("a", "b")),
        ('plugins."io.containerd.cri.v1.runtime".x', ("plugins", RUNTIME, "x")),
        ("registry.configs.'r.local:5000'.auth", ("registry", "configs", "r.local:5000", "auth")),
        ("a..b.", ("a", "b")),
    ],
)
def test_a_part_in_quotes_may_hold_dots(key: str, parts: tuple[str, ...]) -> None:
    assert split(key) == parts


def test_the_short_name_of_a_key_leaves_the_plugin_out() -> None:
    assert short(("plugins", RUNTIME, "cni", "conf_dir")) == "cni.conf_dir"
    assert short(("debug", "level")) == "debug.level"


def test_a_key_that_nobody_sets_is_a_usage_error_with_the_nearest() -> None:
    result = composed(DropIn(runtime={"enable_cdi": True}))
    with pytest.raises(UsageError, match="no file sets 'enable_cdy'") as refused:
        explain_key(result, "enable_cdy")
    assert refused.value.exit_code == ExitCode.USAGE
    assert refused.value.problems[0].remedy == 'Did you mean "enable_cdi"?'
    with pytest.raises(UsageError) as refused:
        explain_key(result, "qqqqqqqqqq")
    assert "--all" in refused.value.problems[0].remedy


def test_a_misspelt_handler_is_told_with_the_nearest_or_all() -> None:
    result = composed(RuntimeHandler(name="runsc"))
    with pytest.raises(UsageError) as refused:
        explain_handler(result, "qqq")
    assert refused.value.problems[0].remedy == "Handlers are runc, runsc."


@pytest.mark.parametrize(("line", "scheme"), [("1.35", None), ("1.36", "merge-patch")])
def test_a_default_that_drop_ins_are_merged_onto_is_told_as_such(line: str, scheme: Any) -> None:
    result = composed(RuntimeHandler(name="x"), line=line, scheme=scheme)
    owners = {entry.key: entry.setting.owner for entry in explain_all(result)}
    assert any("acme" in owner for owner in owners.values())
    if line == "1.35":
        key = ("plugins", "io.containerd.grpc.v1.cri", "containerd", "runtimes", "runc")
        assert "default" in owners[(*key, "runtime_type")]


def test_the_file_named_for_a_default_holds_it() -> None:
    result = composed(line="1.35")
    key = "containerd.runtimes.runc.runtime_type"
    (entry,) = explain_key(result, key)
    texts = {file.path: file.content.decode() for file in result.files}
    line = texts[entry.setting.path].splitlines()[entry.setting.line - 1]
    assert "runtime_type" in line


def test_a_zero_at_the_root_that_containerd_passes_over_is_not_told_as_the_setter() -> None:
    result = composed(DropIn(tables={"debug": {"level": "info"}}), z="[debug]\nlevel = ''\n")
    (entry,) = explain_key(result, "debug.level")
    assert entry.value == "info"
    assert entry.setting.owner.startswith("acme ")
    assert entry.setting.value == "info"


def test_every_file_that_adds_to_an_array_of_the_root_is_told() -> None:
    result = composed(DropIn(tables={"disabled_plugins": ["a"]}), z="disabled_plugins = ['b']\n")
    (entry,) = explain_key(result, "disabled_plugins")
    assert entry.value == ["a", "b"]
    files = {entry.setting.path, *(setting.path for setting in entry.overrode)}
    assert files == {f"{FOLDER}/z.toml", f"{FOLDER}/k0sruntime-acme-tables.toml"}


def test_secrets_are_masked_in_values_and_in_what_they_overrode() -> None:
    auth = '[plugins."io.containerd.cri.v1.images".registry.configs.r.auth]\n'
    result = composed(a=f"{auth}password = 'hush'\n", b=f"{auth}password = 'hush-hush'\n")
    (entry,) = explain_key(result, "registry.configs.r.auth.password")
    assert "hush" not in repr(entry)
    assert entry.value == entry.setting.value == entry.overrode[0].value == "****"


def test_everything_comes_in_the_order_of_its_path() -> None:
    result = composed(RuntimeHandler(name="x"), DropIn(runtime={"b": 1, "a": 1}))
    keys = [entry.key for entry in explain_all(result)]
    assert keys == sorted(keys)
