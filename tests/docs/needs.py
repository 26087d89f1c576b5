"""What a block may ask for with ``<!-- with: NAME -->``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tests.docs.blocks import ROOT
from tests.real.conftest import LAB
from tests.real.releases import shim_script

PROGRAM = """cat > {path} <<'PROGRAM'
{text}
PROGRAM
chmod 755 {path}
"""


def _program(path: str, text: str) -> str:
    return PROGRAM.format(path=path, text=text.strip("\n"))


def _file(name: str, text: str) -> str:
    """Return a drop-in of another hand; k0s has seen it, and has bounced, when the page goes on."""
    path = f"/etc/k0s/containerd.d/{name}"
    return (
        f"mkdir -p /etc/k0s/containerd.d\ncat > {path} <<'DROPIN'\n{text.lstrip()}DROPIN\nsleep 1\n"
    )


def _k0s(version: str, containerd: str) -> str:
    """Return k0s's stand-in as a program: like k0s it brings its containerd with it."""
    return f"""#!/bin/sh
if [ "$1" = worker ]; then
  mkdir -p /var/lib/k0s/bin
  ln -sf {containerd}/containerd {containerd}/containerd-shim-runc-v2 {containerd}/ctr \
    {LAB}/bin/runc /var/lib/k0s/bin/
  set -- "$@" --stand-in-node=/ --stand-in-containerd=/var/lib/k0s/bin/containerd
fi
K0S_STAND_IN_HURRY=10 K0S_VERSION={version} PYTHONPATH={ROOT} exec {sys.executable} -m tests.real.k0s_stand_in "$@"
"""


SYSTEMCTL = r"""#!/bin/sh
# The two words of systemctl that the docs use, for the one service that there is.
case "$1 $2" in
  "start k0sworker")
    setsid k0s worker --token-file=/etc/k0s/token >/run/k0sworker.out 2>&1 &
    echo $! >/run/k0sworker.pid
    for _ in $(seq 100); do
      sleep 0.1
      ctr -a /run/k0s/containerd.sock -n k8s.io images ls 2>/dev/null | grep -q busybox && exit 0
      kill -0 "$(cat /run/k0sworker.pid)" 2>/dev/null || exit 1
    done
    exit 1 ;;
  "stop k0sworker")
    kill "$(cat /run/k0sworker.pid)"
    while kill -0 "$(cat /run/k0sworker.pid)" 2>/dev/null; do sleep 0.05; done ;;
  *) exit 1 ;;
esac
"""

DUMP = """rm -rf /etc/k0s/quarantine
mkdir -p /etc/k0s/containerd.d
containerd config dump | sed '1s/version = .*/version = 4/' > /etc/k0s/containerd.d/nvidia.toml
"""
BOTH = """mkdir -p /etc/k0s/containerd.d
cat > /etc/k0s/containerd.d/nvidia.toml <<'DROPIN'
version = 2

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
runtime_type = "io.containerd.runc.v2"
DROPIN
cat > nvidia.toml <<'DROPIN'
version = 3

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.nvidia]
runtime_type = "io.containerd.runc.v2"
DROPIN
"""
RELEASE = f"""cd {ROOT} && {sys.executable} - <<'PROGRAM'
from pathlib import Path
from tests.real.releases import SHIM, lay, programs

files = programs()
for arch in ("x86_64", "aarch64"):
    lay(Path("/srv/gvisor"), "20260720.0", {{"runsc": files["runsc"], SHIM: files[SHIM]}}, arch)
PROGRAM
cd ~
cat > node.toml <<'SETTINGS'
[gvisor]
network = "none"

[gvisor.release]
date = "20260720.0"
source = "/srv/gvisor"
SETTINGS
"""
CACHE = """mkdir -p /etc/k0sruntime && cp ~/node.toml /etc/k0sruntime/config.toml
k0sruntime fetch --cache /media/stick/cache
"""

