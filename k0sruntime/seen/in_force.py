"""What a node runs with now, which may be something else than what was composed for it.

And its digest: the same on two nodes that run with the same configuration, wherever their files
lie. Credentials are masked before it is taken, for a digest of a password can be guessed at; so two
nodes that differ in a password alone look alike.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import TYPE_CHECKING, Any

from k0sruntime import masking, on_disk, toml
from k0sruntime.compose.layers import leaves
from k0sruntime.errors import K0sRuntimeError
from k0sruntime.lines import line_of
from k0sruntime.seen.document import Key, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k0sruntime.node import Node
    from k0sruntime.plan import Ledger
    from k0sruntime.seen.look import Seen

UNTOLD = ("imports", "version")
"""Keys that tell how the files are laid out, and nothing of what they come to."""


def effective(seen: Seen) -> Mapping[str, Any] | None:
    """Return what containerd loads now; ``None`` where that is not known.

    That is what our containerd loaded when it was started, and else what the files in place come
    to: k0s starts its containerd whenever they change.
    """
    if seen.running is not None:
        return seen.running.effective
    try:
        return on_disk.composed(seen.node, seen.ledger).effective
    except K0sRuntimeError:
        return None


def hosts(node: Node[Any], ledger: Ledger) -> Iterator[Key]:
    """Return every key of the hosts files that lie on the node, below its registry's folder."""
    for folder in node.files.names(node.paths.certs):
        path = f"{node.paths.certs}/{folder}/hosts.toml"
        content = node.files.read(path)
        if content is None:
            continue
        owned = ledger.files.get(path)
        owner = owned.owner if owned else "a foreign file"
        try:
            document = toml.load(content, path)
        except toml.TOMLError as exc:
            reason = "containerd refuses it"
            yield _key((folder,), f"no TOML: {exc}", Setting(path=path, owner=owner, reason=reason))
            continue
        text = content.decode(errors="replace")
        for found, value in leaves(document):
            shown = masking.value(found, value)
            setting = Setting(value=shown, path=path, line=line_of(text, found), owner=owner)
            yield _key((folder, *map(masking.url, found)), shown, setting)


def _key(path: tuple[str, ...], value: Any, setting: Setting) -> Key:
    return Key(key=list(path), value=value, set_by=setting)


def digest(found: Mapping[str, Any], hosts: Iterable[Key], sandbox: str) -> str:
    """Return the digest of a configuration, in hex.

    Args:
        found: what containerd loads.
        hosts: the keys of the hosts files.
        sandbox: the folder that the node lives in, which is left out of its paths.
    """
    plain = {key: value for key, value in masking.table(found).items() if key not in UNTOLD}
    whole = {"containerd": plain, "hosts": [[key.key, key.value] for key in hosts]}
    text = json.dumps(whole, sort_keys=True, default=str, ensure_ascii=False)
    if sandbox:
        text = text.replace(f"{posixpath.normpath(sandbox)}/", "/")
    return hashlib.sha256(text.encode()).hexdigest()
