"""From an image to the hosts that containerd asks for it, in order.

Sources: containerd 2.3 ``core/remotes/docker/config/hosts.go`` (``ConfigureHosts``,
``loadHostDir``, ``loadCertFiles``), ``config_unix.go`` (``hostPaths``) and
``core/remotes/docker/resolver.go`` (``filterHosts``, ``isProxy``); the corpus of 2.3.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.lint.subject import parse
from k0sruntime.pulls import go_url, image, pem, warnings
from k0sruntime.pulls.hosts_file import ALL, Entry, UndecodableError, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.node import Files, Version

HUB_HOST = "registry-1.docker.io"


@dataclass(frozen=True)
class ResolvedHost:
    """One host that containerd asks.

    Attributes:
        scheme: the one that is tried first.
        host: with its port.
        path: of the registry's API.
        capabilities: sorted; a tag is asked of hosts with ``pull`` and ``resolve`` alone.
        header: names and values, which may be secrets.
        skip_verify: its certificate is not verified.
        ca: CA certificates besides the system's.
        client: pairs of certificate and key; an empty key means the same file.
        http_fallback: where TLS fails, it is asked over plain HTTP.
        dial_timeout: a Go duration; empty for containerd's own.
    """

    scheme: str
    host: str
    path: str
    capabilities: tuple[str, ...]
    header: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skip_verify: bool = False
    ca: tuple[str, ...] = ()
    client: tuple[tuple[str, str], ...] = ()
    http_fallback: bool = False
    dial_timeout: str = ""

    def may(self, *needs: str) -> bool:
        """Tell whether it is asked to ``pull``, or to ``pull`` and ``resolve``, and can be.

        A tag is resolved by those alone that may be pulled from as well (``filterHosts``).
        """
        return set(needs) <= set(self.capabilities) and self.scheme in ("http", "https")

    def url(self, registry: str, path: str) -> str:
        """Return the URL that is asked; a mirror is told whose image it is (``?ns=``)."""
        own = (registry, HUB_HOST if registry == image.HUB else registry)
        whole = go_url.escaped(go_url.clean(f"/{self.path}/{path}"), go_url.IN_PATH)
        asked = f"{self.scheme}://{self.host}{whole}"
        return asked if self.host in own else f"{asked}?ns={go_url.escaped(registry)}"

    def document(self) -> dict[str, Any]:
        """Return it as plain data, secrets masked.

        With a fallback to plain HTTP no certificate stands for anything, so none is told.
        """
        bare = self.http_fallback
        return {
            "scheme": self.scheme,
            "host": self.host,
            "path": masking.url(self.path),
            "capabilities": list(self.capabilities),
            "header": {
                name: [masking.header(name, value) for value in values]
                for name, values in self.header.items()
            },
            "skip_verify": self.skip_verify and not bare,
            "extra_ca": bool(self.ca) and not bare,
            "client_certificates": 0 if bare else len(self.client),
        }


@dataclass(frozen=True)
class Resolution:
    """What containerd does for an image.

    Attributes:
        registry: the name under which a folder is looked up.
        folder: the folder that is read; empty where there is none.
        hosts: in the order in which they are asked; empty where nothing is asked.
        failures: why every pull fails; empty where one can succeed.
        warnings: where containerd does something else than the files seem to say.
        name: the image's full name; empty where only a registry was asked for.
        asked: one URL a host, the first that it is asked for; empty where it is passed over.
        undecodable: why containerd refuses the hosts file as a whole; empty where it does not.
    """

    registry: str
    folder: str
    hosts: tuple[ResolvedHost, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
    name: str = ""
    asked: tuple[str, ...] = ()
    undecodable: str = ""


def resolve_image(name: str, certs: str, files: Files, containerd: Version) -> Resolution:
    """Return what containerd does for an image.

    Args:
        name: the image, as it stands in a pod: ``nginx``, ``r.local:5000/app:1``.
        certs: the folder of hosts files (``registry.config_path``); empty: it looks nowhere.
        files: what it is read from.
        containerd: whose behaviour is meant.

    Raises:
        RefusedError: ``name`` is no name of an image.
    """
    try:
        wanted = image.parse(name)
    except ValueError as exc:
        remedy = "Write it as it stands in a pod, such as docker.io/library/nginx:1.27."
        raise RefusedError(Problem(str(exc), place=name, remedy=remedy)) from exc
    found = resolve_registry(wanted.registry, certs, files, containerd)
    needs = ("pull",) if wanted.by_digest else ("pull", "resolve")
    path = f"{wanted.repository}/manifests/{wanted.reference}"
    asked = tuple(
        host.url(wanted.registry, path) if host.may(*needs) else "" for host in found.hosts
    )
    told = found.warnings
    if "/" not in name and image.looks_like_a_registry(name):
        message = f"{name} is an image of Docker Hub: a registry needs an image's name behind it"
        told += (Problem(message, place=name, remedy=f"Write {name}/NAME for one of its images."),)
    failures = found.failures
    if not failures and not any(asked):
        failures = (f"no host of it may be asked to {' and to '.join(needs)}",)
    return replace(found, name=str(wanted), asked=asked, failures=failures, warnings=told)


def resolve_registry(registry: str, certs: str, files: Files, containerd: Version) -> Resolution:
    """Return what containerd does for a registry, by the name that its images have."""
    folder = folder_of(registry, certs, files)
    told = warnings.of_folders(registry, certs, folder, files, containerd)
    if not folder:
        told += tuple(warnings.of_entries(registry, (Entry(),), certs))
        return Resolution(registry, "", _hosts(registry, (Entry(),)), warnings=told)
    path = f"{folder}/hosts.toml"
    data = files.read(path)
    if files.read(folder) is not None:
        return Resolution(registry, folder, failures=(f"{folder} is no folder",), warnings=told)
    if data is None and files.exists(path):
        return Resolution(registry, folder, failures=(f"{path} cannot be read",), warnings=told)
    entries: tuple[Entry, ...] = ()
    undecodable = ""
    try:
        if data:
            entries = decode(parse(path, data, "hosts"), containerd)
            told += tuple(warnings.of_entries(registry, entries, path))
    except UndecodableError as exc:
        undecodable = str(exc)
        told += (warnings.of_refused(path, exc),)
    if not entries:
        entries = (_docker(folder, files),)
        told += tuple(warnings.of_docker(entries[0], folder))
        told += tuple(warnings.of_entries(registry, entries, folder))
    hosts = _hosts(registry, entries)
    failures = tuple(_broken(hosts, files))
    hosts = () if failures else hosts
    return Resolution(registry, folder, hosts, failures, told, undecodable=undecodable)


def looked_up(registry: str) -> tuple[str, ...]:
    """Return the names of folders that containerd looks for, in its order; the first wins."""
    name, colon, port = registry.rpartition(":")
    first = (f"{name}_{port}_",) if name and colon else ()
    return (*first, registry, "_default")


def folder_of(registry: str, certs: str, files: Files) -> str:
    """Return the folder that containerd reads for a registry, or nothing where there is none."""
    if not certs:
        return ""
    paths = (f"{certs}/{name}" for name in looked_up(registry))
    return next((path for path in paths if files.exists(path)), "")


def _docker(folder: str, files: Files) -> Entry:
    """Return the upstream with the certificates that lie in a folder, in Docker's layout."""
    names = files.names(folder)
    ca = tuple(f"{folder}/{name}" for name in names if name.endswith(".crt"))
    pairs = []
    for name in names:
        if name.endswith(".cert"):
            key = name.removesuffix(".cert") + ".key"
            pairs.append((f"{folder}/{name}", f"{folder}/{key}" if key in names else ""))
    return Entry(ca=ca or None, client=tuple(pairs))


