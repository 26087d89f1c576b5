"""What other hands have laid into the folder, as a fingerprint: what a supervisor reacts to.

Our own files are no part of it as long as they are what the ledger says. So nothing that a command
of ours writes or puts back makes the supervisor act, and what was refused once is not tried again
until somebody changes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.compose.main_file import is_managed
from k0sruntime.errors import K0sRuntimeError
from k0sruntime.observe import existing, owned
from k0sruntime.plan import digest
from k0sruntime.real_files import file_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Existing
    from k0sruntime.paths import Paths

Fingerprint = dict[str, str]
"""Path to digest; a file that cannot be read, to the reason."""


def of(found: Existing, paths: Paths) -> Fingerprint:
    """Return the fingerprint of what a composition was made from."""
    files: dict[str, bytes] = {f"{paths.dropins}/{n}": text for n, text in found.dropins.items()}
    files.update(found.imports)
    if found.main is not None and not is_managed(found.main):
        files[paths.main_file] = found.main
    return {path: digest(content) for path, content in files.items()}


def now(paths: Paths) -> Mapping[str, str]:
    """Return the fingerprint of what lies there, edits of our own files included."""
    try:
        ledger = owned(paths)
        print_ = of(existing(paths, ledger), paths)
        for path, known in ledger.files.items():
            if not path.startswith(f"{paths.etc}/") or path.startswith(f"{paths.certs}/"):
                continue
            found = file_state(paths.on_disk(path))
            if found is None or found.digest != known.digest:
                print_[path] = found.digest if found else "gone"
    except K0sRuntimeError as exc:
        return {problem.place: problem.message for problem in exc.problems}
    return print_
