"""k3s's ``registries.yaml`` to settings.

Sources: k3s ``pkg/agent/containerd/config.go`` (how endpoints become hosts), its templates, and
its docs, ``installation/private-registry.md``; rancher/wharfie ``pkg/registries`` (the file).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from k0sruntime import Problem, Refused, masked_url
from k0sruntime_mirrors.imported import Imported, short
from k0sruntime_mirrors.urls import HUB, host_of, is_tls

EVERYTHING = re.compile(r"\^?\(\.[*+]\)\$?")
"""A pattern that matches any name as a whole."""
PREFIX = re.compile(r"(?P<prefix>[^$]+)/\$(?:1|\{1\})")
SAME = ("$1", "${1}")
HUB_HOST = host_of(HUB)
LOCAL = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:(?P<port>[0-9]+))?(/.*)?")
ROOTS = ("", "/", "/v2")
AUTH = {
    "username": "username",
    "password": "password",
    "auth": "auth",
    "identity_token": "identity_token",
    "token": "identity_token",
}


def read(text: str, source: str, *, mirror_only: bool = False) -> Imported:
    """Return the settings that a ``registries.yaml`` comes to.

    Args:
        text: the file's content.
        source: its name, for errors.
        mirror_only: k3s runs with ``--disable-default-registry-endpoint``.

    Raises:
        Refused: no YAML, or not the shape of such a file.
    """
    document = _load(text, source)
    found = Imported(source)
    for key in sorted(set(document) - {"mirrors", "configs"}):
        found.notes.append(f"{key} is no key of registries.yaml, and is left out")
    reader = _Reader(found, _tables(document, "configs", source), mirror_only)
    mirrors = _tables(document, "mirrors", source)
    for name, table in mirrors.items():
        reader.mirror(name, table)
    for name, table in reader.configs.items():
        known = {name, _other_name(name)}
        # A mirror is a registry as well; its credentials are known by its host already.
        if not known & set(mirrors) and (table.get("tls") or not known & reader.used):
            reader.config(name)
    return found


def _load(text: str, source: str) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        where = getattr(exc, "problem_mark", None)
        place = f"{source}:{where.line + 1}:{where.column + 1}" if where else source
        problem = getattr(exc, "problem", "") or "it cannot be read"
        raise Refused(Problem(f"not YAML: {problem}", place=place, remedy="Correct it.")) from exc
    if document is None:
        return {}
    if not isinstance(document, dict) or not {"mirrors", "configs"} & set(document):
        message = "neither mirrors nor configs stands in it"
        remedy = "Name a registries.yaml of k3s, or a folder of hosts files."
        raise Refused(Problem(message, place=source, remedy=remedy))
    return document


def _tables(document: dict[str, Any], key: str, source: str) -> dict[str, dict[str, Any]]:
    found = document.get(key) or {}
    if not isinstance(found, dict) or not all(
        isinstance(value or {}, dict) for value in found.values()
    ):
        remedy = "Write a table for each registry."
        raise Refused(
            Problem(f"{key} is no table of tables", place=f"{source}: {key}", remedy=remedy)
        )
    return {str(name): value or {} for name, value in found.items()}


def _other_name(host: str) -> str:
    """Return Docker Hub's other name: its configuration may stand under either."""
    return {"docker.io": HUB_HOST, HUB_HOST: "docker.io"}.get(host, host)


