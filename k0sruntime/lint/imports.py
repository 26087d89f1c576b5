"""The main file: its imports and k0s's marker.

Sources: containerd 2.3 ``cmd/containerd/server/config/config.go`` (a glob may match nothing, a
plain path must be there; ``config dump`` does not mind, the daemon does); k0s 1.36
``pkg/component/worker/containerd/configurer.go`` (the marker counts on line 1 only).
"""

from __future__ import annotations

import fnmatch
import posixpath
from typing import TYPE_CHECKING

from k0sruntime.compose.main_file import MARKER, MERGED_CRI
from k0sruntime.lint.finding import Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.subject import File, Subject

K0S_FOLDER = "/etc/k0s/containerd.d"
K0S_MAIN = "containerd.toml"
OWN_FOLDER = "/etc/containerd/conf.d"
GLOB = "*?["


def imports_of(file: File) -> list[str]:
    """Return the imports that a file names, as they stand there."""
    imports = file.document.get("imports")
    return (
        [entry for entry in imports if isinstance(entry, str)] if isinstance(imports, list) else []
    )


def resolved(file: File, entry: str) -> str:
    """Return an import's path: a relative one is relative to the importing file."""
    return posixpath.normpath(posixpath.join(file.folder, entry))


def import_missing(case: Case) -> Iterator[Hit]:
    """Find plain imports that are not there."""
    known = _known_paths(case.subject)
    for file in case.files:
        for entry in imports_of(file):
            if any(sign in entry for sign in GLOB):
                continue
            path = resolved(file, entry)
            if path in known or case.machine_files.exists(path):
                continue
            if posixpath.basename(path) == MERGED_CRI:
                continue
            sure = case.target.machine is not None or _given(case, file, path)
            unsure = "" if sure else "; if the node lacks it as well, containerd does not start"
            yield Hit(
                file,
                f"the import {entry} is not there{unsure}",
                "Put the file there, or take the import out; a glob may match nothing.",
                ("imports",),
                consequence=None if sure else "untidy",
            )


def _known_paths(subject: Subject) -> set[str]:
    """Return the paths of the files that were given, as themselves and as the node knows them."""
    paths = {file.path for file in subject.files}
    if K0S_FOLDER in subject.folders:
        paths |= {f"{K0S_FOLDER}/{file.name}" for file in subject.files if file.role == "drop-in"}
    return paths


def _given(case: Case, file: File, path: str) -> bool:
    """Tell whether a path lies in what was given, so that its absence says something."""
    folder = posixpath.dirname(path)
    return folder in (file.folder, *case.subject.folders)


def import_of_conf_d(case: Case) -> Iterator[Hit]:
    """Find an import of containerd's own folder, which other programs write to."""
    for file in case.files:
        if file.role == "main" and _is_rewritten(case, file):
            continue
        for entry in imports_of(file):
            if posixpath.dirname(resolved(file, entry)) == OWN_FOLDER:
                yield Hit(
                    file,
                    f"{entry} is the folder of the distribution's containerd, not of k0s's",
                    f"Import {K0S_FOLDER}/*.toml instead.",
                    ("imports",),
                )


def _judged(case: Case, main: File) -> bool:
    """Tell whether the marker is missed: a containerd without k0s knows none."""
    is_k0s = case.target.k0s is not None or main.name == K0S_MAIN
    return is_k0s and main.fault is None and not main.managed


def _imports_folder(main: File, folders: tuple[str, ...]) -> bool:
    wanted = (K0S_FOLDER, *folders)
    patterns = [resolved(main, entry) for entry in imports_of(main)]
    probes = [f"{folder}/probe.toml" for folder in wanted]
    if any(fnmatch.fnmatchcase(probe, pattern) for probe in probes for pattern in patterns):
        return True
    # k0s up to 1.35 names every drop-in, and its merged CRI file.
    return any(posixpath.dirname(pattern) in wanted for pattern in patterns)


