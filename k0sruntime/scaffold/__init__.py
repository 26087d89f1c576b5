"""A new provider: a complete distribution, written out of the templates beside this file.

What is made needs nothing but the host: ``pip install -e . && pytest`` is green at once, the
conformance kit included. A template is a file with names in at signs.
"""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from importlib import resources

from k0sruntime.__about__ import CONTRACT, CONTRACT_SINCE
from k0sruntime.contributions import DNS_LABEL
from k0sruntime.errors import Problem, UsageError

NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
"""A new provider's name: part of the names of a distribution, a module and a class."""
TAKEN = ("gvisor", "nvidia", "dockerd", "mirrors")
"""Names of the providers that share our version; two of one name shut each other out."""
OF_CONTAINERD = "runc"
"""containerd's own handler, which it has without anybody's word."""
RUNTIME_TYPE = re.compile(r"[a-z0-9.-]+\.[a-z0-9-]+\.[a-z0-9-]+")
SHIM = re.compile(r"containerd-shim-(?P<name>[a-z0-9]+(-[a-z0-9]+)*)-(?P<version>v[0-9]+)")
PREFIX = "k0sruntime-"


@dataclass(frozen=True)
class Scaffold:
    """What a new provider is to be.

    Attributes:
        name: the provider's, such as ``acme``.
        handler: the runtime handler's; a RuntimeClass of the same name is offered.
        runtime_type: of a shim of its own; empty: a low-level runtime under runc's shim.
        program: what is looked for on the node: the shim, or the low-level runtime.
    """

    name: str
    handler: str
    runtime_type: str
    program: str

    @property
    def distribution(self) -> str:
        """What pip calls it, and its folder."""
        return f"{PREFIX}{self.name}"

    @property
    def module(self) -> str:
        """What Python calls it."""
        return self.distribution.replace("-", "_")

    def class_name(self, taken: frozenset[str]) -> str:
        """Return what its class is called: no word of Python's, and none that is ``taken``."""
        name = "".join(part.capitalize() for part in self.name.split("-"))
        if name in taken or keyword.iskeyword(name) or hasattr(builtins, name):
            return f"{name}Runtime"
        return name


def scaffold(name: str, handler: str = "", shim: str = "", program: str = "") -> Scaffold:
    """Return what is to be made, checked.

    Args:
        name: the provider's name; ``k0sruntime-acme`` is ``acme``.
        handler: the handler's name; empty: the provider's.
        shim: the shim's runtime type or file name (``io.containerd.acme.v1``,
            ``containerd-shim-acme-v1``); empty: the runtime is called by runc's shim.
        program: file name of the low-level runtime, or of the shim; empty: follows from the rest.

    Raises:
        UsageError: a name that cannot be one, all of them at once.
    """
    name = name.removeprefix(PREFIX)
    handler = handler or name
    problems = []
    if remedy := _name_remedy(name):
        problems.append(_no_name("provider", name, remedy))
    if not DNS_LABEL.fullmatch(handler):
        remedy = (
            "Kubernetes takes lower-case letters, digits and dashes, 63 at most, and neither the"
            " first nor the last is a dash."
        )
        problems.append(_no_name("handler", handler, remedy))
    elif handler == OF_CONTAINERD:
        remedy = "That handler is containerd's own; name another with --handler."
        problems.append(_no_name("handler", handler, remedy))
    runtime_type = _runtime_type(shim)
    if shim and not runtime_type:
        remedy = "Write io.containerd.acme.v1, or containerd-shim-acme-v1."
        problems.append(_no_name("shim", shim, remedy))
    if program and not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9._+]*", program):
        problems.append(_no_name("program", program, "Write the bare name of a file."))
    if problems:
        raise UsageError(*problems)
    usual = f"containerd-shim-{'-'.join(runtime_type.split('.')[-2:])}" if runtime_type else name
    return Scaffold(name, handler, runtime_type, program or usual)


def _name_remedy(name: str) -> str:
    """Return what to do about a provider's name that cannot be one; nothing where it can."""
    if name == "node":
        return "That name is the host's own; take another."
    if name in TAKEN:
        return f"{PREFIX}{name} has it already, and two of one name shut each other out."
    if not NAME.fullmatch(name):
        return (
            "Begin with a lower-case letter; then lower-case letters, digits and dashes, 40 in all,"
            " and the last is no dash."
        )
    return ""


def _no_name(kind: str, name: str, remedy: str) -> Problem:
    return Problem(f"{name!r} cannot be the name of a {kind}", remedy=remedy)


def _runtime_type(shim: str) -> str:
    if found := SHIM.fullmatch(shim):
        return f"io.containerd.{found['name']}.{found['version']}"
    return shim if RUNTIME_TYPE.fullmatch(shim) else ""


def files(made: Scaffold) -> dict[str, str]:
    """Return the new distribution: path below its folder to text."""
    package, tests = made.module, "tests"
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "node.toml": "node.toml",
        "gitignore": ".gitignore",
        "ci.yml": ".github/workflows/ci.yml",
        "init.py": f"{package}/__init__.py",
        "provider.py": f"{package}/provider.py",
        "py.typed": f"{package}/py.typed",
        "test_provider.py": f"{tests}/test_{made.name.replace('-', '_')}_provider.py",
    }
    templates = resources.files(__name__) / "template"
    texts = {path: (templates / f"{name}.in").read_text("utf-8") for name, path in places.items()}
    python = "".join(text for path, text in texts.items() if path.endswith(".py"))
    words = _words(made, frozenset(re.findall(r"\b[A-Z]\w+", python)))
    return {path: _filled(text, words) for path, text in texts.items()}


def _words(made: Scaffold, taken: frozenset[str]) -> dict[str, str]:
    if made.runtime_type:
        runs = f'            runtime_type="{made.runtime_type}",\n            runtime_path=program,'
        kind = "shim"
    else:
        runs = '            options={"BinaryName": program},'
        kind = "low-level runtime"
    return {
        "NAME": made.name,
        "DISTRIBUTION": made.distribution,
        "MODULE": made.module,
        "CLASS": made.class_name(taken),
        "HANDLER": made.handler,
        "PROGRAM": made.program,
        "KIND": kind,
        "RUNS": runs,
        "EXPECTED": (
            f'handler.runtime_type == "{made.runtime_type}"'
            if made.runtime_type
            else 'handler.options == {"BinaryName": f"/usr/bin/{PROGRAM}"}'
        ),
        "CONTRACT": f"({CONTRACT[0]}, {CONTRACT[1]})",
        "HOST": f"k0sruntime>={CONTRACT_SINCE}",
        "HOST_TESTING": f"k0sruntime[testing]>={CONTRACT_SINCE}",
    }


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda found: words[found[1]], text)
