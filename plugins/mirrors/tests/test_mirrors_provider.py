"""Settings to hosts files: what containerd would silently read otherwise cannot come out."""

from __future__ import annotations

import pytest

from k0sruntime import Inactive
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_mirrors import provider
from k0sruntime_mirrors.settings import Endpoint, Registry

PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


def hosts(registries, files=None):
    node = make_node("mirrors", registries, files=files)
    return {file.registry: file for file in provider.contribute_hosts(node)}


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


@pytest.mark.parametrize(("files", "told"), [({}, "cannot be read"), ({"/ca": "no"}, "no PEM")])
def test_a_ca_that_containerd_would_fail_on_is_refused(files, told):
    with pytest.raises(ValueError, match=told):
        hosts({"docker.io": Registry(endpoints=["https://m"], ca="/ca")}, MadeUpFiles(files))


def test_a_table_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="neither endpoints nor a server"):
        hosts({"docker.io": Registry()})


def test_the_check_looks_for_each_hosts_file_where_containerd_does():
    registries = {"r.local:5000": Registry(endpoints=["https://m.example"])}
    path = "/etc/k0s/containerd.d/certs.d/r.local_5000_/hosts.toml"
    there = make_node("mirrors", registries, files=MadeUpFiles({path: "x"}))
    assert [check.verdict for check in provider.post_start_check(there, None)] == ["pass"]
    missing = make_node("mirrors", registries)
    assert [check.verdict for check in provider.post_start_check(missing, None)] == ["fail"]
