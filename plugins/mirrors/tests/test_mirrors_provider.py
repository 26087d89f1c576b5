"""Settings to hosts files: what containerd would silently read otherwise cannot come out."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from k0sruntime import CRIError, Inactive, Refused
from k0sruntime.compose.hosts import render
from k0sruntime.contributions import Owner
from k0sruntime.errors import RefusedError
from k0sruntime.node import Program, Version
from k0sruntime.settings import SettingsFile, convert
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_mirrors import checks, provider
from k0sruntime_mirrors.provider import PROBE_HOST, PROBE_REGISTRY, hosts_files
from k0sruntime_mirrors.settings import Auth, Endpoint, Registry

CASE = next(Path(__file__).parents[3].glob("tests/cases/hosts/ca-list/certs.d/docker.io"))
PEM = (CASE / "a.crt").read_text()
KEY = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"
EMPTY = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


def hosts(registries, files=None):
    node = make_node("mirrors", registries, files=files)
    found = {file.registry: file for file in provider.contribute_hosts(node)}
    assert not registries or found.pop(PROBE_REGISTRY).server.url == PROBE_HOST
    return found


def checked(registries, files=None, answer=f'Head "{PROBE_HOST}": connection refused'):
    """Return the checks of the files and the folder; made-up endpoints are not asked."""
    node = make_node("mirrors", registries, files=files)
    files = hosts_files(node)
    found = [*checks.in_place(node, files), checks.folder_is_read(node, FakeCRI(answer))]
    return [(check.verdict, check.detail) for check in found]


class FakeCRI:
    """Stands in for a containerd that refuses the pull of the proof's registry."""

    def __init__(self, answer):
        self.answer = answer

    def pull(self, image):
        assert image == f"{PROBE_REGISTRY}/probe:1"
        raise CRIError("UNKNOWN", self.answer)


READ = ("pass", "it looks into /etc/k0s/containerd.d/certs.d")


def test_without_a_registry_it_rests_and_says_what_to_set():
    with pytest.raises(Inactive, match=r'\[mirrors\."docker.io"\]'):
        list(provider.contribute_dropin(make_node("mirrors", {})))


def test_containerd_is_pointed_at_exactly_one_folder():
    node = make_node("mirrors", {"docker.io": Registry(endpoints=["https://m.example"])})
    (dropin,) = provider.contribute_dropin(node)
    assert dropin.images == {"registry": {"config_path": "/etc/k0s/containerd.d/certs.d"}}


def test_endpoints_keep_their_order_and_docker_hub_its_real_name():
    registry = Registry(endpoints=["https://a.example:5000", "http://b.example/path/"])
    file = hosts({"docker.io": registry})["docker.io"]
    assert [host.url for host in file.hosts] == ["https://a.example:5000", "http://b.example/path"]
    assert file.server.url == "https://registry-1.docker.io"


def test_another_registry_is_its_own_upstream():
    assert hosts({"quay.io": Registry(endpoints=["https://m.example"])})["quay.io"].server is None


def test_mirror_only_puts_the_last_endpoint_in_the_upstreams_place():
    registry = Registry(endpoints=["https://a.example", "https://b.example"], mirror_only=True)
    file = hosts({"docker.io": registry})["docker.io"]
    assert [host.url for host in file.hosts] == ["https://a.example"]
    assert file.server.url == "https://b.example"


@pytest.mark.parametrize("url", ["m.example", "httpbin.example.com", "m.example:5000"])
def test_a_name_without_a_scheme_is_refused_with_what_to_write(url):
    with pytest.raises(ValueError, match=f"https://{url}"):
        hosts({"docker.io": Registry(endpoints=[url])})


def test_a_ca_is_copied_beside_the_hosts_file():
    files = MadeUpFiles({"/etc/ssl/my.crt": PEM})
    file = hosts(
        {"r.local:5000": Registry(endpoints=["https://m.example"], ca="/etc/ssl/my.crt")}, files
    )
    assert file["r.local:5000"].files == {"my.crt": PEM}
    assert file["r.local:5000"].hosts[0].ca == ["my.crt"]


