"""The folders of registries: names that are never looked up, and folders that hide others.

containerd looks up ``host_port_``, ``host:port`` and ``_default``; the first folder that exists
wins, even an empty one, and nothing is merged. Source: containerd 2.3 ``core/remotes/docker/config/
config_unix.go`` and ``hosts.go``; certificates: ``loadTLSConfig`` fails every pull.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.hosts import entries, urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File, HostsFolder

HALF_PORT = re.compile(r"(?P<host>.+)_(?P<port>\d{2,5})")
HUB_NAMES = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com")
CERTIFICATES = (".crt", ".cert", ".key", ".pem")
PEM = b"-----BEGIN "


def hidden_default(case: Case) -> Iterator[Hit]:
    """Find registries' folders that say nothing, and yet keep ``_default`` from being used."""
    defaults = {folder.root for folder in case.subject.hosts if folder.name == "_default"}
    for folder in case.subject.hosts:
        if folder.root in defaults and folder.name != "_default" and _says_nothing(folder):
            yield Hit(
                folder.file or folder.path,
                f"the folder {folder.name!r} names no host, and hides _default all the same",
                "Remove the folder, or write the hosts that it shall use.",
                line=1 if folder.file else 0,
            )


def _says_nothing(folder: HostsFolder) -> bool:
    if folder.file is None:
        return not any(name.endswith(CERTIFICATES) for name in folder.names)
    return folder.file.fault is None and not folder.file.document


def port_folder(case: Case) -> Iterator[Hit]:
    """Find names for a registry with a port that are not looked up, or not any more."""
    names = {(folder.root, folder.name) for folder in case.subject.hosts}
    for folder in case.subject.hosts:
        if half := HALF_PORT.fullmatch(folder.name):
            right = f"{half['host']}_{half['port']}_"
            yield Hit(
                folder.path,
                f"no registry is looked up under {folder.name!r}",
                f"For the registry {half['host']}:{half['port']}, call the folder {right}",
            )
        host, colon, port = folder.name.rpartition(":")
        if colon and port.isdigit() and (folder.root, f"{host}_{port}_") in names:
            yield Hit(
                folder.path,
                f"the folder {host}_{port}_ is looked up first, so that this one is never read",
                "Keep one of the two.",
            )


def hub_folder(case: Case) -> Iterator[Hit]:
    """Find other names of Docker Hub: its images are looked up under ``docker.io``."""
    for folder in case.subject.hosts:
        if folder.name in HUB_NAMES:
            yield Hit(
                folder.path,
                f"images of Docker Hub are not looked up under {folder.name!r}",
                "Call the folder docker.io",
            )


def hub_server(case: Case) -> Iterator[Hit]:
    """Find ``docker.io`` as a host: it is used literally, and is not the registry."""
    for file in case.hosts():
        for key, url in urls(file):
            if re.fullmatch(r"(https?://)?(index\.)?docker\.io(/v2)?/?", url):
                yield Hit(
                    file,
                    f"{url!r} is used literally, and Docker Hub's registry is not there",
                    "Write https://registry-1.docker.io",
                    key,
                )


def tls_over_http(case: Case) -> Iterator[Hit]:
    """Find http hosts with a key of TLS: they are tried with HTTPS first."""
    for file in case.hosts():
        for path, table in entries(file):
            url = path[1] if path else table.get("server")
            if not isinstance(url, str) or not url.startswith("http://") or _port(url) == "80":
                continue
            for name in ("skip_verify", "ca", "client"):
                # Even `skip_verify = false` and `ca = []` are keys of TLS to containerd.
                if name in table and (name != "client" or table[name]):
                    yield Hit(
                        file,
                        f"{name} makes containerd try HTTPS first at {url}",
                        f"Take {name} out, or write https.",
                        (*path, name),
                    )


def _port(url: str) -> str:
    match = re.match(r"http://[^/]*?:(\d+)(/|$)", url)
    return match[1] if match else ""


def _certificates(file: File) -> Iterator[tuple[Path, str]]:
    """Yield (key, path) of the certificate files that a hosts file names."""
    for path, table in entries(file):
        for name in ("ca", "client"):
            for value in _flat(table.get(name)):
                yield (*path, name), posixpath.join(file.folder, value)


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item)


def certificate_missing(case: Case) -> Iterator[Hit]:
    """Find certificates that cannot be read: every pull of the registry fails."""
    for file in case.hosts():
        for key, path in _certificates(file):
            if case.machine_files.read(path) is None:
                yield Hit(
                    file,
                    f"{path} cannot be read",
                    "Put the certificate there, or correct the path.",
                    key,
                )


def certificate_not_pem(case: Case) -> Iterator[Hit]:
    """Find certificates that are no PEM: every pull of the registry fails."""
    for file in case.hosts():
        for key, path in _certificates(file):
            data = case.machine_files.read(path)
            if data is not None and PEM not in data:
                yield Hit(file, f"{path} holds no PEM block", "Convert it to PEM.", key)


RULES = (
    Rule(
        "K0R711",
        "hidden-default",
        "an empty folder of a registry that hides _default",
        "silently ignored",
        hidden_default,
    ),
    Rule(
        "K0R712",
        "port-folder-name",
        "a folder's name for a port that is not looked up",
        "silently ignored",
        port_folder,
    ),
    Rule(
        "K0R713",
        "hub-folder-name",
        "a folder under another name of Docker Hub",
        "silently ignored",
        hub_folder,
    ),
    Rule("K0R714", "hub-server", "docker.io as a host", "breaks pods", hub_server),
    Rule("K0R715", "tls-over-http", "a key of TLS for an http host", "untidy", tls_over_http),
    Rule(
        "K0R716",
        "certificate-missing",
        "a certificate that cannot be read",
        "breaks pods",
        certificate_missing,
        machine=True,
    ),
    Rule(
        "K0R717",
        "certificate-not-pem",
        "a certificate that is not PEM",
        "breaks pods",
        certificate_not_pem,
        machine=True,
    ),
)
"""K0R71x: the folders of registries."""