def dropins_not_imported(case: Case) -> Iterator[Hit]:
    """Find a main file of the operator's own that leaves the drop-in folder out."""
    main = case.subject.main
    if main is None or not _judged(case, main) or _marked(main) or _is_rewritten(case, main):
        return
    if not _imports_folder(main, case.subject.folders):
        yield Hit(
            main,
            f"the file has no line {MARKER!r} and does not import {K0S_FOLDER}: no drop-in counts",
            f'Add "{K0S_FOLDER}/*.toml" to its imports, or remove the file, so that k0s writes it.',
            ("imports",) if "imports" in main.document else (),
            line=0 if "imports" in main.document else 1,
        )


def marker_lost(case: Case) -> Iterator[Hit]:
    """Find a main file that k0s takes for the operator's, since the marker is not on line 1."""
    main = case.subject.main
    if main is None or not _judged(case, main):
        return
    line = _marked(main)
    if line:
        yield Hit(
            main,
            f"the marker stands on line {line}; k0s takes it on line 1 only, exactly {MARKER!r}",
            "Move it to the first line, or remove the file, so that k0s writes it.",
            line=line,
        )
    elif _imports_folder(main, case.subject.folders) and not _is_rewritten(case, main):
        yield Hit(
            main,
            f"line 1 is not {MARKER!r}: k0s takes the file for the operator's and never writes it",
            "If another program took the line away, remove the file, so that k0s writes it again.",
            line=1,
            consequence="untidy",
        )


def rewritten(case: Case) -> Iterator[Hit]:
    """Find k0s's main file without its marker: another program has rewritten it.

    NVIDIA's toolkit does where its RUNTIME_CONFIG names k0s's file. Up to 1.35 k0s then makes no
    merged CRI file any more, and the one that is imported is gone at the machine's next start.
    """
    main = case.subject.main
    if main is None or not _is_rewritten(case, main):
        return
    merged = any(posixpath.basename(entry) == MERGED_CRI for entry in imports_of(main))
    what = f"and {MERGED_CRI}, which is imported, is not made any more" if merged else ""
    yield Hit(
        main,
        "another program has rewritten k0s's main file, and its marker is lost: k0s never writes"
        f" the file again {what}".rstrip(),
        f"Put the marker back: k0sruntime quarantine --repair {main.path}",
        line=1,
        consequence="stops the node" if merged else None,
    )


def _is_rewritten(case: Case, main: File) -> bool:
    """Tell whether a main file without the marker has what k0s, and then another hand, wrote."""
    if not _judged(case, main) or _marked(main):
        return False
    names = [resolved(main, entry) for entry in imports_of(main)]
    if any(posixpath.basename(name) == MERGED_CRI for name in names):
        return True
    added = any(posixpath.dirname(name) == OWN_FOLDER for name in names)
    return added and _imports_folder(main, case.subject.folders)


def _marked(main: File) -> int:
    """Return the line on which the marker stands in some spelling; 0 where there is none."""
    for number, line in enumerate(main.text.split("\n"), 1):
        plain = line.replace(" ", "").lower().strip()
        if plain == MARKER.replace(" ", ""):
            return number
    return 0


RULES = (
    Rule(
        "K0R501",
        "import-missing",
        "a plain import that is not there",
        "stops the node",
        import_missing,
    ),
    Rule(
        "K0R502",
        "import-of-conf-d",
        "an import of the folder of the distribution's containerd",
        "untidy",
        import_of_conf_d,
    ),
    Rule(
        "K0R503",
        "dropins-not-imported",
        "a main file that leaves the drop-in folder out",
        "silently ignored",
        dropins_not_imported,
    ),
    Rule(
        "K0R504",
        "marker-lost",
        "k0s's marker is not on the first line",
        "silently ignored",
        marker_lost,
    ),
    Rule(
        "K0R505",
        "main-file-rewritten",
        "k0s's main file, rewritten by another program",
        "silently ignored",
        rewritten,
    ),
)
"""K0R5xx: the main file."""