def test_two_cas_of_one_name_do_not_overwrite_each_other():
    files = MadeUpFiles({"/a/ca.crt": PEM, "/b/ca.crt": PEM + "\n"})
    endpoints = [Endpoint(url=f"https://{n}.example", ca=f"/{n}/ca.crt") for n in "ab"]
    file = hosts({"docker.io": Registry(endpoints=endpoints)}, files)["docker.io"]
    assert [host.ca for host in file.hosts] == [["ca.crt"], ["ca-2.crt"]]
    assert file.files == {"ca.crt": PEM, "ca-2.crt": PEM + "\n"}


@pytest.mark.parametrize(
    ("files", "told"),
    [({}, "cannot be read"), ({"/ca": "no"}, "no cert"), ({"/ca": EMPTY}, "no cert")],
)
def test_a_ca_that_containerd_would_fail_on_is_refused(files, told):
    with pytest.raises(Refused, match=told) as refused:
        hosts({"docker.io": Registry(endpoints=["https://m"], ca="/ca")}, MadeUpFiles(files))
    assert refused.value.problems[0].place == '/etc/k0sruntime/config.toml: [mirrors."docker.io"]'


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "neither endpoints nor a server"),
        ({"mirror_only": True, "server": "https://m"}, "mirror_only needs endpoints"),
        ({"mirror_only": True, "server": "https://m", "endpoints": ["https://n"]}, "exclude"),
        ({"server": "registry.example"}, "https://registry.example"),
        ({"endpoints": ["https://m"], "ca": "ca.crt"}, "'ca.crt' must be an absolute path"),
        ({"server": "https://m", "ca": "/ca"}, "mirror_only = true"),
        ({"endpoints": ["http://m"], "skip_verify": True}, "for https endpoints"),
        ({"endpoints": ["https://"]}, "must be an http:// or https:// URL"),
    ],
)
def test_a_table_that_says_nothing_or_contradicts_itself_is_refused(table, told):
    with pytest.raises(ValueError, match=told):
        Registry(**table)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"dial_timeout": "5"}, "must be a duration"),
        ({"ca": "ca.crt"}, "absolute path"),
        ({"client": [("/c.crt", "c.key")]}, "'c.key' must be an absolute path"),
    ],
)
def test_an_endpoint_that_containerd_would_read_in_another_way_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        Endpoint(url="https://m.example", **wrong)


def test_a_mistake_in_the_settings_file_is_told_with_its_place():
    file = SettingsFile("/c.toml", {"mirrors": {"quay.io": {"endpoints": ["m.example"]}}})
    with pytest.raises(RefusedError) as told:
        convert(file, "mirrors", provider.settings)
    (problem,) = told.value.problems
    assert "https://m.example" in problem.message
    assert problem.place == '/c.toml: [mirrors."quay.io"]'


def test_endpoints_may_be_urls_and_tables_in_the_settings_file():
    table = {"url": "https://b.example", "client": [["/c.crt", "/c.key"]], "capabilities": ["pull"]}
    file = SettingsFile(
        "/c.toml", {"mirrors": {"quay.io": {"endpoints": ["https://a.example", table]}}}
    )
    found = convert(file, "mirrors", provider.settings)["quay.io"]
    assert found.endpoints == [
        "https://a.example",
        Endpoint(url="https://b.example", client=[("/c.crt", "/c.key")], capabilities=("pull",)),
    ]


@pytest.mark.parametrize(
    "url", ["https://docker.io", "https://docker.io/", "https://index.docker.io"]
)
def test_docker_hub_is_named_as_it_serves_images(url):
    file = hosts({"docker.io": Registry(server=url)})["docker.io"]
    assert file.server.url == "https://registry-1.docker.io"


def test_a_registrys_defaults_apply_to_endpoints_that_are_urls_and_to_no_others():
    files = MadeUpFiles({"/ca.crt": PEM})
    registry = Registry(
        endpoints=["https://a", "http://b", Endpoint(url="https://c")],
        ca="/ca.crt",
        skip_verify=True,
        capabilities=("pull",),
    )
    a, b, c = hosts({"docker.io": registry}, files)["docker.io"].hosts
    assert (a.ca, a.skip_verify, a.capabilities) == (["ca.crt"], True, ("pull",))
    assert (b.ca, b.skip_verify, b.capabilities) == ([], False, ("pull",))
    assert (c.ca, c.skip_verify, c.capabilities) == ([], False, ("pull", "resolve"))


