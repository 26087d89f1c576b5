"""`k0sruntime-mirrors import`: k3s's registries.yaml and folders of hosts files to settings."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from k0sruntime import Refused, Version, resolve_image
from k0sruntime.compose.hosts import render
from k0sruntime.contributions import Owner
from k0sruntime.node import Program
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_mirrors import cli, k3s, provider, tree, write
from k0sruntime_mirrors.settings import Registry

CASES = sorted(next(Path(__file__).parents[3].glob("tests/cases/hosts")).iterdir())
LOST = {
    "bare-name-http-prefix": "'httpbin.local' has no scheme",
    "ca-not-pem": "holds no certificate",
    "dial-timeout-bare": "refuses the file as a whole",
    "duplicate-host-table": "refuses the file as a whole",
    "inline-host-table": "K0R701",
    "root-keys-after-host": "K0R706",
    "seed-ca-missing": "cannot be read",
    "skip-verify-string": "refuses the file as a whole",
    "unknown-capability": "refuses the file as a whole",
}
"""Cases in which what the file says is not what containerd does: an import would lose it."""


def imported(text, **options):
    return k3s.read(text, "registries.yaml", **options)


def table(text, registry="docker.io", **options):
    found = imported(text, **options)
    assert not found.refused
    return found.tables[registry]


def refusal(text):
    (problem,) = imported(text).refused
    assert problem.place.startswith("registries.yaml: ")
    assert problem.remedy
    return problem.message


MIRROR = "mirrors:\n  docker.io:\n    endpoint: [{}]\n"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ('"https://m.example:5000"', "https://m.example:5000"),
        ("m.example", "https://m.example"),
        ("m.example:5000", "https://m.example:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("localhost:443", "https://localhost:443"),
        ("localhost", "https://localhost"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ('"https://m.example/"', "https://m.example"),
        ('"https://m.example/v2"', "https://m.example"),
        ('"https://m.example/v2/p"', {"url": "https://m.example/v2/p", "override_path": True}),
        ('"https://m.example/p/"', {"url": "https://m.example/p", "override_path": True}),
    ],
)
def test_an_endpoint_is_read_as_k3s_reads_it(endpoint, expected):
    assert table(MIRROR.format(endpoint)) == {"endpoints": [expected]}


def test_an_endpoint_has_the_tls_and_the_credentials_of_its_own_host():
    text = MIRROR.format('"https://m.example:5000", "https://n.example"') + (
        "configs:\n"
        '  "m.example:5000":\n'
        "    auth: {username: bob, password: hunter2}\n"
        "    tls: {ca_file: /ca.crt, cert_file: /c.crt, key_file: /c.key}\n"
        "  n.example:\n"
        "    tls: {insecure_skip_verify: true}\n"
        "    auth: {identity_token: token}\n"
    )
    assert table(text)["endpoints"] == [
        {
            "url": "https://m.example:5000",
            "ca": "/ca.crt",
            "client": [["/c.crt", "/c.key"]],
            "auth": {"username": "bob", "password": "hunter2"},
        },
        {"url": "https://n.example", "skip_verify": True, "auth": {"identity_token": "token"}},
    ]


@pytest.mark.parametrize("host", ["docker.io", "registry-1.docker.io"])
def test_docker_hubs_own_configuration_stands_under_either_of_its_names(host):
    text = f"configs:\n  {host}:\n    auth: {{username: bob, password: x}}\n"
    assert table(text) == {"auth": {"username": "bob", "password": "x"}}
    text = f"configs:\n  {host}:\n    tls: {{ca_file: /ca.crt}}\n"
    assert table(text) == {"server": {"url": "https://registry-1.docker.io", "ca": "/ca.crt"}}


def test_the_registry_itself_as_the_last_endpoint_is_the_upstream():
    assert table(MIRROR.format("m.example, docker.io")) == {"endpoints": ["https://m.example"]}
    text = "mirrors:\n  q.example:\n    endpoint: [m.example, q.example]\n"
    assert table(text, "q.example") == {"endpoints": ["https://m.example"]}


def test_the_same_endpoint_again_is_left_out():
    assert table(MIRROR.format("m.example, 'https://m.example/v2'"))["endpoints"] == [
        "https://m.example"
    ]


def test_the_star_is_the_default_and_an_empty_entry_is_told():
    found = imported('mirrors:\n  "*":\n    endpoint: [m.example]\n  quay.io: {}\n')
    assert found.tables == {"_default": {"endpoints": ["https://m.example"]}}
    assert found.notes == ['mirrors."quay.io" names no endpoint, and is left out']


def test_without_the_default_endpoint_the_upstream_is_never_asked():
    expected = {"endpoints": ["https://m.example"], "mirror_only": True}
    assert table(MIRROR.format("m.example"), mirror_only=True) == expected


def test_a_registry_on_this_machine_gets_its_scheme():
    text = 'mirrors:\n  "localhost:5000":\n    endpoint: [m.example]\n'
    expected = {"endpoints": ["https://m.example"], "server": "http://localhost:5000"}
    assert table(text, "localhost:5000") == expected


def test_a_mirror_is_a_registry_as_well():
    text = MIRROR.format("m.example") + "configs:\n  m.example: {tls: {ca_file: /ca.crt}}\n"
    assert table(text, "m.example") == {"server": {"url": "https://m.example", "ca": "/ca.crt"}}


def test_tls_of_an_endpoint_without_tls_is_left_out_and_told():
    text = MIRROR.format("'http://m.example'") + (
        "configs:\n  m.example: {tls: {insecure_skip_verify: true}}\n"
    )
    found = imported(text)
    assert found.tables["docker.io"] == {"endpoints": ["http://m.example"]}
    assert "would try HTTPS first" in found.notes[0]


@pytest.mark.parametrize("pattern", ["^(.*)$", "(.*)", "^(.*)", "^(.+)$"])
@pytest.mark.parametrize("replacement", ["hub/$1", "hub/${1}"])
def test_a_rewrite_to_a_prefix_is_a_prefix(pattern, replacement):
    text = MIRROR.format("m.example") + f'    rewrite: {{"{pattern}": "{replacement}"}}\n'
    assert table(text) == {"endpoints": [{"url": "https://m.example", "prefix": "hub"}]}


def test_a_prefix_goes_below_a_path_and_not_onto_the_registry_itself():
    text = MIRROR.format("'https://m.example/v2/p', docker.io") + (
        '    rewrite: {"^(.*)$": "hub/$1"}\n'
    )
    assert table(text) == {
        "endpoints": [{"url": "https://m.example/v2/p/hub", "override_path": True}]
    }


def test_a_rewrite_that_changes_nothing_is_none():
    text = MIRROR.format("m.example") + '    rewrite: {"^(.*)$": "$1"}\n'
    assert table(text) == {"endpoints": ["https://m.example"]}


@pytest.mark.parametrize(
    "rewrites",
    [
        '{"^library/(.*)": "hub/$1"}',
        '{"^(.*)$": "hub/$1-mirrored"}',
        '{"^(.*)$": "one"}',
        '{"^(a.*)$": "hub/$1"}',
        '{"(.*)/(.*)": "hub/$1"}',
    ],
)
def test_any_other_rewrite_is_refused_with_the_reason(rewrites):
    told = refusal(MIRROR.format("m.example") + f"    rewrite: {rewrites}\n")
    assert "k3s's own" in told
    assert "by the name that they have" in told


def test_all_rewrites_of_all_registries_are_told_at_once():
    text = (
        'mirrors:\n  a.example:\n    endpoint: [m]\n    rewrite: {"^a": "b", "^c": "d"}\n'
        '  b.example:\n    endpoint: [m]\n    rewrite: {"^e": "f"}\n'
    )
    assert len(imported(text).refused) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mirrors: [", "not YAML"),
        ("a: 1", "neither mirrors nor configs"),
        ("- a", "neither mirrors nor configs"),
        ("mirrors: [a]", "mirrors is no table of tables"),
        ("mirrors: {a: b}", "mirrors is no table of tables"),
        ("configs: 1", "configs is no table of tables"),
    ],
)
def test_what_is_no_registries_yaml_is_refused(text, told):
    with pytest.raises(Refused, match=told) as refused:
        imported(text)
    assert refused.value.problems[0].place.startswith("registries.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mirrors: {quay.io: {endpoint: a}}", "no list of URLs"),
        ("mirrors: {quay.io: {endpoint: ['ftp://a']}}", "no URL of a registry"),
        ("mirrors: {quay.io: {endpoint: ['https://u:p@a']}}", "does not send"),
        ("mirrors: {registry-1.docker.io: {endpoint: [a]}}", "no image is looked up"),
        ("configs: {'*': {tls: {ca_file: /a}}}", "no host in particular"),
        ("configs: {a.example: {tls: {ca_file: a.crt}}}", "absolute path"),
        ("configs: {a.example: {auth: {username: bob}}}", "auth needs"),
    ],
)
def test_what_the_provider_would_not_take_is_refused(text, told):
    assert told in refusal(text)


def test_the_printed_settings_are_toml_and_mean_what_was_found():
    text = MIRROR.format('m.example, "https://n.example/v2/p"') + (
        'configs:\n  m.example: {auth: {username: "b\\"ob", password: hunter2}}\n'
        '  "[fd00::1]:5000": {tls: {ca_file: /ca.crt}}\n'
    )
    found = imported(text)
    assert toml_of(write.text(found.tables)) == found.tables
    shown = write.text(write.masked(found.tables))
    assert "hunter2" not in shown
    assert 'password = "****"' in shown


def toml_of(text):
    from k0sruntime import toml as reader

    return reader.load(text.encode(), "x")["mirrors"]


def test_masked_settings_are_not_taken_for_the_real_ones():
    endpoint = {"url": "https://m", "auth": {"username": "bob", "password": "****"}}
    with pytest.raises(msgspec.ValidationError, match="write the real one"):
        msgspec.convert({"endpoints": [endpoint]}, Registry)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name != "http-with-tls-key"], ids=lambda case: case.name
)
def test_a_folder_of_hosts_files_comes_back_as_containerd_read_it(case):
    """Imported, composed and resolved again, it asks the same hosts in the same order."""
    given = {
        f"/old/{path.relative_to(case / 'certs.d')}": path.read_bytes()
        for path in (case / "certs.d").rglob("*")
        if path.is_file()
    }
    found = tree.read("/old", MadeUpFiles(given))
    if case.name in LOST:
        assert any(LOST[case.name] in problem.message for problem in found.refused)
        return
    assert not found.refused
    node = make_node(
        "mirrors",
        {name: msgspec.convert(table, Registry) for name, table in found.tables.items()},
        files=MadeUpFiles(given),
        containerd=Program("/c", Version(2, 3, 4)),
    )
    composed = dict(given)
    for file in provider.contribute_hosts(node) if found.tables else ():
        path = node.hosts_file(file.registry)
        composed[path] = render(file, Owner("mirrors", "m", "1", "contribute_hosts"))
        for name, content in file.files.items():
            composed[f"{path.rpartition('/')[0]}/{name}"] = content
    files = MadeUpFiles(composed)
    for registry in {tree.registry_of(path.split("/")[2]) for path in given} - {"other"}:
        image = f"{'ghcr.io' if registry == '_default' else registry}/x"
        before = resolve_image(image, "/old", files, Version(2, 3, 4))
        after = resolve_image(image, node.paths.certs, files, Version(2, 3, 4))
        assert after.asked == tuple(dict.fromkeys(before.asked))
        first = dict(zip(before.asked, before.hosts, strict=True))
        assert [essence(host) for host in after.hosts] == [essence(h) for h in first.values()]


def essence(host):
    """Return all but `push`, which a node never does, and where the copy of a CA lies."""
    kept = set(host.capabilities) - {"push"}
    return kept, host.header, host.skip_verify, len(host.ca), host.client, host.dial_timeout


@pytest.mark.parametrize(
    ("folder", "registry"),
    [
        ("docker.io", "docker.io"),
        ("_default", "_default"),
        ("r.local_5000_", "r.local:5000"),
        ("r.local:5000", "r.local:5000"),
        ("[::1]_5000_", "[::1]:5000"),
        ("[fd00:_1]_", "[fd00::1]"),
    ],
)
def test_the_registry_of_a_folder_is_the_one_that_is_looked_up_there(folder, registry):
    assert tree.registry_of(folder) == registry


def test_a_rewrite_in_a_folder_that_k3s_made_is_refused():
    hosts = '[host."https://m"]\n[host."https://m".rewrite]\n"^a" = "b"\n'
    found = tree.read("/old", MadeUpFiles({"/old/docker.io/hosts.toml": hosts}))
    assert "rewrite" in found.refused[0].message
    assert found.tables == {}


@pytest.mark.parametrize("key", ["skip_verify = true", "skip_verify = false", "ca = []"])
def test_a_key_of_tls_for_plain_http_is_left_out_and_told(key):
    hosts = f'[host."http://m.local:5000"]\n{key}\n'
    found = tree.read("/old", MadeUpFiles({"/old/docker.io/hosts.toml": hosts}))
    assert found.tables == {"docker.io": {"endpoints": ["http://m.local:5000"]}}
    assert any("write https:// if it has TLS" in note for note in found.notes)


def test_a_registry_on_this_machine_gets_the_scheme_that_it_is_asked_with_at_last():
    hosts = '[host."https://m.local"]\n'
    found = tree.read("/old", MadeUpFiles({"/old/localhost_5000_/hosts.toml": hosts}))
    table = {"endpoints": ["https://m.local"], "server": "http://localhost:5000"}
    assert found.tables == {"localhost:5000": table}


def test_folders_that_are_never_read_are_left_out_and_told():
    hosts = '[host."https://m"]\n'
    names = ("registry-1.docker.io", "r.local:5000", "r.local_5000_")
    files = MadeUpFiles({f"/old/{name}/hosts.toml": hosts for name in names})
    found = tree.read("/old", files)
    assert list(found.tables) == ["r.local:5000"]
    assert "registry-1.docker.io is left out: images of Docker Hub" in found.notes[-1]
    assert "r.local:5000 is left out: containerd reads r.local_5000_" in found.notes


def test_a_folder_without_registries_is_refused():
    with pytest.raises(Refused, match="no registry in it"):
        tree.read("/old", MadeUpFiles({"/old/file": ""}))


# The command line.


def run(capsys, *arguments):
    code = cli.run([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_masks_what_it_prints_and_writes_the_secrets_for_their_owner_alone(
    capsys, tmp_path
):
    source, output = tmp_path / "registries.yaml", tmp_path / "mirrors.toml"
    source.write_text("configs:\n  m.example: {auth: {username: bob, password: hunter2}}\n")
    code, out, err = run(capsys, "import", source)
    assert code == 0
    assert "hunter2" not in out + err
    assert "--output" in err
    code, out, err = run(capsys, "import", source, "--output", output)
    assert code == 0
    assert "hunter2" not in out + err
    assert toml_of(output.read_text())["m.example"]["auth"]["password"] == "hunter2"
    assert output.stat().st_mode & 0o777 == 0o600
    code, _, err = run(capsys, "import", source, "--output", output)
    assert code == 3
    assert "File exists" in err


def test_the_command_prints_nothing_where_something_is_refused_unless_it_may_leave_it_out(
    capsys, tmp_path
):
    source = tmp_path / "registries.yaml"
    source.write_text(
        'mirrors:\n  docker.io: {endpoint: [m], rewrite: {"^a": "b"}}\n  quay.io: {endpoint: [m]}\n'
    )
    code, out, err = run(capsys, "import", source)
    assert (code, out) == (3, "")
    assert "error: the rewrite '^a' → 'b' is k3s's own" in err
    code, out, err = run(capsys, "import", source, "--leave-out")
    assert code == 0
    assert list(toml_of(out)) == ["quay.io"]
    assert "left out: the rewrite" in err


def test_a_file_that_is_not_there_or_no_text_is_a_clear_error(capsys, tmp_path):
    assert run(capsys, "import", tmp_path / "no")[0] == 2
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    code, _, err = run(capsys, "import", tmp_path / "binary")
    assert code == 3
    assert "Traceback" not in err
