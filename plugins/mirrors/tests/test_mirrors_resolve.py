"""`k0sruntime-mirrors resolve`: what containerd does for an image, for people and for scripts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from k0sruntime_mirrors import cli

CASES = sorted(next(Path(__file__).parents[3].glob("tests/cases/hosts")).iterdir())


def run(capsys, *arguments):
    code = cli.run(["resolve", *(str(argument) for argument in arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def certs(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / "certs.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "certs.d"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_its_document_is_what_the_corpus_says_and_its_exit_code_tells_of_failure(case, capsys):
    for entry in json.loads((case / "expected.json").read_text()):
        image = f"{entry['registry']}/team/app:1"
        code, out, _ = run(capsys, image, "--certs-d", case / "certs.d", "--json")
        document = json.loads(out)
        assert document["hosts"] == entry.get("hosts", [])
        assert document["error"] == entry.get("error", False)
        assert code == (3 if entry.get("error") else 0)


def test_its_table_has_hosts_in_order_with_capabilities_ca_and_the_url_asked(capsys):
    case = next(path for path in CASES if path.name == "seed")
    code, out, err = run(capsys, "nginx:1.27", "--certs-d", case / "certs.d")
    assert (code, err) == (0, "")
    head, where, _, headings, *rows = out.splitlines()
    assert head == "docker.io/library/nginx:1.27"
    assert where == f"{case}/certs.d/docker.io, as containerd 2.3.0 reads it"
    assert headings.split() == ["ASKED", "FOR", "CA", "ALSO"]
    assert [row.split()[:2] for row in rows] == [
        ["1", f"https://docker-mirror.internal.acme.corp:5000{ASKED}?ns=docker.io"],
        ["2", f"https://mirror.gcr.io{ASKED}?ns=docker.io"],
        ["3", f"https://registry-1.docker.io{ASKED}"],
    ]
    assert "pull, resolve" in rows[0]
    assert "internal-mirror.crt" in rows[0]


ASKED = "/v2/library/nginx/manifests/1.27"


def test_a_warning_stands_below_the_table_with_its_place_and_what_to_do(capsys):
    case = next(path for path in CASES if path.name == "skip-verify-string")
    code, out, _ = run(capsys, "nginx", "--certs-d", case / "certs.d")
    assert code == 0
    assert "warning: containerd refuses the whole file" in out
    assert f"  where: {case}/certs.d/docker.io/hosts.toml:2" in out
    assert "  do:    " in out


def test_why_every_pull_fails_is_said(capsys):
    case = next(path for path in CASES if path.name == "seed-ca-missing")
    code, out, _ = run(capsys, "nginx", "--certs-d", case / "certs.d")
    assert code == 3
    assert out.splitlines()[-1].startswith("every pull fails: the CA certificate ")


@pytest.mark.parametrize(
    ("hosts", "code", "told"),
    [
        ('server = "https://m"\ncapabilities = ["pull"]\n', 3, "asked to pull and to resolve"),
        ('server = "https://m"\ncapabilities = ["resolve"]\n', 3, "asked to pull and to resolve"),
        ('server = "https://m"\ncapabilities = ["push"]\n[host."https://n"]\n', 0, ""),
    ],
)
def test_hosts_that_may_not_do_what_a_pull_needs_fail_it(capsys, tmp_path, hosts, code, told):
    found = run(capsys, "nginx", "--certs-d", certs(tmp_path, {"docker.io/hosts.toml": hosts}))
    assert found[0] == code
    assert told in found[1]


def test_a_host_that_may_only_resolve_is_warned_of(capsys, tmp_path):
    hosts = '[host."https://m"]\ncapabilities = ["resolve"]\n'
    folder = certs(tmp_path, {"docker.io/hosts.toml": hosts})
    code, out, _ = run(capsys, "nginx", "--certs-d", folder)
    assert code == 0
    assert "https://m/v2 (passed over)" in out
    assert "warning: https://m may resolve, and is not asked to" in out


def test_an_image_by_its_digest_needs_nobody_to_resolve_it(capsys, tmp_path):
    hosts = 'server = "https://m"\ncapabilities = ["pull"]\n'
    folder = certs(tmp_path, {"docker.io/hosts.toml": hosts})
    code, out, _ = run(capsys, f"nginx:1@sha256:{'0' * 64}", "--certs-d", folder)
    assert code == 0
    assert f"https://m/v2/library/nginx/manifests/sha256:{'0' * 64}?ns=docker.io" in out


def test_a_key_that_does_not_fit_its_certificate_fails_every_pull(capsys, tmp_path):
    for name in ("one", "two"):
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        files = ["-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.crt"]
        subprocess.run([*made, "-nodes", "-subj", f"/CN={name}", *files], check=True, timeout=30)
    for key, expected in (("one", 0), ("two", 3)):
        hosts = f'[host."https://m"]\nclient = [["{tmp_path}/one.crt", "{tmp_path}/{key}.key"]]\n'
        shutil.rmtree(tmp_path / "certs.d", ignore_errors=True)
        folder = certs(tmp_path, {"docker.io/hosts.toml": hosts})
        code, out, _ = run(capsys, "nginx", "--certs-d", folder)
        assert code == expected
        assert ("does not fit its key" in out) == bool(expected)


def test_secrets_in_headers_are_masked_and_harmless_ones_are_not(capsys, tmp_path):
    hosts = (
        '[host."https://m".header]\nAuthorization = "Bearer abc"\nX-Custom = "Basic abc"\n'
        'X-Api-Key = ["abc"]\nX-One = "1"\n'
    )
    folder = certs(tmp_path, {"docker.io/hosts.toml": hosts})
    _, out, _ = run(capsys, "nginx", "--certs-d", folder, "--json")
    assert json.loads(out)["hosts"][0]["header"] == {
        "Authorization": ["****"],
        "X-Custom": ["****"],
        "X-Api-Key": ["****"],
        "X-One": ["1"],
    }
    _, out, _ = run(capsys, "nginx", "--certs-d", folder)
    assert "abc" not in out


@pytest.mark.parametrize("kind", ["--json", ""])
def test_a_password_in_a_url_is_masked_and_said_not_to_be_sent(capsys, tmp_path, kind):
    folder = certs(tmp_path, {"docker.io/hosts.toml": '[host."https://bob:hunter2@m"]\n'})
    arguments = ["nginx", "--certs-d", folder, *([kind] if kind else [])]
    _, out, err = run(capsys, *arguments)
    assert "hunter2" not in out + err
    assert "are not sent" in out


def test_an_older_containerd_may_be_meant(capsys, tmp_path):
    folder = certs(tmp_path, {"docker.io/hosts.toml": 'server = "https://m"\n'})
    assert "https://m/v2" in run(capsys, "nginx", "--certs-d", folder)[1]
    _, out, _ = run(capsys, "nginx", "--certs-d", folder, "--containerd", "1.7")
    assert "https://registry-1.docker.io/v2" in out
    assert "as containerd 1.7 reads it" in out
    assert "wants a host table" in out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["Nginx"], 3, "lower case"),
        (["nginx:"], 3, "no tag"),
        (["nginx@sha256:0"], 3, "no digest"),
        (["a b/c"], 3, "no name of an image"),
        (["nginx", "--containerd", "new"], 2, "no version"),
        (["nginx", "--certs-d", "/no/such/folder"], 2, "does not exist"),
        ([], 2, "Missing argument"),
    ],
)
def test_a_wrong_command_line_is_told_and_nothing_printed(capsys, tmp_path, arguments, code, told):
    (tmp_path / "certs.d").mkdir()
    more = [] if "--certs-d" in arguments else ["--certs-d", tmp_path / "certs.d"]
    found = run(capsys, *arguments, *more)
    assert (found[0], found[1]) == (code, "")
    assert told in found[2]


def test_an_error_is_a_document_where_documents_are_asked_for(capsys, tmp_path):
    (tmp_path / "certs.d").mkdir()
    _, out, _ = run(capsys, "Nginx", "--json", "--certs-d", tmp_path / "certs.d")
    document = json.loads(out)
    assert (document["kind"], document["exit_code"]) == ("Error", 3)
    assert document["problems"][0]["remedy"]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("me/app:1", "docker.io/me/app:1"),
        ("index.docker.io/me/app", "docker.io/me/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("r.local:5000/app:v1", "r.local:5000/app:v1"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("r.local:5000", "docker.io/library/r.local:5000"),
    ],
)
def test_the_name_of_an_image_is_read_as_cri_reads_it(capsys, tmp_path, name, full):
    (tmp_path / "certs.d").mkdir()
    _, out, _ = run(capsys, name, "--certs-d", tmp_path / "certs.d", "--json")
    assert json.loads(out)["image"] == full


def test_a_registry_alone_is_no_image_of_it(capsys, tmp_path):
    (tmp_path / "certs.d").mkdir()
    for name in ("r.local:5000", "quay.io", "localhost"):
        _, out, _ = run(capsys, name, "--certs-d", tmp_path / "certs.d")
        assert f"warning: {name} is an image of Docker Hub" in out
    assert "warning" not in run(capsys, "nginx:1.27", "--certs-d", tmp_path / "certs.d")[1]


OTHER = """
version = 3

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{path}"
"""
MANAGED = '[node]\nmode = "managed"\nk0s = "{line}"\n'


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A node in a folder, with a hosts file for docker.io in our folder and in another's."""
    for name in [name for name in os.environ if name.startswith("K0SRUNTIME_")]:
        monkeypatch.delenv(name)
    for folder, host in (("etc/k0s/containerd.d/certs.d", "ours"), ("other", "other")):
        file = tmp_path / folder / "docker.io/hosts.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'[host."https://{host}"]\n')
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(MANAGED.format(line="1.36"))
    return tmp_path