def test_client_certificates_are_named_where_they_lie_and_never_copied():
    files = MadeUpFiles({"/c.crt": PEM, "/c.key": KEY, "/c.pem": PEM + KEY})
    endpoint = Endpoint(url="https://m", client=[("/c.crt", "/c.key"), ("/c.pem", "")])
    file = hosts({"docker.io": Registry(endpoints=[endpoint])}, files)["docker.io"]
    assert file.hosts[0].client == [("/c.crt", "/c.key"), ("/c.pem", "/c.pem")]
    assert file.files == {}
    with pytest.raises(Refused, match=r"/c\.key cannot be read"):
        hosts({"docker.io": Registry(endpoints=[endpoint])}, MadeUpFiles({"/c.crt": PEM}))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/my ca (1).pem", "my-ca-1.pem"),
        ("/a/hosts.toml", "hosts.crt"),
        ("/a/.crt", "crt.crt"),
        ("/a/CA", "CA.crt"),
        ("/a/--", "ca.crt"),
    ],
)
def test_the_copy_of_a_ca_gets_a_name_that_can_stand_beside_the_hosts_file(path, name):
    registry = Registry(endpoints=["https://m"], ca=path)
    file = hosts({"docker.io": registry}, MadeUpFiles({path: PEM}))["docker.io"]
    assert file.files == {name: PEM}


def test_the_check_looks_for_each_hosts_file_where_containerd_does():
    registries = {"r.local:5000": Registry(endpoints=["https://m.example"])}
    path = "/etc/k0s/containerd.d/certs.d/r.local_5000_/hosts.toml"
    there = MadeUpFiles({path: '[host."https://m.example"]'})
    assert checked(registries, there) == [("pass", f"{path} is in place"), READ]
    assert checked(registries) == [("fail", f"{path} is missing"), READ]
    other = MadeUpFiles({path: '[host."https://m.example.org"]'})
    told = f"{path} does not name https://m.example"
    assert checked(registries, other) == [("fail", told), READ]


def test_the_check_knows_what_the_host_writes():
    endpoint = Endpoint(url='https://m.example/é"', override_path=True)
    registries = {"docker.io": Registry(endpoints=["https://a", endpoint], mirror_only=True)}
    (file,) = hosts(registries).values()
    text = render(file, Owner("mirrors", "k0sruntime-mirrors", "1", "contribute_hosts"))
    path = "/etc/k0s/containerd.d/certs.d/docker.io/hosts.toml"
    assert [verdict for verdict, _ in checked(registries, MadeUpFiles({path: text}))] == [
        "pass"
    ] * 2


def test_the_check_misses_a_ca_that_every_pull_would_fail_without():
    registries = {"quay.io": Registry(endpoints=["https://m"], ca="/ca.crt")}
    folder = "/etc/k0s/containerd.d/certs.d/quay.io"
    contents = {"/ca.crt": PEM, f"{folder}/hosts.toml": '[host."https://m"]'}
    told = f"{folder}/ca.crt is missing: every pull fails"
    assert checked(registries, MadeUpFiles(contents)) == [("fail", told), READ]
    contents[f"{folder}/ca.crt"] = PEM
    assert [verdict for verdict, _ in checked(registries, MadeUpFiles(contents))] == ["pass"] * 2


@pytest.mark.parametrize(
    ("endpoint", "asked", "root"),
    [
        ({"url": "https://m"}, "https://m/v2", True),
        ({"url": "https://m/path"}, "https://m/path/v2", True),
        ({"url": "https://m/v2"}, "https://m/v2", True),
        ({"url": "https://m", "prefix": "hub"}, "https://m/v2", True),
        ({"url": "https://m/v2/hub", "override_path": True}, "https://m/v2", True),
        ({"url": "https://m/own", "override_path": True}, "https://m/own", False),
    ],
)
def test_the_check_asks_the_root_of_the_api_where_there_is_one(monkeypatch, endpoint, asked, root):
    seen = {}
    monkeypatch.setattr(checks, "reach_endpoints", lambda targets, *_: seen.update(targets) or {})
    registries = {"docker.io": Registry(endpoints=[Endpoint(**endpoint)])}
    node = make_node("mirrors", registries)
    assert not list(checks.endpoints(node, hosts_files(node)))
    (target,) = seen.values()
    assert (target.url, target.root) == (asked, root)


