"""The lines that docs/images.md gives to packer, bootc and kickstart run, in a root of their own.

Each tool's own part (copying a file, a layer, a chroot) is done as its manual says; the shell lines are
run as they stand there. ``k0sruntime`` comes out of the bundle by the bundle's own ``install.sh``; its
wheel is a stand-in that leads to this checkout, so that no index is asked.
"""

from __future__ import annotations

import ensurepip
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from k0sruntime import __version__
from tests.console import blocks
from tests.made_up_releases import without
from tests.real.conftest import ROOT

pytestmark = pytest.mark.real

LAYERS = ("/etc", "/var", "/opt", "/root", "/usr")
FRESH = ("/run", "/mnt", "/var/lib/k0s", "/var/lib/k0sruntime", "/var/cache")
MADE = "the machine is made"
SETTINGS = '[node]\nmode = "managed"\nk0s = "1.36"\npause_image = "pause:1"\n'
TAR = "manifest.json install.sh wheels"


@dataclass(frozen=True)
class Snippet:
    """What a tool does with its snippet.

    Attributes:
        lines: the shell that comes of it.
        program: where ``k0sruntime`` is in the image then.
        left: what is gone when it is done.
        service: what the service is told to use; empty for nothing.
    """

    lines: str
    program: str
    left: tuple[str, ...]
    service: str = ""


def packer(text: str) -> Snippet:
    """``file`` copies, ``shell`` joins its lines into a script and runs that by a command."""
    source, destination = re.findall(r'(?:source|destination) += "([^"]+)"', text)
    command = re.search(r'execute_command = "([^"]+)"', text)
    inline = re.search(r"inline = \[\n(.*?)\]", text, re.DOTALL)
    assert command is not None
    assert inline is not None
    script = "\n".join(re.findall(r'^ *"(.*)",$', inline[1], re.MULTILINE))
    run = command[1].replace("{{ .Path }}", "/tmp/script.sh").removeprefix("sudo ")
    assert run != command[1], "it is run as root, and by its path"
    return Snippet(
        f"cp {source} {destination}\ncat > /tmp/script.sh <<'END'\n{script}\nEND\n{run}\n",
        "/opt/k0sruntime/bin/k0sruntime",
        ("/tmp/site", "/tmp/site.tar"),
    )


def bootc(text: str) -> Snippet:
    """``COPY`` makes the folders that it needs, ``RUN`` is a shell of its own."""
    lines = []
    for step in text.replace("\\\n", " ").splitlines():
        word, _, rest = step.partition(" ")
        if word == "COPY":
            source, destination = rest.split()
            lines.append(f"mkdir -p {Path(destination).parent} && cp {source} {destination}")
        elif word == "RUN":
            lines.append(f"/bin/sh -c {shlex.quote(rest)}")
        else:
            assert word == "FROM"
    archive = "/usr/lib/k0sruntime/site.tar"
    program = "/usr/lib/k0sruntime/env/bin/k0sruntime"
    return Snippet("\n".join(lines), program, ("/tmp/site",), archive)


def kickstart(text: str) -> Snippet:
    """``%post`` runs in the new system, or outside of it with ``--nochroot``; here both are one."""
    lines = ["mkdir -p /mnt/sysimage /run/install/repo", "cp site.tar /run/install/repo/"]
    lines += ["mount --rbind / /mnt/sysimage"]
    for options, body in re.findall(r"^%post([^\n]*)\n(.*?)^%end$", text, re.MULTILINE | re.DOTALL):
        assert "--erroronfail" in options
        shell = "sh -e" if "--nochroot" in options else "chroot /mnt/sysimage /bin/sh -e"
        lines += [f"{shell} <<'END'\n{body}END"]
    return Snippet(
        "\n".join(lines), "/opt/k0sruntime/bin/k0sruntime", ("/tmp/site", "/root/site.tar")
    )


SNIPPETS = {"hcl": packer, "dockerfile": bootc, "text": kickstart}


