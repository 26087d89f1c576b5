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
    return f"mkdir -p /etc/k0s/containerd.d\ncat > {path} <<'DROPIN'\n{text.lstrip()}DROPIN\nsleep 1\n"


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
