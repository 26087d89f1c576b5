"""Mirrors proved for real: registries on loopback, asked by containerd 2.1 and 1.7 for docker.io."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import SETTINGS, RealNode
from tests.real.registries import Certificates, Registries, certificates, registries

pytestmark = pytest.mark.real

WITHOUT = ("gvisor", "nvidia", "dockerd")
DOWN = "https://127.0.0.1:9"
"""Nobody listens there (discard, port 9)."""
IMAGE = "docker.io/library/probe:1"
ASKED = "/v2/library/probe/manifests/1?ns=docker.io"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Registries]:
    """A starter of registries beside the node."""
    with registries(tmp_path / "registries") as made:
        yield made


@pytest.fixture
def own_ca(tmp_path: Path) -> Certificates:
    return certificates(tmp_path / "ca")


def with_mirrors(node: RealNode, tables: str) -> Any:
    """Compose a node with these tables, and return what `up` says."""
    node.without = WITHOUT
    node.write_settings(f"{SETTINGS}\n{tables}")
    return node.ok("up")


def pull(node: RealNode, image: str = IMAGE) -> str:
    from k0sruntime.cri import CRI

    with CRI(str(node.socket)) as cri:
        return cri.pull(image)


def resolved(node: RealNode, image: str) -> Any:
    """Return what `k0sruntime-mirrors resolve` says of this node."""
    where = ("--sandbox", str(node.folder))
    done = subprocess.run(
        [sys.executable, "-m", "k0sruntime_mirrors", "resolve", image, *where, "--json"],
        capture_output=True,
        text=True,
        env=node.environment(),
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def verdicts(document: Any) -> dict[str, tuple[str, str]]:
    """Return the mirrors' checks: name to verdict and detail."""
    found = (proof for proof in document["proofs"] if proof["provider"] == "mirrors")
    return {proof["name"]: (proof["verdict"], proof["detail"]) for proof in found}


