"""Each trap of containerd's hosts files, and that no settings can make the provider step into it.

What the provider contributes is rendered by the host and read back as containerd 1.7, 2.1 and 2.3
read it (the host's resolver, which is proved against the real ones).
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from k0sruntime import Refused, Version, resolve_image
from k0sruntime.compose.hosts import render
from k0sruntime.contributions import Owner
from k0sruntime.node import Program
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_mirrors import provider
from k0sruntime_mirrors.provider import PROBE_REGISTRY
from k0sruntime_mirrors.settings import Registry

OWNER = Owner("mirrors", "k0sruntime-mirrors", "1", "contribute_hosts")
CERTS = "/etc/k0s/containerd.d/certs.d"
PEM = next(Path(__file__).parents[3].glob("tests/cases/hosts/ca-list/certs.d/*/a.crt")).read_text()
KEY = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"
EMPTY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
GIVEN = {"/empty.crt": EMPTY, "/ca.crt": PEM, "/c.crt": PEM, "/c.key": KEY, "/c.pem": PEM + KEY}
VERSIONS = [Version(1, 7, 34), Version(2, 1, 9), Version(2, 3, 4)]
each = pytest.mark.parametrize("containerd", VERSIONS, ids=str)


def written(tables, containerd):
    """Return the files that these settings come to, beside those that they are made from."""
    registries = {name: msgspec.convert(table, Registry) for name, table in tables.items()}
    program = Program("/usr/bin/containerd", containerd)
    node = make_node("mirrors", registries, files=MadeUpFiles(GIVEN), containerd=program)
    found = dict(GIVEN)
    for file in provider.contribute_hosts(node):
        path = node.hosts_file(file.registry)
        found[path] = render(file, OWNER)
        for name, content in file.files.items():
            found[f"{path.rpartition('/')[0]}/{name}"] = content
    return found


def resolved(tables, image, containerd):
    """Return what containerd does for an image under these settings; it must need no warning."""
    files = MadeUpFiles(written(tables, containerd))
    found = resolve_image(image, CERTS, files, containerd)
    assert not found.warnings
    assert not found.failures
    return found


def asked(tables, containerd, image="docker.io/library/x:1"):
    return [url.partition("/library/x")[0] for url in resolved(tables, image, containerd).asked]


def refused(table, registry="docker.io"):
    with pytest.raises((Refused, ValueError, msgspec.ValidationError)) as told:
        written({registry: table}, VERSIONS[-1])
    return str(told.value)


@each
def test_capabilities_stand_at_the_root_only_beside_a_server(containerd):
    table = {"endpoints": ["https://m.local"], "capabilities": ["pull"]}
    text = written({"quay.io": table}, containerd)[f"{CERTS}/quay.io/hosts.toml"]
    assert text.index("[host") < text.index("capabilities")
    found = resolved({"quay.io": table}, "quay.io/x", containerd)
    assert found.hosts[0].capabilities == ("pull",)


@each
@pytest.mark.parametrize("server", ["", "https://docker.io", "https://index.docker.io/"])
def test_docker_hub_is_asked_where_it_serves_images(containerd, server):
    table = {"endpoints": ["https://m.local"], "server": server}
    assert asked({"docker.io": table}, containerd) == [
        "https://m.local/v2",
        "https://registry-1.docker.io/v2",
    ]


@each
@pytest.mark.parametrize("urls", [["https://m.local"], ["https://m.local", "https://n.local"]])
def test_mirror_only_never_asks_the_upstream(containerd, urls):
    table = {"endpoints": urls, "mirror_only": True}
    assert asked({"docker.io": table}, containerd) == [f"{url}/v2" for url in urls]


@pytest.mark.parametrize("url", ["m.local", "httpbin.local", "httpbin.local:5000", "//m.local"])
def test_a_name_without_a_scheme_cannot_be_set(url):
    assert "scheme" in refused({"endpoints": [url]})
    assert "scheme" in refused({"server": url})


@each
@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        ({"url": "https://a"}, "https://a/v2"),
        ({"url": "https://a/"}, "https://a/v2"),
        ({"url": "https://a/v2"}, "https://a/v2"),
        ({"url": "https://a/p"}, "https://a/p/v2"),
        ({"url": "https://a/p/v2/"}, "https://a/p/v2"),
        ({"url": "https://a/v2/p", "override_path": True}, "https://a/v2/p"),
        ({"url": "https://a", "prefix": "hub"}, "https://a/v2/hub"),
        ({"url": "https://a/v2/", "prefix": "hub/x"}, "https://a/v2/hub/x"),
        ({"url": "https://a/p", "prefix": "hub"}, "https://a/p/v2/hub"),
    ],
)
def test_a_path_is_asked_as_it_is_meant(containerd, endpoint, base):
    assert asked({"docker.io": {"endpoints": [endpoint]}}, containerd)[0] == base


def test_a_path_that_goes_on_behind_v2_needs_a_word():
    told = refused({"endpoints": ["https://a/v2/hub"]})
    assert "prefix = 'hub'" in told
    assert "override_path = true" in told


@pytest.mark.parametrize("key", [{"skip_verify": True}, {"ca": "/ca.crt"}, {"client": "/c.pem"}])
def test_plain_http_takes_no_key_of_tls(key):
    assert "HTTPS first" in refused({"endpoints": [{"url": "http://m.local:5000", **key}]})
    assert "https endpoints" in refused({"endpoints": ["http://m.local:5000"], **key})


@each
def test_plain_http_is_asked_over_plain_http(containerd):
    table = {"endpoints": ["http://m.local:5000", "http://n.local"]}
    assert asked({"docker.io": table}, containerd)[:2] == [
        "http://m.local:5000/v2",
        "http://n.local/v2",
    ]


@each
def test_headers_change_neither_the_order_nor_the_number_of_hosts(containerd):
    endpoints = [{"url": f"https://{name}.local", "headers": {"X": "1"}} for name in "zam"]
    assert asked({"docker.io": {"endpoints": endpoints}}, containerd) == [
        *(f"https://{name}.local/v2" for name in "zam"),
        "https://registry-1.docker.io/v2",
    ]


@pytest.mark.parametrize("again", ["https://m.local", "https://m.local/"])
def test_a_host_cannot_be_named_twice(again):
    assert "named twice" in refused({"endpoints": ["https://m.local", again]})


@each
def test_the_servers_keys_stay_the_servers(containerd):
    server = {"url": "https://s.local", "headers": {"X": "s"}, "ca": "/ca.crt", "prefix": "p"}
    table = {"endpoints": [{"url": "https://m.local", "headers": {"X": "m"}}], "server": server}
    first, last = resolved({"docker.io": table}, "x", containerd).hosts
    assert (first.host, first.header, first.ca) == ("m.local", {"X": ("m",)}, ())
    assert (last.host, last.header, len(last.ca)) == ("s.local", {"X": ("s",)}, 1)
    assert last.path == "/v2/p"


@pytest.mark.parametrize(
    "registry", ["localhost:5000", "localhost", "127.0.0.1:5000", "[::1]:5000"]
)
def test_a_registry_on_this_machine_needs_its_scheme(registry):
    assert "does not verify" in refused({"endpoints": ["https://m.local"]}, registry)


@each
@pytest.mark.parametrize("server", ["http://127.0.0.1:5000", "https://127.0.0.1:5000"])
def test_a_registry_on_this_machine_is_asked_with_the_scheme_that_is_set(containerd, server):
    table = {"127.0.0.1:5000": {"server": server}}
    (host,) = resolved(table, "127.0.0.1:5000/x", containerd).hosts
    assert (host.scheme, host.skip_verify) == (server.partition(":")[0], False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"capabilities": ["fetch"]},
        {"capabilities": []},
        {"capabilities": ["resolve"]},
        {"skip_verify": "true"},
        {"dial_timeout": "5"},
        {"dial_timeout": 5},
        {"headers": {"X": 1}},
        {"headers": {"X": "a\nb"}},
        {"headers": {"X y": "1"}},
        {"client": ["/c.crt", "/c.key"]},
        {"client": [["/c.crt"]]},
        {"ca": "/missing.crt"},
        {"ca": "/c.key"},
        {"ca": "/empty.crt"},
        {"client": [["/empty.crt", "/c.key"]]},
        {"client": [["/c.crt", "/missing.key"]]},
        {"client": "/c.crt"},
        {"rewrite": {"^(.*)$": "x/$1"}},
    ],
    ids=str,
)
def test_what_containerd_would_drop_the_file_for_or_fail_on_is_refused(wrong):
    assert refused({"endpoints": [{"url": "https://m.local", **wrong}]})


@pytest.mark.parametrize(
    "table",
    [
        {"endpoints": ["https://m.local"], "capabilities": ["pull"], "mirror_only": True},
        {"server": {"url": "https://m.local", "capabilities": ["pull", "push"]}},
    ],
)
def test_hosts_of_which_none_may_resolve_a_tag_are_refused(table):
    assert "no host of it may resolve a tag" in refused(table)


@pytest.mark.parametrize(
    "defaults",
    [
        {"capabilities": ["pull"]},
        {"headers": {"X": "1"}},
        {"override_path": True},
        {"prefix": "hub"},
        {"dial_timeout": "5s"},
        {"ca": "/ca.crt"},
        {"client": "/c.pem"},
        {"skip_verify": True},
    ],
    ids=str,
)
def test_what_would_hold_for_no_endpoint_is_refused(defaults):
    told = refused({"endpoints": [{"url": "https://m.local"}], **defaults})
    assert "given as URLs" in told


def test_a_server_that_may_not_be_pulled_from_is_refused():
    server = {"url": "https://s.local", "capabilities": ["referrers"]}
    assert "never asked" in refused({"endpoints": ["https://m.local"], "server": server})


@pytest.mark.parametrize("url", ["https://u:p@m.local", "https://m.local?q=1", "https://m.local#f"])
def test_parts_of_a_url_that_are_not_sent_are_refused_and_no_password_is_repeated(url):
    told = refused({"endpoints": [url]})
    assert "u:p" not in told


@pytest.mark.parametrize("containerd", VERSIONS[:2], ids=str)
def test_referrers_are_left_out_for_a_containerd_that_does_not_know_them(containerd):
    both = {"url": "https://m.local", "capabilities": ["pull", "resolve", "referrers"]}
    only = {"url": "https://n.local", "capabilities": ["referrers"]}
    found = resolved({"docker.io": {"endpoints": [both, only]}}, "x", containerd)
    assert [host.host for host in found.hosts] == ["m.local", "registry-1.docker.io"]
    assert found.hosts[0].capabilities == ("pull", "resolve")


def test_referrers_are_written_for_a_containerd_that_knows_them():
    table = {"endpoints": [{"url": "https://n.local", "capabilities": ["referrers"]}]}
    found = resolved({"docker.io": table}, "x", VERSIONS[2])
    assert found.hosts[0].capabilities == ("referrers",)


@each
def test_dial_timeout_is_written_where_it_is_known(containerd):
    table = {"endpoints": [{"url": "https://m.local", "dial_timeout": "5s"}]}
    found = resolved({"docker.io": table}, "x", containerd)
    assert found.hosts[0].dial_timeout == ("5s" if containerd >= (2, 1) else "")


@each
def test_a_client_certificate_with_its_key_in_one_file_does_not_fail_every_pull(containerd):
    for client in ("/c.pem", [["/c.pem", ""]], [["/c.pem", "/c.pem"]]):
        table = {"endpoints": [{"url": "https://m.local", "client": client}]}
        found = resolved({"docker.io": table}, "x", containerd)
        assert found.hosts[0].client == (("/c.pem", "/c.pem"),)


@each
@pytest.mark.parametrize("registry", ["r.local:5000", "[fd00::1]:5000", "[fd00::1]", "10.0.0.1"])
def test_a_registrys_folder_is_the_one_that_is_looked_up(containerd, registry):
    found = resolved({registry: {"endpoints": ["https://m.local"]}}, f"{registry}/x", containerd)
    assert found.folder
    assert [host.host for host in found.hosts] == ["m.local", registry]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("r.local_5000_", "r.local:5000"),
        ("https://r.local", "without scheme"),
        ("r.local/library", "without scheme and path"),
        ("*", "mirrors._default"),
        ("", "no name of a registry"),
    ],
)
def test_a_name_under_which_nothing_is_looked_up_is_refused(name, told):
    with pytest.raises(Refused) as refusal:
        written({name: {"endpoints": ["https://m.local"]}}, VERSIONS[-1])
    (problem,) = refusal.value.problems
    assert told in f"{problem.message} {problem.remedy}"


@each
def test_credentials_alone_make_no_folder_that_would_hide_the_default(containerd):
    tables = {
        "_default": {"endpoints": ["https://m.local"]},
        "quay.io": {"auth": {"username": "bob", "password": "x"}},
    }
    found = resolved(tables, "quay.io/x", containerd)
    assert found.folder == f"{CERTS}/_default"
    assert [host.host for host in found.hosts] == ["m.local", "quay.io"]


def test_containerd_gets_one_folder_and_none_of_the_keys_that_kill_cri_beside_it():
    table = {"endpoints": [{"url": "https://m", "ca": "/ca.crt", "auth": {"auth": "eDp5"}}]}
    registries = {"docker.io": msgspec.convert(table, Registry)}
    parts = provider.contribute_dropin(make_node("mirrors", registries))
    keys = {key: value for part in parts for key, value in part.images["registry"].items()}
    assert keys == {"config_path": CERTS, "configs": {"m": {"auth": {"auth": "eDp5"}}}}
    assert ":" not in keys["config_path"]


NAMES = st.sampled_from(["a", "b.local", "c.local:5000", "[fd00::1]:5000", "10.0.0.1"])
PATHS = st.sampled_from(["", "/", "/p", "/p/v2", "/v2", "/v2/p", "/é"])
CAPABILITIES = st.lists(
    st.sampled_from(["pull", "resolve", "push", "referrers"]), min_size=0, max_size=4
)
ENDPOINTS = st.fixed_dictionaries(
    {"url": st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), NAMES, PATHS)},
    optional={
        "capabilities": CAPABILITIES,
        "ca": st.sampled_from(["/ca.crt", ["/ca.crt", "/c.crt"], []]),
        "client": st.sampled_from(["/c.pem", [["/c.crt", "/c.key"]], [["/c.pem", ""]]]),
        "skip_verify": st.booleans(),
        "headers": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        "override_path": st.booleans(),
        "prefix": st.sampled_from(["hub", "a/b", "", "/"]),
        "dial_timeout": st.sampled_from(["5s", "5", "1m30s"]),
    },
)
TABLES = st.fixed_dictionaries(
    {"endpoints": st.lists(ENDPOINTS | ENDPOINTS.map(lambda e: e["url"]), min_size=1, max_size=4)},
    optional={
        "mirror_only": st.booleans(),
        "server": ENDPOINTS | ENDPOINTS.map(lambda e: e["url"]),
        "ca": st.just("/ca.crt"),
        "skip_verify": st.booleans(),
        "capabilities": CAPABILITIES,
    },
)


@pytest.mark.property
@settings(deadline=None, max_examples=300)
@given(
    table=TABLES,
    registry=st.sampled_from(
        ["docker.io", "r.local:5000", "_default", "[fd00::1]", "127.0.0.1:5000"]
    ),
    containerd=st.sampled_from(VERSIONS),
)
def test_whatever_is_accepted_is_read_without_a_warning_and_asked_in_its_order(
    table, registry, containerd
):
    try:
        files = written({registry: table}, containerd)
    except (Refused, msgspec.ValidationError):
        assume(condition=False)
    name = "quay.io" if registry == "_default" else registry
    found = resolve_image(f"{name}/x", CERTS, MadeUpFiles(files), containerd)
    assert not found.warnings
    assert not found.failures
    urls = [item if isinstance(item, str) else item["url"] for item in table["endpoints"]]
    hosts = [url.split("/")[2] for url in urls]
    at = [hosts.index(host.host) for host in found.hosts if host.host in hosts]
    assert at == sorted(at) or len(set(hosts)) < len(hosts) or "server" in table
    assert len(found.hosts) <= len(urls) + 1
    assert PROBE_REGISTRY not in found.registry
