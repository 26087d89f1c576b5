"""Real registries on loopback: Debian's docker-registry, in every way in which one can answer."""

from __future__ import annotations

import contextlib
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.real.conftest import LAB

# bcrypt of "hunter2" for the user "bob", as `htpasswd -B` writes it
HTPASSWD = "bob:$2y$05$4jyOQxYcdQRKnGYUYVPyE.kFbBAtrnDvsnH.331AKShLwDzzEfq66\n"


@dataclass(frozen=True)
class Certificates:
    """A CA of its own and what it signed: 127.0.0.1's certificate, and one for clients."""

    home: Path

    @property
    def ca(self) -> Path:
        return self.home / "ca.crt"

    @property
    def server(self) -> tuple[Path, Path]:
        return self.home / "server.crt", self.home / "server.key"

    @property
    def client(self) -> tuple[Path, Path]:
        return self.home / "client.crt", self.home / "client.key"

    @property
    def client_in_one(self) -> Path:
        return self.home / "client.pem"


def certificates(home: Path, days: int = 90) -> Certificates:
    """Make them; the server's certificate is good for so many days."""
    home.mkdir(parents=True, exist_ok=True)
    made = Certificates(home)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the registries' own CA")])
    now = dt.datetime.now(dt.timezone.utc)

    def certify(name: str, public: Any, good: int, *, is_ca: bool = False) -> bytes:
        subject = ca_name if is_ca else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        addresses = [ipaddress.ip_address(a) for a in ("127.0.0.1", "::1")]
        names = x509.SubjectAlternativeName([x509.IPAddress(address) for address in addresses])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=100))
            .not_valid_after(now + dt.timedelta(days=good))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if not is_ca:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    made.ca.write_bytes(certify("", ca_key.public_key(), 90, is_ca=True))
    for (certificate, key_file), good in ((made.server, days), (made.client, 90)):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate.write_bytes(certify(certificate.stem, key.public_key(), good))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    certificate, key_file = made.client
    made.client_in_one.write_bytes(certificate.read_bytes() + key_file.read_bytes())
    return made


@dataclass
class Registry:
    """A registry on loopback, and its log."""

    port: int
    home: Path
    tls: Certificates | None = None
    mutual: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def ca(self) -> Path:
        assert self.tls
        return self.tls.ca

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def asked(self) -> list[str]:
        """Return the manifests that it was asked for, as its access log has them."""
        lines = (line.split('"')[1].split() for line in self.log().splitlines() if "HTTP/" in line)
        return [parts[1] for parts in lines if len(parts) > 1 and "/manifests/" in parts[1]]

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Ask it over HTTP, waiting until it listens."""
        for _ in range(200):
            connection = self._connection()
            try:
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
                answer.read()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                connection.close()
                return answer
        raise AssertionError(f"the registry does not listen: {self.log()}")

    def _connection(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port)
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        if self.mutual:
            context.load_cert_chain(*self.tls.client)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context)

    def push(self, repository: str = "library/probe", tag: str = "1") -> None:
        """Put the lab's probe image into it, over its API."""
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
            started = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
            where = started.getheader("Location").split(str(self.port), 1)[1]
            kind = {"Content-Type": "application/octet-stream"}
            assert self.ask("PUT", f"{where}&digest={digest}", content, kind).status == 201
        path = f"/v2/{repository}/manifests/{tag}"
        kind = {"Content-Type": manifest["mediaType"]}
        assert self.ask("PUT", path, blobs[manifest["digest"]], kind).status == 201


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Registries:
    """Starts registries, and stops those that it started."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._started: list[Registry] = []

    def start(
        self,
        name: str,
        *,
        tls: Certificates | None = None,
        mutual: bool = False,
        broken: bool = False,
        password: bool = False,
        images: tuple[str, ...] = ("library/probe",),
    ) -> Registry:
        """Start a registry and put the probe image into it.

        Args:
            name: of its folder.
            tls: its certificate, signed by a CA of its own; none: plain HTTP.
            mutual: it wants a certificate of the client.
            broken: its storage is no folder, so that it answers 500.
            password: it wants bob's password.
            images: the repositories that hold the probe image.
        """
        home = self._home / name
        home.mkdir(parents=True)
        data = home / "data"
        if broken:
            data.write_text("no folder")
        made = Registry(free_port(), home, tls, mutual)
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(data)}},
            "http": {"addr": made.host},
        }
        if tls:
            certificate, key = map(str, tls.server)
            config["http"]["tls"] = {"certificate": certificate, "key": key}
            if mutual:
                config["http"]["tls"]["clientcas"] = [str(tls.ca)]
        self._run(made, config)
        for image in () if broken else images:
            made.push(image)
        if password:
            self._stop(made)
            (home / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "lab", "path": str(home / "htpasswd")}}
            self._run(made, config)
        made.ask("GET", "/v2/")
        (home / "log").write_bytes(b"")
        return made

    def _run(self, registry: Registry, config: dict[str, Any]) -> None:
        file = registry.home / "config.yml"
        file.write_text(json.dumps(config))  # JSON is YAML
        with (registry.home / "log").open("ab") as log:
            registry.process = subprocess.Popen(
                [LAB / "bin/docker-registry", "serve", file], stdout=log, stderr=log
            )
        self._started.append(registry)

    @staticmethod
    def _stop(registry: Registry) -> None:
        if registry.process:
            registry.process.terminate()
            registry.process.wait(10)
            registry.process = None

    def stop(self) -> None:
        for registry in self._started:
            self._stop(registry)


@contextlib.contextmanager
def registries(home: Path) -> Iterator[Registries]:
    """Give a starter of registries; all are stopped at the end."""
    made = Registries(home)
    try:
        yield made
    finally:
        made.stop()