@dataclass
class _Reader:
    found: Imported
    configs: dict[str, dict[str, Any]]
    mirror_only: bool

    def __post_init__(self) -> None:
        self.used: set[str] = set()

    def mirror(self, name: str, table: dict[str, Any]) -> None:
        """Take one registry of ``mirrors`` over."""
        place = f'mirrors."{masked_url(name)}"'
        registry = "_default" if name == "*" else name
        urls = table.get("endpoint") or []
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            self.found.refuse("endpoint is no list of URLs", place, "Write a list.")
            return
        endpoints: list[dict[str, Any]] = []
        for url in urls:
            endpoint = self._endpoint(url, place)
            if endpoint and endpoint["url"] not in [known["url"] for known in endpoints]:
                endpoints.append(endpoint)
        prefix = self._prefix(table.get("rewrite") or {}, place) if endpoints else ""
        if prefix is None:
            return
        default = self._default(registry)
        if endpoints and endpoints[-1]["url"] == default.get("url"):
            endpoints.pop()  # the registry itself; a rewrite does not count there
        if prefix:
            endpoints = [_below(endpoint, prefix) for endpoint in endpoints]
        self._add(registry, endpoints, default, place)

    def config(self, name: str) -> None:
        """Take a registry over that only stands in ``configs``: its own TLS and credentials."""
        if name == "*":
            self.found.refuse(
                "configs of '*' hold for no host in particular",
                'configs."*"',
                "Write them for each host.",
            )
            return
        registry = "docker.io" if name == HUB_HOST else name
        self._add(registry, [], self._default(registry), f'configs."{masked_url(name)}"')

    def _add(
        self, registry: str, endpoints: list[dict[str, Any]], default: dict[str, Any], place: str
    ) -> None:
        table: dict[str, Any] = {}
        if endpoints:
            table["endpoints"] = [short(endpoint) for endpoint in endpoints]
        if self.mirror_only and endpoints:
            table["mirror_only"] = True
        elif set(default) - {"url", "auth"} or LOCAL.fullmatch(registry):
            table["server"] = short(default)
        elif "auth" in default:
            table["auth"] = default["auth"]
        if not table:
            self.found.notes.append(f"{place} names no endpoint, and is left out")
        self.found.add(registry, table, place)

    def _default(self, registry: str) -> dict[str, Any]:
        """Return the registry's own endpoint, with what ``configs`` has for it."""
        if registry == "_default":
            return {}
        host = HUB_HOST if registry == "docker.io" else registry
        return self._endpoint(host, f'configs."{masked_url(registry)}"') or {}

    def _endpoint(self, written: str, place: str) -> dict[str, Any] | None:
        """Return an endpoint as k3s reads it, with the TLS and the credentials of its host."""
        url = written if "://" in written else f"{_scheme(written)}://{written}"
        parts = _split(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
            fault = f"{masked_url(written)!r} is no URL of a registry"
            self.found.refuse(fault, place, "Correct it.")
            return None
        host = HUB_HOST if parts.netloc == "docker.io" else parts.netloc
        path = parts.path.rstrip("/")
        found: dict[str, Any] = {"url": f"{parts.scheme}://{host}"}
        if path not in ROOTS:
            found |= {"url": f"{found['url']}{path}", "override_path": True}
        for name in (host, _other_name(host)):
            if name in self.configs:
                self.used.add(name)
                return found | self._config(name, found["url"])
        return found

    def _config(self, host: str, url: str) -> dict[str, Any]:
        table, place = self.configs[host], f'configs."{masked_url(host)}"'
        for key in sorted(set(table) - {"auth", "tls"}):
            self.found.notes.append(f"{place}.{key} is no key of registries.yaml, and is left out")
        tls = table.get("tls") or {}
        found: dict[str, Any] = {}
        if ca := tls.get("ca_file"):
            found["ca"] = str(ca)
        if certificate := tls.get("cert_file"):
            found["client"] = [[str(certificate), str(tls.get("key_file") or "")]]
        if tls.get("insecure_skip_verify"):
            found["skip_verify"] = True
        if found and not is_tls(url):
            self.found.notes.append(
                f"{place}.tls is left out for {masked_url(url)}: containerd would try HTTPS first"
            )
            found = {}
        given = table.get("auth") or {}
        auth = {AUTH[key]: str(value) for key, value in given.items() if key in AUTH and value}
        return found | ({"auth": auth} if auth else {})

    def _prefix(self, rewrites: dict[str, Any], place: str) -> str | None:
        """Return the prefix that rewrites come to; ``None`` where they come to something else."""
        changing = {k: str(v) for k, v in rewrites.items() if str(v) not in SAME}
        if not changing:
            return ""
        if len(changing) == 1:
            ((pattern, replacement),) = changing.items()
            found = PREFIX.fullmatch(replacement)
            if EVERYTHING.fullmatch(str(pattern)) and found:
                return found["prefix"].strip("/")
        for pattern, replacement in changing.items():
            self.found.refuse(
                f"the rewrite {pattern!r} → {replacement!r} is k3s's own: containerd asks a mirror"
                " for images by the name that they have, at most below a prefix for all of them",
                f"{place}.rewrite",
                "Have the mirror serve the names as they are, or rewrite ^(.*)$ to prefix/$1.",
            )
        return None


def _split(url: str) -> SplitResult | None:
    """Return an URL's parts; ``None`` where its host or port is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _scheme(written: str) -> str:
    local = LOCAL.fullmatch(written)
    return "http" if local and local["port"] not in (None, "443") else "https"


def _below(endpoint: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return an endpoint below a prefix."""
    if endpoint.get("override_path"):
        return endpoint | {"url": f"{endpoint['url']}/{prefix}"}
    url = {"url": endpoint["url"], "prefix": prefix}
    return url | {key: value for key, value in endpoint.items() if key != "url"}
