"""What we say that containerd will tell the kubelet is what the real one tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from k0sruntime import toml
from k0sruntime.compose import cgroups
from k0sruntime.cri import CRI
from tests.real.conftest import LAB

pytestmark = pytest.mark.real

CONTAINERD = 'plugins."io.containerd.cri.v1.runtime".containerd'
RUNC, RUNSC = "io.containerd.runc.v2", "io.containerd.runsc.v1"
SYSTEMD, CGROUPFS, BINARY = "SystemdCgroup = true", "SystemdCgroup = false", 'BinaryName = "/x"'
SECONDS = 10.0


def handler(name: str, shim: str = RUNC, options: str | None = None) -> str:
    stated = f'runtime_type = "{shim}"\n' if shim else ""
    own = "" if options is None else f"[{CONTAINERD}.runtimes.{name}.options]\n{options}\n"
    return f"[{CONTAINERD}.runtimes.{name}]\n{stated}{own}"


def default(name: str) -> str:
    return f'[{CONTAINERD}]\ndefault_runtime_name = "{name}"\n'


RUNSC_FIRST = default("runsc") + handler("runsc", RUNSC)
NO_RUNC = handler("runc", RUNSC)
TABLES = {
    "nothing": "",
    "runc": handler("runc", "", SYSTEMD),
    "runc without the option": handler("runc", options=BINARY),
    "another shim first": RUNSC_FIRST,
    "another shim first, then runc": RUNSC_FIRST + handler("runc", options=SYSTEMD),
    "another shim first, then the first name": RUNSC_FIRST + handler("aaa", options=SYSTEMD),
    "another shim first, and a later name": RUNSC_FIRST + handler("zzz", options=SYSTEMD),
    "another shim first, then options without the option": RUNSC_FIRST
    + handler("aaa", options=BINARY)
    + handler("runc", options=SYSTEMD),
    "upper case is before lower case": RUNSC_FIRST
    + handler("B", options=SYSTEMD)
    + handler("a", options=CGROUPFS),
    "a default without options is passed over": default("zzz")
    + handler("zzz")
    + handler("aaa", options=SYSTEMD),
    "a default without options is passed over for runc": default("zzz")
    + handler("zzz")
    + handler("runc", options=SYSTEMD),
    "no shim named": default("aaa") + handler("aaa", "", SYSTEMD),
    "an option of a wrong kind": default("aaa")
    + handler("aaa", options='SystemdCgroup = "no"')
    + handler("runc", options=SYSTEMD),
    "runc is another shim": NO_RUNC,
    "runc is another shim, whatever its options": handler("runc", RUNSC, SYSTEMD),
    "nobody has options": NO_RUNC + handler("aaa"),
    "empty options are none": NO_RUNC + handler("aaa", options=""),
    "somebody else decides": NO_RUNC + handler("aaa", options=SYSTEMD),
}
AUTODETECTED = ["runc is another shim", "runc is another shim, whatever its options"]
AUTODETECTED += ["nobody has options", "empty options are none"]


def told(folder: Path, text: str, *, systemd: bool) -> str:
    """Start the real containerd 2.1 with a table, where systemd runs or not; return its answer."""
    config = folder / "config.toml"
    config.write_text(
        f'version = 3\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        f'[grpc]\naddress = "{folder}/c.sock"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\npath = "{folder}/opt"\n{text}'
    )
    made = "mkdir -p /run/systemd/system" if systemd else "true"
    # A mount namespace of its own: whether systemd runs is told by a folder below /run.
    script = f"mount -t tmpfs none /run && {made} && exec {LAB}/bin/containerd --config {config}"
    with (folder / "log").open("wb") as log:
        command = ["unshare", "-m", "sh", "-c", script]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with CRI(str(folder / "c.sock")) as cri:
            cri.wait(SECONDS, lambda: process.poll() is None)
            return cri.cgroup_driver()[0]
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.mark.parametrize("systemd", [False, True], ids=["without systemd", "under systemd"])
@pytest.mark.parametrize("name", TABLES)
def test_containerd_tells_the_kubelet_what_we_said_it_would(
    folder: Path, name: str, systemd: bool
) -> None:
    document = toml.load(TABLES[name].encode(), name)
    table = document.get("plugins", {}).get("io.containerd.cri.v1.runtime", {})
    containerd = table.get("containerd", {})
    said = cgroups.answered(
        containerd.get("runtimes", {}), containerd.get("default_runtime_name", "runc")
    )
    assert (said is None) == (name in AUTODETECTED)
    driver = "systemd" if (systemd if said is None else said) else "cgroupfs"
    assert told(folder, TABLES[name], systemd=systemd) == driver