@pytest.mark.parametrize(
    ("version", "url", "written"),
    [
        (Version(1, 7, 24), "https://m", False),
        (Version(2, 0, 4), "https://m", False),
        (Version(2, 0, 11), "https://m", True),
        (Version(2, 0, 11), "http://m", False),  # HTTPS would be tried first
        (Version(2, 1, 0), "http://m", True),
        (Version(2, 3, 3), "https://m", True),
    ],
)
def test_a_dial_timeout_is_written_or_it_is_said_that_it_is_not(version, url, written):
    registries = {"docker.io": Registry(endpoints=[url], dial_timeout="5s")}
    node = make_node("mirrors", registries, containerd=Program("/containerd", version))
    (file,) = hosts_files(node)
    assert file.hosts[0].dial_timeout == ("5s" if written else "")
    told = list(checks.without_effect(node))
    assert [(check.name, check.verdict) for check in told] == (
        [] if written else [("dial_timeout of docker.io", "warn")]
    )
    assert all(str(version) in check.detail and check.remedy for check in told)


def test_referrers_that_are_left_out_are_told_too():
    endpoint = {"url": "https://m", "capabilities": ["pull", "resolve", "referrers"]}
    registries = {"r.test": Registry(endpoints=[Endpoint(**endpoint)])}
    for version, told in ((Version(2, 1), True), (Version(2, 2), False)):
        node = make_node("mirrors", registries, containerd=Program("/containerd", version))
        assert bool(list(checks.without_effect(node))) == told


def test_what_is_left_out_is_part_of_the_proof(monkeypatch):
    monkeypatch.setattr(checks, "endpoints", lambda *_: [])
    registries = {"docker.io": Registry(endpoints=["https://m"], dial_timeout="5s")}
    node = make_node("mirrors", registries, line="1.35")
    found = list(provider.post_start_check(node, FakeCRI(PROBE_HOST)))
    assert "dial_timeout of docker.io" in [check.name for check in found]


AUTH = Auth(username="bob", password="hunter2")


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("_default", {}, "auth of _default is for no host"),
        ("_default", {"endpoints": ["https://m"]}, "auth of _default is for no host"),
        ("*", {}, "there is no registry '*'"),
        ("https://r.test", {}, "is no name of a registry"),
        ("registry-1.docker.io", {}, "no image is looked up under"),
    ],
)
def test_credentials_for_no_host_are_refused(name, more, told):
    node = make_node("mirrors", {name: Registry(auth=AUTH, **more)})
    with pytest.raises(Refused) as refused:
        list(provider.contribute_dropin(node))
    (problem,) = refused.value.problems
    assert told in problem.message
    assert f'[mirrors."{name}"] auth' in problem.place
    assert problem.remedy
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("name", "more", "host"),
    [
        ("_default", {"server": "https://up.test:5000"}, "up.test:5000"),
        ("_default", {"endpoints": [Endpoint(url="https://m.test", auth=AUTH)]}, "m.test"),
        ("localhost:5000", {"auth": AUTH}, "localhost:5000"),
        ("docker.io", {"auth": AUTH}, "registry-1.docker.io"),
    ],
)
def test_credentials_stand_under_the_host_that_containerd_asks(name, more, host):
    registry = Registry(**({"auth": AUTH} if "server" in more else {}), **more)
    _, dropin = provider.contribute_dropin(make_node("mirrors", {name: registry}))
    assert list(dropin.images["registry"]["configs"]) == [host]


def test_offline_nothing_is_asked_and_every_check_says_so(monkeypatch):
    def no_socket(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "create_connection", no_socket)
    monkeypatch.setattr(FakeCRI, "pull", no_socket)
    registries = {"docker.io": Registry(endpoints=["https://m.test", "http://n.test"])}
    node = make_node("mirrors", registries, offline=True)
    found = {check.name: check for check in provider.post_start_check(node, FakeCRI(""))}
    for name in (
        "containerd reads the hosts files",
        "endpoint https://m.test",
        "endpoint http://n.test",
    ):
        assert found[name].verdict == "unknown"
        assert found[name].detail == "not asked: --offline opens no socket"