def resolved(capsys, node, *more):
    code, out, _ = run(capsys, "nginx", "--sandbox", node, "--json", *more)
    document = json.loads(out)
    hosts = [host["host"] for host in document["hosts"][:-1]]
    return code, hosts, [warning["message"] for warning in document["warnings"]], document


def vendor(node, path, version=3):
    text = OTHER.format(path=path)
    if version == 2:
        text = text.replace("version = 3", "version = 2").replace("v1.images", "v1.cri")
        text = text.replace("io.containerd.cri.v1.cri", "io.containerd.grpc.v1.cri")
    (node / "etc/k0s/containerd.d/vendor.toml").write_text(text)


def test_it_reads_the_folder_that_containerd_is_pointed_at(capsys, node):
    ours = f"{node}/etc/k0s/containerd.d/certs.d"
    vendor(node, ours)
    assert resolved(capsys, node)[:3] == (0, ["ours"], [])
    vendor(node, f"{node}/other")
    code, hosts, warnings, document = resolved(capsys, node)
    assert (code, hosts) == (0, ["other"])
    assert warnings == [f"containerd looks into {node}/other, and not into {ours}"]
    assert document["warnings"][0]["place"] == f"{node}/etc/k0s/containerd.d/vendor.toml:5"


@pytest.mark.parametrize("version", ["2.3", "1.7"])
def test_where_no_folder_is_set_it_says_that_no_hosts_file_is_read(capsys, node, version):
    code, hosts, warnings, _ = resolved(capsys, node, "--containerd", version)
    assert (code, hosts) == (0, [])
    assert "registry.config_path is not set" in warnings[0]
    assert "reads no hosts file" in warnings[0]
    _, out, _ = run(capsys, "nginx", "--sandbox", node, "--containerd", version)
    assert "warning: registry.config_path is not set" in out


