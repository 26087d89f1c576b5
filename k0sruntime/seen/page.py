"""One self-contained page of a node or a fleet: no network, no framework, readable without scripts.

Everything that is shown came from elsewhere, so every value is escaped, and what a browser would
obey or could not show is spelled out. The page's own policy lets nothing run but its own script.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.layers import dotted
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.seen import document as doc
from k0sruntime.seen import fleet
from k0sruntime.seen.tree import text as value_text
from k0sruntime.seen.tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import jinja2

    from k0sruntime.seen.document import NodeReport

SHOWN = {
    "proved": ("ok", "✓", "Proved", "Every handler ran a real sandbox."),
    "not proved": ("warn", "?", "Not proved", "Nobody has proved it since it was started."),
    "failed": ("bad", "✕", "Proof failed", "Pods that need what failed do not start."),
    "held": ("warn", "!", "Held", "It runs on its last good configuration, not on its files."),
    "refused": ("bad", "✕", "Refused", "What runs keeps running; the next up changes nothing."),
    "empty": ("quiet", "·", "Empty", "Nothing of ours is on this node."),
}
"""Each state: its tone, a sign, a word, and what it means."""
VERDICTS = {
    "pass": ("ok", "✓"),
    "warn": ("warn", "!"),
    "unknown": ("quiet", "?"),
    "fail": ("bad", "✕"),
    "not run": ("quiet", "·"),
}
"""Each verdict: its tone, and a sign."""
WORST = ("pass", "warn", "unknown", "fail")


def html(nodes: Sequence[NodeReport], at: str) -> str:
    """Return the page of a node, or of a fleet where there are several.

    Args:
        nodes: their documents.
        at: when the page is made, in ISO 8601.

    Raises:
        RefusedError: Jinja, which makes it, is not installed.
    """
    style, script = _file("page.css"), _file("page.js")
    template = _environment().get_template("page.html.j2")
    return template.render(
        at=at,
        style=_raw(style),
        script=_raw(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        node=doc.plain(nodes[0]) if len(nodes) == 1 else None,
        fleet=fleet.compare(nodes) if len(nodes) > 1 else None,
    )


def _environment() -> jinja2.Environment:
    try:
        import jinja2
    except ImportError as exc:
        raise RefusedError(
            Problem(
                "the page is made by Jinja, which is not installed",
                remedy="Install it: pip install 'k0sruntime[report]'; or print --json here, and"
                " make the page of it on another machine.",
            )
        ) from exc
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("k0sruntime.seen"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(SHOWN=SHOWN, VERDICTS=VERDICTS, tree=tree)
    environment.filters.update(
        when=when,
        maker=maker,
        facts=facts,
        value=value_text,
        handlers=handlers,
        meaning=meaning,
        lines=diff_lines,
        dotted=lambda key: dotted(tuple(key)),
    )
    return environment


def visible(found: Any) -> Any:
    """Return text with all that is not to be seen spelled out, such as bidirectional overrides."""
    if found is None:
        return ""
    if not isinstance(found, str) or hasattr(found, "__html__"):
        return found
    if found.isprintable():
        return found
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in found)


def _raw(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own style and script


def _file(name: str) -> str:
    return (resources.files("k0sruntime.seen") / "templates" / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def when(at: str) -> str:
    """Return a time in ISO 8601 as a person reads it."""
    return at[:16].replace("T", " ") + (" UTC" if at.endswith("+00:00") else at[19:])


def maker(owner: str) -> tuple[str, str]:
    """Return who set a key in a word, and its tone."""
    if owner == "a foreign file":
        return "foreign", "warn"
    if owner.startswith("the default"):
        return "default", "quiet"
    return owner.partition(" ")[0], "info"


def facts(node: NodeReport) -> Iterator[tuple[str, str]]:
    """Yield what a node is, in the order in which somebody would ask."""
    machine, containerd = node.machine, node.containerd
    running = f"{containerd.version}, PID {containerd.pid}" if containerd else ""
    installed = f"{machine.containerd}, not running" if machine.containerd else "none"
    yield "containerd", running or installed
    if machine.k0s:
        newer = machine.k0s_installed not in ("", machine.k0s)
        yield "k0s", machine.k0s + (f" (next start: {machine.k0s_installed})" if newer else "")
    schema = f", schema {node.config_schema}, {node.scheme}" if node.config_schema else ""
    yield "mode", f"{node.mode or 'not known'}{schema}"
    generation = f"{node.generation}" if node.generation else "none"
    yield "generation", generation
    yield "configuration", node.digest[:12] or "not known"
    yield "supervisor", _supervisor(node)
    yield "system", " · ".join(filter(None, (machine.system, machine.kernel, machine.arch)))
    yield "k0sruntime", node.version or "not told"


def _supervisor(node: NodeReport) -> str:
    found = node.supervisor
    if found is None:
        return "none" if node.mode != "managed" else "none: k0s does it"
    if found.alive:
        return f"PID {found.pid}" + (f", {found.detail}" if found.detail else "")
    return f"gave up: {found.detail}" if found.detail else f"PID {found.pid} is gone"


def handlers(node: NodeReport) -> Iterator[Mapping[str, Any]]:
    """Yield every handler with its verdicts; the worst of them is the handler's."""
    for handler in node.handlers:
        proofs = [proof for proof in node.proofs if proof.handler == handler.name]
        worst = max((p.verdict for p in proofs), key=WORST.index, default="not run")
        yield {"handler": handler, "verdict": worst, "proofs": proofs}


def meaning(node: NodeReport) -> str:
    """Return what a node's state means, in a sentence."""
    if node.state != "proved":
        return SHOWN[node.state][3]
    left = [found["handler"].name for found in handlers(node) if found["verdict"] != "pass"]
    if left:
        return f"Nothing failed, and no sandbox ran under {', '.join(left)}."
    return SHOWN[node.state][3]


def diff_lines(diff: str) -> Iterator[tuple[str, str]]:
    """Yield every line of a unified difference with its tone."""
    for line in diff.splitlines():
        head = line[:3] in ("---", "+++") or line[:2] == "@@"
        yield ("quiet" if head else {"+": "plus", "-": "minus"}.get(line[:1], "")), line
