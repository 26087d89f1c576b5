"""A mirror proved for real: a TLS registry on loopback, asked by containerd for docker.io."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import ipaddress
import json
import socket
import ssl
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.real.conftest import LAB, SETTINGS, RealNode

pytestmark = pytest.mark.real


@dataclass
class Registry:
    """A registry with TLS on loopback, and its log."""

    port: int
    ca: Path
    log: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture
def registry(folder: Path) -> Iterator[Registry]:
    """Debian's docker-registry with a certificate of a CA of its own, holding library/probe:1."""
    home = folder / "run" / "registry"
    home.mkdir(parents=True)
    ca, certificate, key = certificates(home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(home / "data")}},
        "http": {
            "addr": f"127.0.0.1:{port}",
            "tls": {"certificate": str(certificate), "key": str(key)},
        },
    }
    (home / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    log = home / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [LAB / "bin/docker-registry", "serve", home / "config.yml"], stdout=out, stderr=out
        )
    made = Registry(port, ca, log)
    try:
        push(made)
        yield made
    finally:
        process.terminate()
        process.wait(10)


def certificates(home: Path) -> tuple[Path, Path, Path]:
    """Make a CA and a certificate for 127.0.0.1; return the paths of CA, certificate and key."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the mirror's own CA")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.timezone.utc)

    def certify(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, is_ca: bool) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if not is_ca:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        signed = builder.sign(ca_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    (home / "ca.crt").write_bytes(certify(ca_name, ca_key.public_key(), is_ca=True))
    (home / "tls.crt").write_bytes(certify(name, key.public_key(), is_ca=False))
    (home / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return home / "ca.crt", home / "tls.crt", home / "tls.key"


def push(registry: Registry) -> None:
    """Put the lab's probe image into the registry as library/probe:1, over its API."""
    with tarfile.open(LAB / "images/probe.tar") as archive:
        blobs = {
            f"sha256:{hashlib.sha256(content).hexdigest()}": content
            for member in archive
            if member.name.startswith("blobs/sha256/")
            for content in [archive.extractfile(member).read()]
        }
        index = json.load(archive.extractfile("index.json"))
    (manifest,) = index["manifests"]
    for digest, content in blobs.items():
        if digest == manifest["digest"]:
            continue
        started = ask(registry, "POST", "/v2/library/probe/blobs/uploads/")
        where = started.getheader("Location")
        target = where.split(str(registry.port), 1)[1] + f"&digest={digest}"
        done = ask(registry, "PUT", target, content, {"Content-Type": "application/octet-stream"})
        assert done.status == 201
    kind = {"Content-Type": manifest["mediaType"]}
    put = ask(registry, "PUT", "/v2/library/probe/manifests/1", blobs[manifest["digest"]], kind)
    assert put.status == 201


def ask(
    registry: Registry, method: str, path: str, body: bytes = b"", headers: dict | None = None
) -> http.client.HTTPResponse:
    """Ask the registry, waiting for it to listen."""
    context = ssl.create_default_context(cafile=str(registry.ca))
    for _ in range(100):
        connection = http.client.HTTPSConnection("127.0.0.1", registry.port, context=context)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            answer.read()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            connection.close()
            return answer
    raise AssertionError(f"the registry does not listen: {registry.log.read_text()}")


def pull(node: RealNode, image: str) -> str:
    from k0sruntime.cri import CRI

    with CRI(str(node.socket)) as cri:
        return cri.pull(image)


def test_an_image_of_docker_io_comes_from_the_mirror(node: RealNode, registry: Registry) -> None:
    node.without = ("gvisor", "nvidia", "dockerd")
    node.write_settings(
        SETTINGS
        + f'\n[mirrors."docker.io"]\nendpoints = ["{registry.url}"]\nca = "{registry.ca}"\n'
    )
    document = node.ok("up")
    assert "mirrors of docker.io" in {proof["name"] for proof in document["proofs"]}
    assert pull(node, "docker.io/library/probe:1")
    log = registry.log.read_text()
    assert "/v2/library/probe/manifests/1?ns=docker.io" in log
    copied = node.dropins / "certs.d/docker.io/ca.crt"
    assert copied.read_bytes() == registry.ca.read_bytes()


def test_a_change_of_mirrors_bounces_nothing_and_counts_at_the_next_pull(
    node_2: RealNode, registry: Registry
) -> None:
    node_2.without = ("gvisor", "nvidia", "dockerd")
    table = '\n[mirrors."docker.io"]\nendpoints = ["{url}"]\nca = "{ca}"\nmirror_only = true\n'
    node_2.write_settings(SETTINGS + table.format(url="https://127.0.0.1:9", ca=registry.ca))
    first = node_2.ok("up")
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
        pull(node_2, "docker.io/library/probe:1")
    node_2.write_settings(SETTINGS + table.format(url=registry.url, ca=registry.ca))
    second = node_2.ok("up")
    assert second["applied"]
    assert second["running"]["pid"] == first["running"]["pid"]
    assert pull(node_2, "docker.io/library/probe:1")


def test_skip_verify_reaches_a_mirror_whose_ca_nobody_knows(
    node_2: RealNode, registry: Registry
) -> None:
    node_2.without = ("gvisor", "nvidia", "dockerd")
    node_2.write_settings(
        SETTINGS + f'\n[mirrors."docker.io"]\nendpoints = ["{registry.url}"]\nskip_verify = true\n'
    )
    node_2.ok("up")
    assert pull(node_2, "docker.io/library/probe:1")
