"""The k0s that runs, out of what its own ``k0s status`` says.

Source of the document: k0s ``cmd/status`` and ``pkg/component/status`` (Go field names).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from k0sruntime.node import K0sService, Version
from k0sruntime.processes import read_pid_file, start_time

if TYPE_CHECKING:
    from k0sruntime.paths import Paths
    from k0sruntime.programs import Answer


def read(answer: Answer, installed: Version, paths: Paths) -> K0sService | None:
    """Return the k0s that runs; ``None`` where it says that it does not.

    One that gives no answer in time may wait for its kubelet. It runs all the same where its
    containerd does; then it counts as the version that is installed, with arguments unknown.
    """
    if answer.status == 0:
        return _service(answer.output, installed)
    if answer.status > 0:
        return None
    pid = read_pid_file(paths)
    return K0sService(installed, 0) if pid and start_time(pid) is not None else None


def _service(text: str, installed: Version) -> K0sService | None:
    try:
        document: dict[str, Any] = json.loads(text)
        version = Version.parse(str(document.get("Version", ""))) or installed
        arguments = tuple(str(word) for word in document.get("Args") or ())
        return K0sService(
            version, int(document.get("Pid") or 0), str(document.get("Role", "")), arguments
        )
    except (ValueError, TypeError, AttributeError):
        return None
