"""Whoever says --offline, on the command line or in the settings, is believed by all checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from k0sruntime import pipeline
from k0sruntime.cli.story import Silent
from k0sruntime.paths import Paths
from k0sruntime.stages import Request

SETTINGS = '[node]\nmode = "managed"\nk0s = "1.36"\n'


@pytest.mark.parametrize(
    ("asked", "settings", "offline"),
    [
        (False, "", False),
        (True, "", True),
        (False, "[node.downloads]\noffline = true\n", True),
        (True, '[node.downloads]\nca = "/ca.pem"\n', True),
    ],
)
def test_the_node_that_providers_are_given_knows_it(
    tmp_path: Path, asked: bool, settings: str, offline: bool
) -> None:
    file = tmp_path / "etc/k0sruntime/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(SETTINGS + settings)
    without = frozenset({"gvisor", "nvidia", "dockerd", "mirrors"})
    request = Request(Paths.in_sandbox(str(tmp_path)), without=without, offline=asked)
    prepared = pipeline.prepare(request, Silent())
    assert prepared.node.offline is offline
    assert prepared.node_settings.downloads.offline is offline
    assert prepared.node_settings.downloads.ca == ("/ca.pem" if "ca" in settings else "")
