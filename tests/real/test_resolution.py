"""The resolver against the real containerd: its log tells which URLs it asked, in which order."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime import CRIError, Version, files_here, resolve_image
from tests.real.conftest import CONTAINERDS, ROOT, SETTINGS, RealNode, _node
from tests.real.registries import certificates

pytestmark = pytest.mark.real

NOBODY = "http://127.0.0.1:9"
CASES = sorted((ROOT / "tests/cases/hosts").iterdir())
EXTRA = {
    "a user in the URL": {"docker.io/hosts.toml": '[host."https://u:p@m.local"]'},
    "a query in the URL": {"docker.io/hosts.toml": '[host."https://m.local/p?q=1"]'},
    "a name with a port": {"docker.io/hosts.toml": '[host."httpbin.local:5000"]'},
    "a name with http and a port as server": {
        "docker.io/hosts.toml": 'server = "http-a:5000"\n[host]'
    },
    "another scheme": {"docker.io/hosts.toml": '[host."httpx://m.local"]'},
    "a blank in the host": {"docker.io/hosts.toml": '[host."https://m .local"]'},
    "a port that is none": {"docker.io/hosts.toml": '[host."https://m.local:port"]'},
    "an escape that is none": {"docker.io/hosts.toml": '[host."https://m.local/%zz"]'},
    "an escaped path": {"docker.io/hosts.toml": '[host."https://m.local/a%20b"]'},
    "a path to be cleaned": {"docker.io/hosts.toml": '[host."https://m.local//a/../b/./"]'},
    "more behind v2": {"docker.io/hosts.toml": '[host."https://m.local/v2/p"]'},
    "override_path without a path": {
        "docker.io/hosts.toml": '[host."https://m.local"]\noverride_path = true'
    },
    "an empty key in a pair": {
        "docker.io/hosts.toml": '[host."https://m.local"]\nclient = [["c.pem", ""]]',
        "docker.io/c.pem": "client",
    },
    "a certificate with its key in one file": {
        "docker.io/hosts.toml": '[host."https://m.local"]\nclient = "c.pem"',
        "docker.io/c.pem": "client",
    },
    "two files with a certificate and a key each": {
        "docker.io/hosts.toml": '[host."https://m.local"]\nclient = ["c.pem", "c.pem"]',
        "docker.io/c.pem": "client",
    },
    "a pair of three": {
        "docker.io/hosts.toml": '[host."https://m.local"]\nclient = [["c.pem", "c.pem", "c.pem"]]',
        "docker.io/c.pem": "client",
    },
    "a certificate that is no client's": {
        "docker.io/hosts.toml": '[host."https://m.local"]\nclient = "c.pem"',
        "docker.io/c.pem": "nothing",
    },
    "no capabilities": {"docker.io/hosts.toml": '[host."https://m.local"]\ncapabilities = []'},
    "only push": {"docker.io/hosts.toml": '[host."https://m.local"]\ncapabilities = ["push"]'},
    "capabilities in upper case": {
        "docker.io/hosts.toml": '[host."https://m.local"]\ncapabilities = ["PULL", "Resolve"]'
    },
    "referrers": {
        "docker.io/hosts.toml": '[host."https://m.local"]\ncapabilities = ["pull", "resolve", "referrers"]'
    },
    "a server that may not resolve": {
        "docker.io/hosts.toml": 'server = "https://s.local"\ncapabilities = ["pull"]\n[host."https://m.local"]'
    },
    "one that may resolve alone": {
        "docker.io/hosts.toml": '[host."https://m.local"]\ncapabilities = ["resolve"]'
    },
    "none that may resolve": {
        "docker.io/hosts.toml": 'server = "https://s.local"\ncapabilities = ["pull"]\n[host]'
    },
    "keys in another case": {
        "docker.io/hosts.toml": 'Server = "https://s.local"\n[host."https://m.local"]'
    },
    "a byte-order mark": {"docker.io/hosts.toml": '\ufeff[host."https://m.local"]'},
    "hosts by dotted keys": {"docker.io/hosts.toml": 'host."https://m.local".skip_verify = true'},
    "blanks in the header": {"docker.io/hosts.toml": '[ host . "https://m.local" ] # mine'},
    "literal strings": {"docker.io/hosts.toml": "[host.'https://m.local']"},
    "only a header of a host": {"docker.io/hosts.toml": '[host."https://m.local".header]\nx = "1"'},
    "a header of a number": {"docker.io/hosts.toml": '[host."https://m.local".header]\nx = 1'},
    "a comment": {"docker.io/hosts.toml": "# nothing"},
    "no hosts": {"docker.io/hosts.toml": 'server = "https://s.local"\n[host]'},
    "http with skip_verify = false": {
        "docker.io/hosts.toml": '[host."http://m.local:5000"]\nskip_verify = false'
    },
    "http with an empty list of CAs": {
        "docker.io/hosts.toml": '[host."http://m.local:5000"]\nca = []'
    },
    "http on port 80 with skip_verify": {
        "docker.io/hosts.toml": '[host."http://m.local:80"]\nskip_verify = true'
    },
    "http without a port with skip_verify": {
        "docker.io/hosts.toml": '[host."http://m.local"]\nskip_verify = true'
    },
    "dial_timeout as a number": {
        "docker.io/hosts.toml": '[host."https://m.local"]\ndial_timeout = 5'
    },
    "an unknown key": {
        "docker.io/hosts.toml": '[host."https://m.local"]\n[host."https://m.local".rewrite]\n"^a" = "b"'
    },
    "certificates as Docker has them": {"docker.io/ca.crt": "ca"},
    "a certificate that is none beside a bad file": {
        "docker.io/hosts.toml": "skip_verify = 1",
        "docker.io/ca.crt": "nothing",
    },
    "a CA that is a number": {"docker.io/hosts.toml": '[host."https://m.local"]\nca = 1'},
    "an empty folder before the default": {
        "docker.io/README": "",
        "_default/hosts.toml": '[host."https://m.local"]',
    },
    "a file in the place of a folder": {
        "docker.io": "",
        "_default/hosts.toml": '[host."https://m.local"]',
    },
    "other names of Docker Hub": {"registry-1.docker.io/hosts.toml": '[host."https://m.local"]'},
    "a host again behind another": {
        "docker.io/hosts.toml": '[host."https://a.local"]\n[host."https://b.local"]\n'
        '[host."https://a.local".header]\nx = "1"\n[host."https://a.local".rewrite]'
    },
}
"""Hosts files of which no corpus tells: what one of them does, the resolver must say."""
REGISTRIES = {
    "[::1]:5000": {"[::1]_5000_/hosts.toml": '[host."https://m.local"]'},
    "[fd00::1]:5000": {"[fd00::1]:5000/hosts.toml": '[host."https://m.local"]'},
    "[fd00::1]": {"[fd00:_1]_/hosts.toml": '[host."https://m.local"]'},
    "[fd00::2]": {"[fd00::2]/hosts.toml": '[host."https://m.local"]'},
    "R.local:5000": {"r.local_5000_/hosts.toml": '[host."https://m.local"]'},
    "127.0.0.1:80": {"other/hosts.toml": ""},
    "localhost:443": {"other/hosts.toml": ""},
    "localhost:5000": {"localhost_5000_/hosts.toml": '[host."https://m.local"]\n'},
}
VERSIONS = {"2.1": Version(2, 1, 9), "1.7": Version(1, 7, 24)}
URL = re.compile(r'failed to do request: (?:Head|Get) \\*"(https?://[^"\\]+)')


@pytest.fixture(scope="module", params=list(CONTAINERDS))
def asked(request: pytest.FixtureRequest) -> Iterator[tuple[RealNode, Version]]:
    """A node whose folder of hosts files is the test's own; one for all cases.

    A proxy that is down answers for the whole world, so that no name is looked up anywhere.
    """
    folder = Path(tempfile.mkdtemp(prefix="k0sr-", dir="/tmp"))
    made = _node(folder, CONTAINERDS[request.param])
    node = next(made)
    node.without = ("gvisor", "nvidia", "dockerd")
    node.write_settings(f'{SETTINGS}\n[mirrors."unused.example"]\nendpoints = ["{NOBODY}"]\n')
    with pytest.MonkeyPatch.context() as environment:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            environment.setenv(name, NOBODY)
        environment.delenv("NO_PROXY", raising=False)
        node.ok("up")
    yield node, VERSIONS[request.param]
    next(made, None)
    shutil.rmtree(folder, ignore_errors=True)


def pulled(node: RealNode, image: str) -> tuple[str, list[str]]:
    """Pull an image that nobody has; return containerd's error and the URLs that it asked."""
    from k0sruntime.cri import CRI

    log = node.folder / "run/k0s/containerd.log"
    before = log.stat().st_size
    with CRI(str(node.socket)) as cri, pytest.raises(CRIError) as failed:
        cri.pull(image)
    with log.open("rb") as file:
        file.seek(before)
        lines = file.read().decode().splitlines()
    lines = [line for line in lines if "trying next host" in line or "fetch failed" in line]
    return str(failed.value), [found[1] for line in lines if (found := URL.search(line))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_asks_what_the_resolver_says(asked: tuple[RealNode, Version], case: Path) -> None:
    node, containerd = asked
    certs = node.dropins / "certs.d"
    shutil.rmtree(certs)
    shutil.copytree(case / "certs.d", certs)
    for entry in json.loads((case / "expected.json").read_text()):
        image = f"{entry['registry']}/k0sruntime/no-such-image:1"
        found = resolve_image(image, str(certs), files_here(), containerd)
        error, urls = pulled(node, image)
        if found.failures:
            assert re.search(r"unable to (read|load) CA cert", error)
            assert not urls
        else:
            assert urls == [url for url in found.asked if url], error


def written(certs: Path, files: dict[str, str], home: Path) -> None:
    shutil.rmtree(certs)
    made = certificates(home)
    contents = {"client": made.client_in_one.read_text(), "ca": made.ca.read_text()}
    certs.mkdir()
    for name, text in files.items():
        path = certs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents.get(text, text))


def same(node: RealNode, containerd: Version, image: str) -> None:
    found = resolve_image(image, str(node.dropins / "certs.d"), files_here(), containerd)
    error, urls = pulled(node, image)
    if found.hosts:
        assert urls == [url for url in found.asked if url], (error, found)
    else:
        assert not urls, found
    none_can = re.search(
        r"unable to|not a directory|no resolve hosts|no pull hosts|failed to load X509", error
    )
    assert bool(found.failures) == bool(none_can), (error, found)


@pytest.mark.parametrize("name", EXTRA)
def test_it_asks_what_the_resolver_says_where_no_corpus_tells(
    asked: tuple[RealNode, Version], name: str, tmp_path: Path
) -> None:
    node, containerd = asked
    written(node.dropins / "certs.d", EXTRA[name], tmp_path)
    same(node, containerd, "docker.io/k0sruntime/no-such-image:1")


@pytest.mark.parametrize("registry", REGISTRIES)
def test_it_looks_where_the_resolver_says(
    asked: tuple[RealNode, Version], registry: str, tmp_path: Path
) -> None:
    node, containerd = asked
    written(node.dropins / "certs.d", REGISTRIES[registry], tmp_path)
    same(node, containerd, f"{registry}/k0sruntime/no-such-image:1")
