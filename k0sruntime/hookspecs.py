"""The five hooks. Their docstrings are the contract between the host and its providers.

A provider is an instance of a class derived from ``Provider``, named by an entry point::

    [project.entry-points.k0sruntime]
    acme = "k0sruntime_acme:provider"

A module with functions of the same names works too. The host asks one provider at a time, in the
order of their names, and stamps what it gets with provider, distribution and version. Hooks may
be generators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from k0sruntime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k0sruntime.binaries import Binary
    from k0sruntime.contributions import (
        Check,
        ConfigFile,
        CRISocket,
        DropIn,
        HandlerExtension,
        HostsFile,
        KubeletProfile,
        RuntimeHandler,
    )
    from k0sruntime.json_keys import JSONKeys
    from k0sruntime.node import Node

S = TypeVar("S")


class RunningCRI(Protocol):
    """The running CRI as a provider's check sees it. All calls are bounded in time."""

    def handlers(self) -> Sequence[str]:
        """Return the names of the configured runtime handlers."""

    def config(self) -> dict[str, Any]:
        """Return containerd's CRI configuration as its verbose ``Status`` tells it, or ``{}``."""

    def runtime(self) -> tuple[str, str]:
        """Return the runtime's name and version, such as ``("containerd", "v2.1.9")``."""

    def has_image(self, image: str) -> bool:
        """Tell whether an image is at hand, without pulling it."""

    def image_folders(self) -> Sequence[str]:
        """Return the folders that hold the unpacked images, the default snapshotter's first.

        A snapshotter of its own tells its folder as ``exports.root`` of its ``proxy_plugins``.
        """

    def pull(self, image: str) -> str:
        """Pull an image and return its reference.

        Raises:
            k0sruntime.CRIError: with containerd's own reason.
        """

    def run_in_sandbox(self, handler: str, image: str, command: Sequence[str]) -> str:
        """Run one command in a container under ``handler`` and return what it printed.

        The command takes the place of the image's own. Sandbox (host network) and container are
        removed again, whatever happens.

        Raises:
            k0sruntime.CRIError: with containerd's own reason.
        """


