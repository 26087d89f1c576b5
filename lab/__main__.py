"""``python3 -m lab [PART …]``: bring the parts into ``.lab``; all of them with ``all``.

What is there already is left alone; a part that cannot be had is an error, never skipped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from lab.debian import LabError
from lab.folder import Lab
from lab.parts import FIRST_NODE, PARTS, Got


def main(arguments: list[str]) -> int:
    """Get the parts named and return the exit code."""
    lab = Lab(Path(os.environ.get("K0SRUNTIME_LAB", ".lab")).absolute())
    names = list(PARTS) if "all" in arguments else arguments or list(FIRST_NODE)
    if unknown := [name for name in names if name not in PARTS]:
        print(f"no such part: {unknown[0]}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    known = _manifest(lab)
    for name in names:
        if _there(known.get(name), name):
            continue
        started = time.monotonic()
        print(f"lab: getting {name} …", file=sys.stderr, flush=True)
        try:
            known[name] = PARTS[name](lab)
        except LabError as exc:
            print(f"lab: {name}: {exc}", file=sys.stderr)
            print("lab: see CONTRIBUTING.md for what each part is and needs", file=sys.stderr)
            return 1
        _save(lab, known)
        got, seconds = known[name], time.monotonic() - started
        print(f"lab: {name} {got.version} from {got.source} ({seconds:.1f} s)", file=sys.stderr)
    return 0


def _there(got: Got | None, name: str) -> bool:
    named = os.environ.get("K0SRUNTIME_CONTAINERD", "")
    if name == "containerd" and named and (got is None or got.path != named):
        return False
    return got is not None and Path(got.path).exists()


def _manifest(lab: Lab) -> dict[str, Got]:
    try:
        document = json.loads((lab.folder / "manifest.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: Got(**part) for name, part in document["parts"].items()}


def _save(lab: Lab, parts: dict[str, Got]) -> None:
    document = {"schema": 1, "parts": {name: asdict(got) for name, got in parts.items()}}
    path = lab.folder / "manifest.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document, indent=1, sort_keys=True))
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
