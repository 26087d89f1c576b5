"""``install.sh``: a Python environment out of the wheels alone, on a node that has Python and sh.

It needs neither pip nor ensurepip on the node: pip is run out of its own wheel.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = "/opt/k0sruntime"
"""Where the environment goes when nobody says otherwise."""


def text(pythons: Sequence[str], arch: str, requirements: Sequence[str]) -> str:
    """Return the script.

    Args:
        pythons: the Pythons that the wheels are whole for, such as ``3.11``.
        arch: the machine that they are for.
        requirements: what is installed.
    """
    return (
        _SCRIPT.replace("@PYTHONS@", " ".join(pythons))
        .replace("@ARCH@", arch)
        .replace("@FOLDER@", FOLDER)
        .replace("@REQUIREMENTS@", " ".join(map(shlex.quote, requirements)))
    )


_SCRIPT = r"""#!/bin/sh
# Makes a Python environment with k0sruntime out of the wheels beside this file, and of nothing
# else: no network, no index, no pip and no compiler of the machine.
#
#   sh install.sh [DIR]          DIR is @FOLDER@ by default
#   PYTHON=/usr/bin/python3.12 sh install.sh
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=${1:-@FOLDER@}
pythons='@PYTHONS@'
arch='@ARCH@'

refuse() {
    printf 'error: %s\n  do:    %s\n' "$1" "$2" >&2
    exit 3
}

version_of() {
    "$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

[ "$(uname -m)" = "$arch" ] || refuse "this bundle was packed for $arch, and this is $(uname -m)" \
    "Pack another: k0sruntime bundle --arch $(uname -m)."
candidates=python3
for version in $pythons; do
    candidates="$candidates python$version"
done
python='' seen=''
for name in ${PYTHON:-$candidates}; do
    version=$(version_of "$name") || continue
    seen="$seen $version"
    case " $pythons " in
    *" $version "*) python=$name && break ;;
    esac
done
[ -n "$python" ] || refuse "the wheels are for Python $pythons, and here is${seen:- none}" \
    "Install one of these, name it in PYTHON, or pack another with --python-version."

"$python" -I - "$here" <<'CHECK' || refuse "the folder is not as packed; nothing was written" \
    "Unpack the archive anew into an empty folder."
import hashlib, json, os, sys
here = sys.argv[1]
with open(here + "/manifest.json", encoding="utf-8") as file:
    entries = {e["path"]: e["sha256"] for e in json.load(file)["entries"]}
wheels = {path: digest for path, digest in entries.items() if path.startswith("wheels/")}
there = {"wheels/" + name for name in os.listdir(here + "/wheels")}
wrong = ["%s is missing" % path for path in sorted(set(wheels) - there)]
wrong += ["%s was not packed" % path for path in sorted(there - set(wheels))]
for path in sorted(there & set(wheels)):
    found = hashlib.sha256()
    with open(here + "/" + path, "rb") as file:
        for data in iter(lambda: file.read(1 << 20), b""):
            found.update(data)
    if found.hexdigest() != wheels[path]:
        wrong.append("%s is damaged" % path)
sys.exit("\n".join(wrong) or None)
CHECK

made=''
if [ -e "$target" ] && [ ! -e "$target/pyvenv.cfg" ] && [ -n "$(ls -A "$target")" ]; then
    refuse "$target holds something else than a Python environment" "Name another folder."
elif [ -e "$target/pyvenv.cfg" ]; then
    version=$(version_of "$target/bin/python") || version=none
    [ "$version" = "$(version_of "$python")" ] || refuse \
        "the environment in $target is of Python $version" "Remove it, or name another folder."
else
    made=$target
fi
trap '[ -z "$made" ] || rm -rf "$made"' EXIT
[ -z "$made" ] || "$python" -I -m venv --without-pip "$target"
# Neither settings of pip nor variables of the machine count.
for pip in "$here"/wheels/pip-*.whl; do :; done
env -u PYTHONPATH PIP_CONFIG_FILE=/dev/null "$target/bin/python" "$pip/pip" \
    --isolated --disable-pip-version-check --quiet \
    install --no-index --no-cache-dir --find-links="$here/wheels" --upgrade @REQUIREMENTS@
made=''
printf 'installed %s\nnext: %s\n' "$("$target/bin/k0sruntime" --version)" \
    "$target/bin/k0sruntime up --bundle FILE --offline"
"""