def _hosts(registry: str, entries: tuple[Entry, ...]) -> tuple[ResolvedHost, ...]:
    *mirrors, last = entries
    found = [_host(entry, entry.url, entry.path) for entry in mirrors]
    if last.url is not None and last.url.host:
        return (*found, _host(last, last.url, last.path))
    return (*found, _upstream(registry, last))


def _upstream(registry: str, root: Entry) -> ResolvedHost:
    """Return the registry itself, which containerd adds where no ``server`` says otherwise."""
    scheme, host = "https", HUB_HOST if registry == image.HUB else registry
    if go_url.is_loopback(registry):
        _, port = go_url.split_port(registry)
        scheme = "https" if port in ("", "443") else "http"
        if port != "80":
            root = replace(root, skip_verify=True)
    url = go_url.GoURL(scheme, host, "/v2")
    return _host(replace(root, capabilities=ALL), url, "/v2")


def _host(entry: Entry, url: go_url.GoURL | None, path: str) -> ResolvedHost:
    url = url or go_url.GoURL("", "", "")
    fallback = (
        url.scheme == "http" and entry.explicit_tls and go_url.split_port(url.host)[1] != "80"
    )
    return ResolvedHost(
        "https" if fallback else url.scheme,
        url.host,
        path,
        entry.capabilities,
        entry.header,
        bool(entry.skip_verify),
        entry.ca or (),
        entry.client,
        fallback,
        entry.dial_timeout,
    )


def _broken(hosts: tuple[ResolvedHost, ...], files: Files) -> Iterator[str]:
    """Tell which certificates make every pull of the registry fail."""
    for host in hosts:
        for path in host.ca:
            data = files.read(path)
            if data is None:
                yield f"the CA certificate {path} of {host.host} cannot be read"
            elif not pem.count_certificates(data):
                yield f"{path}, the CA certificate of {host.host}, holds no certificate"
        for certificate, key in host.client:
            data, secret = files.read(certificate), files.read(key or certificate)
            if data is None:
                yield f"the client certificate {certificate} of {host.host} cannot be read"
            elif secret is None:
                yield f"the key {key} of {host.host}'s client certificate cannot be read"
            elif not pem.count_certificates(data) or not pem.has_private_key(secret):
                yield f"{certificate} of {host.host} is no client certificate with its key"
