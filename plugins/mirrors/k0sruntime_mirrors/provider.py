"""The provider: settings to hosts files, and the folder that containerd reads them from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import DropIn, Host, HostsFile, Inactive, Problem, Provider, Refused
from k0sruntime_mirrors import credentials
from k0sruntime_mirrors.hosts import Composer
from k0sruntime_mirrors.settings import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from k0sruntime import Check, Node, RunningCRI

Registries = dict[str, Registry]

PROBE_REGISTRY = "k0sruntime.invalid"
"""A registry that is none (RFC 2606): only the proof asks for it."""
PROBE_HOST = "http://127.0.0.1:0/k0sruntime-reads-certs.d"
"""Where its hosts file points: port 0 refuses at once, and containerd names the URL."""


class Mirrors(Provider[Registries]):
    """Registry mirrors for containerd."""

    contract = (1, 0)
    settings = Registries
    summary = "registry mirrors: certs.d/<registry>/hosts.toml"

    def contribute_dropin(self, node: Node[Registries]) -> Iterator[DropIn]:
        """Point containerd at the folder of hosts files; exactly one folder.

        With two, containerd 2.1 to 2.3 takes the whole text for one name and ignores all mirrors.
        """
        _active(node)
        yield DropIn(
            images={"registry": {"config_path": node.paths.certs}},
            reason="containerd looks for mirrors in this folder",
        )
        if configs := credentials.configs(node.settings, node.paths.settings):
            yield DropIn(
                images={"registry": {"configs": configs}},
                reason="credentials of registries and mirrors have no place in a hosts file",
            )

    def contribute_hosts(self, node: Node[Registries]) -> Iterable[HostsFile]:
        """Contribute one hosts file a registry, and the one that the proof asks for."""
        _active(node)
        files = hosts_files(node)
        probe = Host(url=PROBE_HOST, override_path=True)
        return [*files, HostsFile(registry=PROBE_REGISTRY, server=probe)] if files else []

    def post_start_check(self, node: Node[Registries], cri: RunningCRI) -> Iterator[Check]:
        """See that the files are in place, that containerd reads them, and how endpoints answer."""
        from k0sruntime_mirrors import checks

        files = hosts_files(node)
        yield from checks.in_place(node, files)
        yield from checks.without_effect(node)
        if files:
            yield checks.folder_is_read(node, cri)
        yield from checks.endpoints(node, files)


def hosts_files(node: Node[Registries]) -> list[HostsFile]:
    """Return the hosts files of all registries that have mirrors or a server.

    A registry with credentials alone gets none: its folder would hide ``_default``.

    Raises:
        Refused: everything that is wrong with any of them.
    """
    files: list[HostsFile] = []
    problems: list[Problem] = []
    for name, registry in sorted(node.settings.items()):
        if not registry.endpoints and not registry.server:
            continue
        composer = Composer(name, registry, node)
        file = composer.compose()
        problems += composer.problems
        if file and (file.hosts or file.server):
            files.append(file)
    if problems:
        raise Refused(*problems)
    return files


def _active(node: Node[Registries]) -> None:
    if not node.settings:
        raise Inactive('no registry is set: add a table such as [mirrors."docker.io"]')


provider = Mirrors()
