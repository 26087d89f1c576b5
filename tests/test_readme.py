"""What the README says is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from k0sruntime import settings, toml
from k0sruntime.cli.main import COMMANDS
from k0sruntime.discovery import Record
from k0sruntime.errors import ExitCode
from k0sruntime.hooks import Hooks, implemented
from k0sruntime.node_provider import NodeSettings
from k0sruntime.testing import MadeUpFiles, make_node

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(language: str, holding: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (text,) = [text for text in found if holding in text]
    return text


def test_its_provider_works_as_it_stands() -> None:
    module = ModuleType("readme_provider")
    sys.modules[module.__name__] = module  # msgspec looks up annotations there
    namespace: dict[str, Any] = module.__dict__
    exec(block("python", "class Youki"), namespace)
    plugin, kind = namespace["provider"], namespace["YoukiSettings"]
    hooks = Hooks()
    hooks.register(
        Record("youki", "k0sruntime-youki", "1", "active", hooks=implemented(plugin)), plugin
    )
    files = MadeUpFiles(executables=["/usr/bin/youki"])
    (part,) = hooks.contribute_dropin("youki", make_node("youki", kind(), files=files))
    assert part.value.options == {"BinaryName": "/usr/bin/youki"}


def test_its_settings_are_valid() -> None:
    file = settings.SettingsFile("README.md", toml.load(block("toml", "[node]").encode(), "README"))
    node = settings.convert(file, "node", NodeSettings)
    assert node.handlers["crun"].runtime_class == "crun"
    from k0sruntime_mirrors import provider

    assert "docker.io" in settings.convert(file, "mirrors", provider.settings)


def test_it_names_every_command_and_every_exit_code() -> None:
    section = README.partition("## Commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z-]+)`", section)) >= set(COMMANDS)
    assert {int(code) for code in re.findall(r"(?:^|·\s|:\s)(\d+) [a-z]", section)} == set(ExitCode)


def test_every_file_that_it_links_to_is_there() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_dependency_has_its_line_in_the_docs() -> None:
    project = toml.load((ROOT / "pyproject.toml").read_bytes(), "pyproject.toml")["project"]
    documented = (ROOT / "docs/dependencies.md").read_text()
    for line in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", line)[0]
        assert re.search(rf"^\| .*{name}", documented, re.MULTILINE), name


def test_one_version_serves_all_distributions() -> None:
    for path in (ROOT / "plugins").glob("*/pyproject.toml"):
        document = toml.load(path.read_bytes(), str(path))
        assert document["project"]["dynamic"] == ["version"]
        assert document["tool"]["hatch"]["version"]["path"] == "../../k0sruntime/__about__.py"