K0SCTL = """mkdir -p hosts/etc/k0sruntime
cat > hosts/etc/k0sruntime/config.toml <<'SETTINGS'
[node.handlers.crun]
SETTINGS
cat > k0sctl.yaml <<'CLUSTER'
apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
spec:
  hosts:
    - role: worker
      ssh:
        address: 10.0.0.2
  k0s:
    version: 1.36.1+k0s.0
CLUSTER
"""

FOLDERS = """
mkdir -p /etc/bash_completion.d /usr/local/share/zsh/site-functions /etc/fish/completions
"""
ACME = f"""ln -s {LAB}/bin/crun /usr/local/bin/acme
mkdir -p /tmp/node/var/lib/k0s/images && cp /var/lib/k0s/images/* /tmp/node/var/lib/k0s/images/
"""

TWO = f"""mkdir -p /var/lib/containerd-1.7/bin /var/lib/k0s/bin
ln -s {LAB}/containerd-1.7/bin/* /var/lib/containerd-1.7/bin/
ln -sf {LAB}/bin/containerd {LAB}/bin/containerd-shim-runc-v2 {LAB}/bin/runc /var/lib/k0s/bin/
"""

GVISOR = _program("/usr/local/bin/containerd-shim-runsc-v1", shim_script()) + _program(
    "/usr/local/bin/runsc", f'#!/bin/sh\nexec {LAB}/bin/runsc --network=none "$@"'
)

MACHINES: Mapping[str, str] = {
    "a worker of k0s 1.35": (
        _program("/usr/local/bin/k0s", _k0s("v1.35.4+k0s.0", f"{LAB}/containerd-1.7/bin"))
        + _program("/root/k0s-v1.36.2", _k0s("v1.36.2+k0s.0", f"{LAB}/bin"))
        + _program("/usr/local/bin/systemctl", SYSTEMCTL)
        + "systemctl start k0sworker\n"
    ),
    "gVisor's programs": GVISOR,
    "acme on the node": ACME,
    "two containerds": TWO,
    "the folders of all three shells": FOLDERS,
    "a dump of containerd 2.3 in the drop-in folder": DUMP,
    "drop-ins of both versions": BOTH,
    "a k0sctl.yaml and settings for its hosts": K0SCTL,
    "a release of gVisor in a folder": RELEASE,
    "a cache of gVisor for this machine": CACHE,
    "a drop-in of a vendor for k0s 1.35": _file(
        "vendor.toml",
        """
version = 2

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.vendor]
runtime_type = "io.containerd.runc.v2"
""",
    ),
    "a drop-in that would stop the node": _file(
        "oops.toml",
        """
version = 3

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "crnu"
""",
    ),
}
"""What is made on the machine, as scripts."""


def _with_foreign_acme() -> dict[str, Any]:
    import k0sruntime
    from k0sruntime.testing import make_node

    dropin = b'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.other]\n'
    node = make_node("acme", None, files=_files({"other.toml": dropin}))
    return {"node": node, "Inactive": k0sruntime.Inactive}


def _files(dropins: Mapping[str, bytes]) -> Any:
    from k0sruntime.testing import MadeUpFiles

    return MadeUpFiles({f"/etc/k0s/containerd.d/{name}": text for name, text in dropins.items()})


def _all_names() -> dict[str, Any]:
    import k0sruntime

    return {"SOCKET": "/run/acme.sock", **{n: getattr(k0sruntime, n) for n in k0sruntime.__all__}}


def _acme() -> dict[str, Any]:
    """Return what ``k0sruntime new acme`` writes."""
    from types import ModuleType

    from k0sruntime import scaffold

    made = scaffold.scaffold("acme", "", "", "")
    files = scaffold.files(made)
    text = next(text for path, text in files.items() if path.endswith("provider.py"))
    module = ModuleType("a_provider_of_the_docs")
    sys.modules[module.__name__] = module  # msgspec looks up annotations there
    exec(text, module.__dict__)
    return module.__dict__


NAMES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "a node with acme's handler in a foreign file": _with_foreign_acme,
    "the names of k0sruntime": _all_names,
    "the provider of acme": _acme,
}
"""What a Python block finds, by name."""