def lay_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    bare = name.replace("-", "_")
    info = f"{bare}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: yaml\n"
    tags = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": tags}
    with zipfile.ZipFile(folder / f"{bare}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in files))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of settings and wheels, whose k0sruntime is the one of this checkout."""
    folder = tmp_path_factory.mktemp("site")
    wheels = folder / "wheels"
    wheels.mkdir()
    here = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n{ROOT}\n"
    script = "[console_scripts]\nk0sruntime = k0sruntime.cli.main:entry\n"
    info = f"k0sruntime-{__version__}.dist-info"
    files = {"k0sruntime_stand_in.pth": here, f"{info}/entry_points.txt": script}
    lay_wheel(wheels, "k0sruntime", __version__, files)
    lay_wheel(wheels, "ruamel.yaml", "0.18.6", {})
    bundled = (
        sysconfig.get_config_var("WHEEL_PKG_DIR") or f"{Path(ensurepip.__file__).parent}/_bundled"
    )
    (pip,) = Path(bundled).glob("pip-*.whl")
    shutil.copy(pip, wheels)
    settings = folder / "config.toml"
    settings.write_text(SETTINGS)
    left_out = without("gvisor", "nvidia", "dockerd", "mirrors")
    words = ["--sandbox", folder / "home", "--settings", settings, "--wheels", wheels, *left_out]
    command = [sys.executable, "-m", "k0sruntime", "bundle", folder / "site.tar", *words]
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=environment())
    return folder / "site.tar"


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("K0SRUNTIME", "PYTHON"))}
    return {**kept, "HOME": "/root", "K0SRUNTIME_NO_PROVIDERS": "1", "PYTHONSAFEPATH": "1"}


def built(bundle: Path, lines: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """Run lines as root on a machine whose files end with them; what ``more`` prints comes back."""
    with tempfile.TemporaryDirectory(prefix="k0sr-image-", dir="/tmp") as folder:
        here = f"{folder}/layers"
        made = ["set -e", f"mkdir {here}", f"mount -t tmpfs tmpfs {here}"]
        for number, path in enumerate(LAYERS):
            layer = f"{here}/{number}"
            options = f"lowerdir={path},upperdir={layer}/upper,workdir={layer}/work"
            made += [f"mkdir -p {layer}/upper {layer}/work"]
            made += [f"mount -t overlay o -o {options} {path}"]
        made += [f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in FRESH]
        made += ["mkdir /mnt/site /etc/systemd/system -p", f"cp {bundle} /mnt/site/site.tar"]
        # What is no layer is not written at all; /tmp comes last, for the layers lie in it.
        made += ["mount -o remount,bind,ro /", "mount -t tmpfs tmpfs /tmp", "cd /mnt/site"]
        script = "\n".join([*made, f"echo {MADE}", lines, more])
        alone = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
        return subprocess.run(
            [*alone, "bash", "-c", script],
            capture_output=True,
            text=True,
            timeout=90,
            env=environment(),
            check=False,
        )


@pytest.mark.parametrize("language", SNIPPETS)
def test_the_lines_of_a_snippet_make_an_image(language: str, bundle: Path) -> None:
    (text,) = blocks("images.md", language)
    snippet = SNIPPETS[language](text)
    files = ["/etc/k0s/containerd.d/k0sruntime-node.toml", snippet.program]
    look = [f"test -e {path}" for path in files]
    look += [f"test ! -e {path}" for path in snippet.left]
    look += [
        "cat /etc/systemd/system/k0sruntime.service",
        "ls /etc/systemd/system/*.wants/k0sruntime.service",
    ]
    done = built(bundle, snippet.lines, "\n".join(look))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ExecStart={snippet.program} up --foreground" in done.stdout
    assert (f"--bundle={snippet.service} --offline" in done.stdout) is bool(snippet.service)
    assert ".wants/k0sruntime.service\n" in done.stdout
    assert not Path("/etc/systemd/system/k0sruntime.service").exists(), "this machine is as it was"


def test_a_typo_in_a_snippet_fails(bundle: Path) -> None:
    (text,) = blocks("images.md", "hcl")
    assert TAR in text
    done = built(bundle, packer(text.replace(TAR, TAR.removesuffix(" wheels"))).lines)
    assert MADE in done.stdout
    assert done.returncode != 0