def test_a_pull_falls_through_from_one_that_is_down_and_one_that_answers_500_to_one_that_serves(
    node: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    broken = lab.start("broken", broken=True)
    empty = lab.start("empty", images=())
    good = lab.start("good", tls=own_ca)
    last = lab.start("last")
    document = with_mirrors(
        node,
        f"""
[mirrors."docker.io"]
endpoints = ["{DOWN}", "{broken.url}", "{empty.url}", "{good.url}", "{last.url}"]
ca = "{own_ca.ca}"
mirror_only = true
""",
    )
    checks = verdicts(document)
    assert checks["mirrors of docker.io"][0] == "pass"
    assert checks["containerd reads the hosts files"][0] == "pass"
    assert checks[f"endpoint {DOWN}"] == ("warn", "cannot be reached: Connection refused")
    assert checks[f"endpoint {good.url}"][1].startswith("answers 200, certificate good until 20")
    for registry in (broken, empty, good, last):
        (registry.home / "log").write_bytes(b"")
    assert pull(node)
    assert ASKED in broken.asked()
    assert ASKED in empty.asked()
    assert ASKED in good.asked()
    assert not last.asked()
    told = resolved(node, IMAGE)
    assert told["asked"][:4] == [f"{url}{ASKED}" for url in (DOWN, broken.url, empty.url, good.url)]
    assert told["hosts"][3]["extra_ca"] is True
    assert told["warnings"] == []
    copied = node.dropins / "certs.d/docker.io/ca.crt"
    assert copied.read_bytes() == own_ca.ca.read_bytes()


def test_the_endpoints_are_asked_in_the_order_of_the_settings(
    node: RealNode, lab: Registries
) -> None:
    first, second = lab.start("first"), lab.start("second")
    table = '[mirrors."docker.io"]\nendpoints = ["{}", "{}"]\nmirror_only = true\n'
    with_mirrors(node, table.format(second.url, first.url))
    assert pull(node)
    assert second.asked()
    assert not first.asked()


def test_one_that_wants_a_certificate_of_the_client_gets_it(
    node: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    mutual = lab.start("mutual", tls=own_ca, mutual=True)
    certificate, key = own_ca.client
    document = with_mirrors(
        node,
        f"""
[mirrors."docker.io"]
endpoints = [{{ url = "{mutual.url}", ca = "{own_ca.ca}", client = [["{certificate}", "{key}"]] }}]
mirror_only = true
""",
    )
    assert verdicts(document)[f"endpoint {mutual.url}"][0] == "pass"
    assert pull(node)
    assert ASKED in mutual.asked()


def test_a_client_certificate_with_its_key_in_one_file_is_read_by_both(
    node: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    mutual = lab.start("mutual", tls=own_ca, mutual=True)
    with_mirrors(
        node,
        f"""
[mirrors."docker.io"]
endpoints = ["{mutual.url}"]
ca = "{own_ca.ca}"
client = "{own_ca.client_in_one}"
mirror_only = true
""",
    )
    assert pull(node)
    assert ASKED in mutual.asked()


def test_without_the_clients_certificate_the_check_says_that_one_is_wanted(
    node_2: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    mutual = lab.start("mutual", tls=own_ca, mutual=True)
    table = '[mirrors."docker.io"]\nendpoints = ["{}"]\nca = "{}"\n'
    document = with_mirrors(node_2, table.format(mutual.url, own_ca.ca))
    told = verdicts(document)[f"endpoint {mutual.url}"]
    assert told == ("warn", "it wants a client certificate")


def test_a_key_that_does_not_fit_its_certificate_is_taken_back(
    node_2: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    """containerd would fail every pull of the registry."""
    mutual = lab.start("mutual", tls=own_ca, mutual=True)
    pair = f'["{own_ca.client[0]}", "{own_ca.server[1]}"]'
    node_2.without = WITHOUT
    node_2.write_settings(
        f'{SETTINGS}\n[mirrors."docker.io"]\nendpoints = ["{mutual.url}"]\nclient = [{pair}]\n'
    )
    done = node_2.run("up")
    assert done.returncode == 6
    assert "does not fit its key" in done.stderr
    assert "every pull fails" in done.stderr


def test_a_certificate_that_nobody_vouches_for_is_told_and_the_pull_goes_on(
    node: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    unknown, good = lab.start("unknown", tls=own_ca), lab.start("good")
    table = '[mirrors."docker.io"]\nendpoints = ["{}", "{}"]\nmirror_only = true\n'
    document = with_mirrors(node, table.format(unknown.url, good.url))
    verdict, detail = verdicts(document)[f"endpoint {unknown.url}"]
    assert verdict == "warn"
    assert "its certificate is not good: " in detail
    assert pull(node)
    assert ASKED in good.asked()
    assert not unknown.asked()


def test_a_certificate_that_ends_soon_is_told(
    node_2: RealNode, lab: Registries, tmp_path: Path
) -> None:
    short = certificates(tmp_path / "short", days=5)
    soon = lab.start("soon", tls=short)
    table = '[mirrors."docker.io"]\nendpoints = ["{}"]\nca = "{}"\n'
    document = with_mirrors(node_2, table.format(soon.url, short.ca))
    verdict, detail = verdicts(document)[f"endpoint {soon.url}"]
    assert verdict == "warn"
    assert "certificate good until" in detail


def test_skip_verify_reaches_a_mirror_whose_ca_nobody_knows_and_its_end_is_told(
    node: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    unknown = lab.start("unknown", tls=own_ca)
    table = '[mirrors."docker.io"]\nendpoints = ["{}"]\nskip_verify = true\nmirror_only = true\n'
    document = with_mirrors(node, table.format(unknown.url))
    verdict, detail = verdicts(document)[f"endpoint {unknown.url}"]
    assert verdict == "pass"
    assert "certificate good until" in detail
    assert pull(node)
    assert ASKED in unknown.asked()


def test_a_pull_through_prefix_is_asked_below_v2(node: RealNode, lab: Registries) -> None:
    proxy = lab.start("proxy", images=("hub/library/probe",))
    table = '[mirrors."docker.io"]\nendpoints = [{{ url = "{}", prefix = "hub" }}]\nmirror_only = true\n'
    with_mirrors(node, table.format(proxy.url))
    assert pull(node)
    assert "/v2/hub/library/probe/manifests/1?ns=docker.io" in proxy.asked()


def test_credentials_go_where_containerd_reads_them_and_are_never_shown(
    node: RealNode, lab: Registries
) -> None:
    locked = lab.start("locked", password=True)
    with_mirrors(
        node,
        f"""
[mirrors."docker.io"]
endpoints = [{{ url = "{locked.url}", auth = {{ username = "bob", password = "hunter2" }} }}]
mirror_only = true
""",
    )
    assert pull(node)
    assert ASKED in locked.asked()
    dropin = node.dropins / "k0sruntime-mirrors.toml"
    assert "hunter2" in dropin.read_text()
    assert dropin.stat().st_mode & 0o777 == 0o600
    for command in (("plan",), ("plan", "--json"), ("status", "--json"), ("explain", "registry")):
        done = node.run(*command)
        assert "hunter2" not in done.stdout + done.stderr
    hosts_file = (node.dropins / "certs.d/docker.io/hosts.toml").read_text()
    assert "hunter2" not in hosts_file


@pytest.mark.parametrize("registry", ["r.local:5000", "[fd00::1]:5000", "[fd00::1]", "r.local"])
def test_the_folder_of_a_registry_is_the_one_that_both_look_up(
    node: RealNode, lab: Registries, registry: str
) -> None:
    mirror = lab.start("mirror")
    table = '[mirrors."{}"]\nendpoints = ["{}"]\nmirror_only = true\n'
    with_mirrors(node, table.format(registry, mirror.url))
    assert pull(node, f"{registry}/library/probe:1")
    (asked,) = {line for line in mirror.asked() if "/1?" in line}
    assert asked.startswith("/v2/library/probe/manifests/1?ns=")


def test_the_default_serves_all_registries_without_a_table(node: RealNode, lab: Registries) -> None:
    default, own = lab.start("default"), lab.start("own")
    table = '[mirrors."{}"]\nendpoints = ["{}"]\nmirror_only = true\n'
    with_mirrors(node, table.format("_default", default.url) + table.format("quay.io", own.url))
    assert pull(node, "ghcr.io/library/probe:1")
    assert "/v2/library/probe/manifests/1?ns=ghcr.io" in default.asked()
    assert pull(node, "quay.io/library/probe:1")
    assert "/v2/library/probe/manifests/1?ns=quay.io" in own.asked()
    assert not [line for line in default.asked() if "quay.io" in line]


def test_all_keys_together_are_read_by_both(
    node: RealNode, lab: Registries, own_ca: Certificates
) -> None:
    """A key that one of them does not know would make it drop the whole file."""
    other, good = lab.start("other", images=()), lab.start("good", tls=own_ca)
    with_mirrors(
        node,
        f"""
[[mirrors."docker.io".endpoints]]
url = "{other.url}"
capabilities = ["pull", "resolve", "referrers"]
headers = {{ X-First = "1", X-Second = ["2", "3"] }}
dial_timeout = "2s"

[[mirrors."docker.io".endpoints]]
url = "{good.url}"
ca = ["{own_ca.ca}"]
capabilities = ["pull", "resolve", "referrers"]
headers = {{ Authorization = "Bearer not-to-be-seen" }}
dial_timeout = "2s"

[mirrors."docker.io".server]
url = "{DOWN}"
capabilities = ["pull"]
skip_verify = true
""",
    )
    assert pull(node)
    assert ASKED in other.asked()
    assert ASKED in good.asked()
    done = node.run("plan")
    assert "not-to-be-seen" not in done.stdout + done.stderr


def test_a_change_of_mirrors_bounces_nothing_and_counts_at_the_next_pull(
    node: RealNode, lab: Registries
) -> None:
    mirror = lab.start("mirror")
    table = '\n[mirrors."docker.io"]\nendpoints = ["{url}"]\nmirror_only = true\n'
    first = with_mirrors(node, table.format(url=DOWN))
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
        pull(node)
    second = with_mirrors(node, table.format(url=mirror.url))
    assert second["applied"]
    assert second["running"]["pid"] == first["running"]["pid"]
    assert pull(node)
    assert mirror.asked()


def test_a_containerd_that_does_not_read_the_folder_fails_the_proof(
    node: RealNode, lab: Registries
) -> None:
    """As one does that was started before the folder was named."""
    mirror = lab.start("mirror")
    table = '[mirrors."docker.io"]\nendpoints = ["{}"]\n'
    with_mirrors(node, table.format(mirror.url))
    certs = node.dropins / "certs.d"
    certs.rename(certs.with_name("certs.away"))
    done = node.run("verify", "--json")
    certs.with_name("certs.away").rename(certs)
    assert done.returncode == 8
    messages = [problem["message"] for problem in json.loads(done.stdout)["problems"]]
    assert any(f"it does not look into {certs}" in message for message in messages)
    assert node.ok("verify")


def imported(node: RealNode, source: Path, output: Path) -> str:
    """Import a file or a folder with the command; return the settings that it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "k0sruntime_mirrors", "import", source, "--output", output],
        capture_output=True,
        text=True,
        env=node.environment(),
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    return output.read_text()


def test_k3ss_registries_yaml_is_taken_over_and_pulled_through(
    node: RealNode, lab: Registries, own_ca: Certificates, tmp_path: Path
) -> None:
    first = lab.start("first", tls=own_ca, images=())
    locked = lab.start("locked", tls=own_ca, password=True, images=("hub/library/probe",))
    source = tmp_path / "registries.yaml"
    source.write_text(
        f"""
mirrors:
  docker.io:
    endpoint: ["{first.url}", "{locked.url}/v2"]
    rewrite: {{"^(.*)$": "hub/$1"}}
configs:
  "{first.host}":
    tls: {{insecure_skip_verify: true}}
  "{locked.host}":
    auth: {{username: bob, password: hunter2}}
    tls: {{ca_file: {own_ca.ca}}}
"""
    )
    # k3s asks 127.0.0.1 without certificates of its own; here both are registries of others.
    settings = imported(node, source, tmp_path / "mirrors.toml")
    with_mirrors(node, settings)
    assert pull(node)
    asked = "/v2/hub/library/probe/manifests/1?ns=docker.io"
    assert asked in first.asked()
    assert asked in locked.asked()


def test_a_folder_of_hosts_files_is_taken_over_and_pulled_through(
    node: RealNode, lab: Registries, own_ca: Certificates, tmp_path: Path
) -> None:
    plain, tls = lab.start("plain", images=()), lab.start("tls", tls=own_ca)
    folder = tmp_path / "certs.d" / "docker.io"
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_bytes(own_ca.ca.read_bytes())
    (folder / "hosts.toml").write_text(
        f'server = "{tls.url}"\nca = "ca.pem"\n\n[host."{plain.url}"]\n'
    )
    with_mirrors(node, imported(node, tmp_path / "certs.d", tmp_path / "mirrors.toml"))
    assert pull(node)
    assert ASKED in plain.asked()
    assert ASKED in tls.asked()


def requests(registry: Any) -> list[str]:
    """Return all that a registry was asked for, as its access log has it."""
    return [line for line in registry.log().splitlines() if "HTTP/" in line]


def test_offline_no_registry_is_asked(node: RealNode, lab: Registries) -> None:
    mirror = lab.start("mirror")
    (mirror.home / "log").write_bytes(b"")
    node.without = WITHOUT
    table = f'[mirrors."docker.io"]\nendpoints = ["{mirror.url}"]\nmirror_only = true\n'
    node.write_settings(f"{SETTINGS}\n{table}")
    for command in (("up", "--offline"), ("verify", "--offline")):
        checks = verdicts(node.ok(*command))
        assert checks["mirrors of docker.io"][0] == "pass"
        assert checks["containerd reads the hosts files"][0] == "unknown"
        assert checks[f"endpoint {mirror.url}"] == (
            "unknown",
            "not asked: --offline opens no socket",
        )
    assert not requests(mirror)
    checks = verdicts(node.ok("verify"))
    assert checks["containerd reads the hosts files"][0] == "pass"
    assert checks[f"endpoint {mirror.url}"][0] == "pass"
    assert requests(mirror)


def test_offline_the_proof_pulls_no_sandbox_image(node: RealNode, lab: Registries) -> None:
    mirror = lab.start("mirror")
    (mirror.home / "log").write_bytes(b"")
    shutil.rmtree(node.folder / "var/lib/k0s/images")
    node.without = WITHOUT
    table = f'[mirrors."k0sruntime.local"]\nendpoints = ["{mirror.url}"]\nmirror_only = true\n'
    node.write_settings(f"{SETTINGS}\n{table}")
    document = node.ok("up", "--offline")
    (proof,) = (p for p in document["proofs"] if p.get("handler") == "crun")
    assert proof["verdict"] == "unknown"
    assert "is not at hand, and --offline pulls none" in proof["detail"]
    assert not requests(mirror)