def test_several_folders_are_one_name_to_a_new_containerd(capsys, node):
    vendor(node, f"{node}/empty:{node}/other:{node}/etc/k0s/containerd.d/certs.d")
    _, hosts, warnings, _ = resolved(capsys, node, "--containerd", "2.1")
    assert hosts == []
    assert "takes them for one, and reads no hosts file" in warnings[0]


def test_an_old_containerd_looks_into_several_folders_in_their_order(capsys, node):
    settings = node / "etc/k0sruntime/config.toml"
    settings.write_text(MANAGED.format(line="1.35"))
    vendor(node, f"{node}/empty:{node}/other:{node}/etc/k0s/containerd.d/certs.d", version=2)
    _, hosts, warnings, _ = resolved(capsys, node, "--containerd", "1.7")
    assert hosts == ["other"]
    assert "hides all later ones" in warnings[0]


def test_files_that_containerd_would_refuse_are_told(capsys, node):
    (node / "etc/k0s/containerd.d/vendor.toml").write_text("x =\n")
    _, hosts, warnings, document = resolved(capsys, node)
    assert hosts == ["ours"]
    assert "not TOML" in warnings[0]
    assert document["warnings"][0]["place"].startswith(f"{node}/etc/k0s/containerd.d/vendor.toml:1")