class Provider(Generic[S]):
    """Base of all providers: derive, override the hooks you need, export an instance.

    Attributes:
        settings: class of the provider's own table in ``/etc/k0sruntime/config.toml``, a
            ``k0sruntime.Settings``; ``Node.settings`` is an instance of it.
        summary: one line for ``k0sruntime providers``.
        contract: the contract that it is written for, ``(major, minor)``; ``None``: it does not
            say. A host with another major, or with an older minor, refuses it with a sentence
            that tells what to install.
        optional_hooks: hooks of a newer contract that it implements and can do without; a host
            that does not know them leaves them alone instead of refusing the provider.
    """

    settings: ClassVar[Any] = Settings
    summary: ClassVar[str] = ""
    contract: ClassVar[tuple[int, int] | None] = None
    optional_hooks: ClassVar[tuple[str, ...]] = ()

    def contribute_dropin(
        self,
        node: Node[S],  # noqa: ARG002 - the contract names it
    ) -> Iterable[
        RuntimeHandler | HandlerExtension | DropIn | Binary | ConfigFile | JSONKeys | Check
    ]:
        """Contribute to containerd's configuration.

        Purity: a function of ``node`` alone. No clock, no network, no writes, no processes; it is
        called for nodes that are elsewhere.
        Result: handlers, keys of the CRI runtime and images tables or of other tables, and the
        binaries and configuration files that they need. The host writes them to files named after
        the provider, in the node's schema. ``JSONKeys`` go into a file of another program, with all
        else in it kept: Docker's, or one that the operator lets (``node.json_files``).
        A ``Check`` tells the operator, before anything is written, what the node can have and will
        not be happy with; ``plan`` and ``up`` show it.
        Conflicts: two handlers of one name, or two values for one key, are refused with both
        providers named. The same value twice is none. Arrays replace, they never append. The
        operator may settle whose handler counts: ``[node] prefer``; what names the other one, and
        what only that one names, goes with it. Keys of another provider's handler, such as its
        snapshotter, are a ``HandlerExtension``.
        Nothing to do: raise ``Inactive("reason")``. What the settings ask for and this node cannot
        do: raise ``Refused(Problem("…", remedy="…"))``, before anything is written.

        Example::

            class Crun(Provider[CrunSettings]):
                settings = CrunSettings

                def contribute_dropin(self, node):
                    crun = node.which("crun")
                    if crun is None:
                        raise Inactive("no crun on the node's PATH")
                    yield RuntimeHandler(name="crun", options={"BinaryName": crun})
        """
        return ()

    def contribute_hosts(
        self,
        node: Node[S],  # noqa: ARG002
    ) -> Iterable[HostsFile]:
        """Contribute what containerd does for a registry: ``certs.d/<registry>/hosts.toml``.

        Purity: as for ``contribute_dropin``.
        Result: one ``HostsFile`` a registry. containerd reads these files at every pull, so a
        change of them never bounces containerd. ``registry.config_path`` must point at
        ``node.paths.certs``: contribute that key with ``contribute_dropin`` as well.
        Conflicts: two hosts files of one registry are refused with both providers named.

        Example::

            def contribute_hosts(self, node):
                mirror = Host(url="https://mirror.example:5000")
                yield HostsFile(registry="docker.io", hosts=[mirror])
        """
        return ()

    def cri_socket(
        self,
        node: Node[S],  # noqa: ARG002
    ) -> Iterable[CRISocket]:
        """Contribute the CRI socket of another runtime: the node then runs in ``remote`` mode.

        Purity: as for ``contribute_dropin``.
        Result: at most one socket. No containerd is started, drop-ins have no effect, and the
        host prints the k0s command line that points the kubelet there. A socket that the node is
        on already (``node.other_cri``) may be away for a moment: go on contributing it until the
        operator says otherwise, or the next ``up`` takes the node off that runtime.
        Conflicts: a node has one CRI; two sockets are refused with both providers named, unless
        they are the same.

        Example::

            def cri_socket(self, node):
                path = "/run/cri-dockerd.sock"
                on = node.other_cri is not None and node.other_cri.path == path
                if on or node.files.is_socket(path):
                    yield CRISocket(url=f"unix://{path}")
        """
        return ()

    def kubelet_profile(
        self,
        node: Node[S],  # noqa: ARG002
    ) -> Iterable[KubeletProfile]:
        """Contribute an entry of k0s's ``spec.workerProfiles`` that this node's kubelet needs.

        Purity: as for ``contribute_dropin``.
        Result: at most one profile; the host prints it as a fragment of ``k0s.yaml`` and adds
        ``--profile`` to k0s's command line. The profile is cluster-wide, so nothing is applied.
        Conflicts: a worker has one profile. Profiles of one name are merged where they do not
        disagree on a key; two names are refused with both providers named.

        Example::

            def kubelet_profile(self, node):
                yield KubeletProfile(name="systemd", values={"cgroupDriver": "systemd"})
        """
        return ()

    def post_start_check(
        self,
        node: Node[S],  # noqa: ARG002
        cri: RunningCRI,  # noqa: ARG002
    ) -> Iterable[Check]:
        """Prove on the running node that what was contributed does what it is for.

        Purity: may look at the node and talk to the CRI; changes nothing, and is bounded in time
        (the host gives up on it and says ``unknown``).
        Result: verdicts. A ``fail`` after a change takes the whole change back.
        Conflicts: none; checks are told apart by provider. One about a handler or a registry that
        the operator leaves to another provider does not count: say what it is about with
        ``Check(handler=…)`` or ``Check(registry=…)``.

        Example::

            def post_start_check(self, node, cri):
                kernel = cri.run_in_sandbox("runsc", PROBE, ["uname", "-r"])
                verdict = "pass" if "gvisor" in kernel else "fail"
                yield Check(name="kernel is gVisor's", verdict=verdict, detail=kernel)
        """
        return ()


HOOKS = (
    "contribute_dropin",
    "contribute_hosts",
    "cri_socket",
    "kubelet_profile",
    "post_start_check",
)
"""The hooks' names, in the order in which the host asks for them."""
