"""Whatever the bytes are, lint has findings and no traceback; and it says the same thing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.lint import RULES, Target, check, report
from k0sruntime.lint.gather import gather
from k0sruntime.lint.sarif import sarif
from k0sruntime.lint.target import Machine
from k0sruntime.node import Version
from k0sruntime.testing import MadeUpFiles
from tests.lint.pages import DOCS, FENCE, octets

MERGE = Path(__file__).parents[1] / "cases" / "merge"
REAL = [path.read_bytes() for path in sorted(MERGE.glob("*/containerd.d/*.toml"))]
PAGES = [
    octets(body)
    for path in sorted(DOCS.glob("K0R*.md"))
    for _, body in FENCE.findall(path.read_text())
]

TARGETS = st.builds(
    Target,
    st.sampled_from(
        [Version(1, 7, 30), Version(2, 0), Version(2, 1, 9), Version(2, 3, 3), Version(2, 4)]
    ),
    st.sampled_from([None, Version(1, 35), Version(1, 36)]),
    st.sampled_from([None, Machine("x86_64", ("/usr/bin",))]),
)
PLACES = st.sampled_from(
    [
        "containerd.toml",
        "containerd.d/10.toml",
        "containerd.d/20.toml",
        "containerd.d/.x.toml",
        "containerd.d/certs.d/docker.io/hosts.toml",
        "containerd.d/certs.d/_default/hosts.toml",
        "containerd.d/certs.d/a_5000/hosts.toml",
    ]
)
NAMES = st.sampled_from(
    [
        "version",
        "imports",
        "plugins",
        "io.containerd.cri.v1.runtime",
        "io.containerd.cri.v1.images",
        "io.containerd.grpc.v1.cri",
        "containerd",
        "runtimes",
        "runc",
        "crun",
        "options",
        "runtime_type",
        "BinaryName",
        "SystemdCgroup",
        "default_runtime_name",
        "cni",
        "bin_dir",
        "bin_dirs",
        "registry",
        "config_path",
        "mirrors",
        "configs",
        "tls",
        "host",
        "server",
        "capabilities",
        "ca",
        "client",
        "header",
        "dial_timeout",
        "skip_verify",
        "https://a/",
        "debug",
        "level",
        "disabled_plugins",
        "proxy_plugins",
        "timeouts",
        "base_runtime_spec",
        "runtime_path",
        "ConfigPath",
        "x",
    ]
)
VALUES = st.recursive(
    st.none().map(lambda _: "io.containerd.runsc.v1")
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.datetimes()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=9)
    | st.sampled_from(["io.containerd.runc.v2", "/etc/k0s", "/a:/b", "runc", "a.b", ".", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def run(contents: dict[str, bytes], target: Target) -> None:
    files = MadeUpFiles({f"/etc/k0s/{name}": data for name, data in contents.items()})
    subject = gather(["/etc/k0s"], files, follow=target.machine is not None)
    findings = check(subject, target, files)
    assert findings == check(subject, target, files)
    report.text(findings, subject, target).encode()
    json.loads(report.document(findings, subject, target))
    json.loads(sarif(findings, RULES))


@given(st.dictionaries(PLACES, st.binary(max_size=80), max_size=3), TARGETS)
@settings(deadline=None, max_examples=150)
def test_any_bytes(contents: dict[str, bytes], target: Target) -> None:
    run(contents, target)


@given(
    st.dictionaries(
        PLACES,
        st.tuples(
            st.sampled_from(REAL + PAGES),
            st.integers(0, 400),
            st.integers(0, 40),
            st.binary(max_size=8),
        ),
        min_size=1,
        max_size=3,
    ),
    TARGETS,
)
@settings(deadline=None, max_examples=300)
def test_real_files_with_something_else_in_them(
    changes: dict[str, tuple[bytes, int, int, bytes]], target: Target
) -> None:
    run(
        {
            place: data[:start] + other + data[start + length :]
            for place, (data, start, length, other) in changes.items()
        },
        target,
    )


@given(
    st.dictionaries(PLACES, st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=3),
    TARGETS,
)
@settings(deadline=None, max_examples=300)
def test_right_names_with_any_values(documents: dict[str, dict[str, Any]], target: Target) -> None:
    run({place: toml.dump(doc).encode() for place, doc in documents.items()}, target)


def test_deep_nesting() -> None:
    target = Target(Version(2, 3, 3))
    for depth in (100, 5_000):
        for text in (
            f"x = {'[' * depth}{']' * depth}",
            ".".join("a" * depth) + " = 1",
            "x = " + "{a=" * depth,
        ):
            run({"containerd.d/10.toml": text.encode()}, target)
    keys = ".".join(["plugins", *"a" * 70])
    run(
        {
            "containerd.d/10.toml": f"{keys} = 1\n".encode(),
            "containerd.d/20.toml": f"{keys} = 2\n".encode(),
        },
        target,
    )
