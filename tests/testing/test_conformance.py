"""Each promise of the conformance kit, and a provider that breaks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from k0sruntime.testing.checks import CHECKS, NotSeenError, Seen
from k0sruntime.testing.facts import Request
from k0sruntime.testing.fresh import probed_twice

GOOD = """
from k0sruntime import Check, Inactive, Provider, RuntimeHandler, Settings

class AcmeSettings(Settings, frozen=True):
    handler: str = "acme"

class Acme(Provider[AcmeSettings]):
    settings = AcmeSettings
    summary = "acme"

    def contribute_dropin(self, node):
        program = node.which("acme")
        if program is None:
            raise Inactive("no acme on the node's PATH")
        yield RuntimeHandler(
            name=node.settings.handler, options={"BinaryName": program}, programs=[program]
        )

    def post_start_check(self, node, cri):
        yield Check(name="acme", verdict="pass")

provider = Acme()
"""
HOOK = "    def contribute_dropin(self, node):\n"
CHECK = "    def post_start_check(self, node, cri):\n"
READ = "(node.files.read('/etc/acme') or b'').decode() or None"
REST = 'raise Inactive("no acme on the node\'s PATH")'

BROKEN: dict[str, tuple[str, str, str, str]] = {
    "an import that fails": (
        "loads",
        "from k0sruntime",
        "import nosuch\nfrom k0sruntime",
        "nosuch",
    ),
    "a required setting": ("loads", '= "acme"\n\n', "\n\n", "lacks the key 'handler'"),
    "a slow import": (
        "imports_fast",
        "from k0sruntime",
        "import time; time.sleep(0.4)\nfrom k0sruntime",
        "its import takes 0.",
    ),
    "a file written at import": (
        "imports_without_side_effects",
        "provider = Acme()",
        "open('/dev/shm/acme', 'w').close(); provider = Acme()",
        "open '/dev/shm/acme'",
    ),
    "a line printed at import": (
        "imports_without_side_effects",
        "provider = Acme()",
        "print('hello'); provider = Acme()",
        "it prints: 'hello'",
    ),
    "an environment changed at import": (
        "imports_without_side_effects",
        "provider = Acme()",
        "import os; os.environ['ACME'] = '1'; provider = Acme()",
        "the environment",
    ),
    "a thread started at import": (
        "imports_without_side_effects",
        "provider = Acme()",
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
            "; provider = Acme()"
        ),
        "running threads",
    ),
    "a signal handler set at import": (
        "loads",
        "provider = Acme()",
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); provider = Acme()",
        "signal only works in main thread",
    ),
    "a node without containerd": (
        "survives_every_node",
        HOOK,
        f"{HOOK}        node.containerd.version\n",
        "a node with nothing on it: failed",
    ),
    "a refusal with no settings": (
        "survives_every_node",
        REST,
        "from k0sruntime import Problem, Refused; raise Refused(Problem('no acme'))",
        "refused: no acme",
    ),
    "a hook that hangs": (
        "answers_in_time",
        HOOK,
        f"{HOOK}        import time; time.sleep(60)\n",
        "no answer within",
    ),
    "a counter": (
        "says_the_same_twice",
        'options={"BinaryName": program}',
        'options={"BinaryName": program, "n": next(COUNT)}',
        "a second call said something else",
    ),
    "the order of a set": (
        "says_the_same_twice",
        'options={"BinaryName": program}',
        'pod_annotations=list({f"acme.example/{n}" for n in range(20)})',
        "another process said something else",
    ),
    "a file written in a hook": (
        "writes_nothing_itself",
        HOOK,
        f"{HOOK}        open('/dev/shm/acme', 'a').close()\n",
        "open '/dev/shm/acme'",
    ),
    "a folder made in a hook": (
        "writes_nothing_itself",
        HOOK,
        (
            f"{HOOK}        import os; os.makedirs('/dev/shm/acme.d', exist_ok=True)\n"
            "        os.rmdir('/dev/shm/acme.d')\n"
        ),
        "os.mkdir",
    ),
    "a socket opened in a hook": (
        "opens_no_socket",
        HOOK,
        f"{HOOK}        import socket; socket.socket().close()\n",
        "socket",
    ),
    "a process started in a hook": (
        "starts_no_process",
        HOOK,
        f"{HOOK}        import subprocess; subprocess.run(['true'])\n",
        "subprocess.Popen 'true'",
    ),
    "a key that no containerd knows": (
        "lints_clean",
        "yield RuntimeHandler(",
        (
            'from k0sruntime import DropIn; yield DropIn(runtime={"enable_cdy": True})\n'
            "        yield RuntimeHandler("
        ),
        "enable_cdy",
    ),
    "a plugin ID": (
        "names_no_plugin_id",
        HOOK,
        f"{HOOK}        name = 'io.containerd.grpc.v1.cri'\n",
        "names io.containerd.grpc.v1.cri",
    ),
    "containerd's own handler": (
        "has_names_of_its_own",
        "name=node.settings.handler",
        'name="runc"',
        "the handler runc is containerd's own",
    ),
    "one handler twice": (
        "has_names_of_its_own",
        "yield RuntimeHandler(",
        (
            'yield RuntimeHandler(name="acme", runtime_type="io.containerd.b.v1")\n'
            "        yield RuntimeHandler("
        ),
        "twice",
    ),
    "rest without a reason": ("explains_why_it_rests", REST, "return", "gave no reason"),
    "a check that hangs": (
        "checks_are_bounded",
        CHECK,
        f"{CHECK}        import time; time.sleep(60)\n",
        "no answer within 10 s",
    ),
    "a check that raises": (
        "checks_are_bounded",
        CHECK,
        f"{CHECK}        raise KeyError('acme')\n",
        "KeyError",
    ),
    "a check that writes": (
        "checks_change_nothing",
        CHECK,
        f"{CHECK}        open('/dev/shm/acme', 'w').close()\n",
        "open '/dev/shm/acme'",
    ),
    "a file of its own on the node": (
        "down_leaves_nothing",
        HOOK,
        (
            f"{HOOK}        import os; path = node.paths.on_disk('/etc/acme')\n"
            "        if node.paths.root != '/':\n"
            "            os.makedirs(path); open(path + '/acme.conf', 'w').close()\n"
        ),
        "/etc/acme/acme.conf",
    ),
}


def install(folder: Path, code: str, name: str = "acme") -> None:
    module = f"{name}_conformance"
    (folder / f"{module}.py").write_text(code.replace("COUNT", "__import__('itertools').count()"))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[k0sruntime]\n{name} = {module}:provider\n")


def seen(folder: Path, monkeypatch: pytest.MonkeyPatch, **request: str) -> Seen:
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return Seen("acme", *probed_twice(Request("acme", **request)))


def broken_by(what: Seen) -> dict[str, list[str]]:
    found = {}
    for check in CHECKS:
        try:
            found[check.__name__] = list(check(what))
        except NotSeenError:
            found[check.__name__] = []
    return {name: sentences for name, sentences in found.items() if sentences}


def test_a_good_provider_keeps_every_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, GOOD)
    what = seen(tmp_path, monkeypatch)
    assert broken_by(what) == {}
    assert len(what.active()) == 5, "on three lines, on aarch64 and with a GPU"
    assert len(what.first.checked) == 2


@pytest.mark.parametrize("case", BROKEN)
def test_a_promise_that_is_broken_is_told(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise, old, new, told = BROKEN[case]
    assert old in GOOD
    code = GOOD.replace(old, new, 1)
    if "COUNT" in code:
        code = "import itertools\nTICKS = itertools.count()\n" + code.replace("COUNT", "TICKS")
    install(tmp_path, code)
    found = broken_by(seen(tmp_path, monkeypatch))
    assert any(told in sentence for sentence in found.get(promise, ())), found


def test_every_promise_has_a_provider_that_breaks_it() -> None:
    assert {promise for promise, *_ in BROKEN.values()} == {check.__name__ for check in CHECKS}


def test_every_promise_says_what_to_do() -> None:
    for check in CHECKS:
        assert (check.__doc__ or "").strip().endswith("."), check


def test_another_installed_provider_of_the_same_handler_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, GOOD)
    install(tmp_path, GOOD, "bcme")
    found = broken_by(seen(tmp_path, monkeypatch))
    assert found == {"has_names_of_its_own": ["two providers define the handler 'acme'"]}


def test_a_provider_that_rests_everywhere_is_told_how_it_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, GOOD.replace('node.which("acme")', READ))
    what = seen(tmp_path, monkeypatch)
    with pytest.raises(NotSeenError, match="k0sruntime_nodes"):
        what.active()
    nodes = tmp_path / "nodes.py"
    nodes.write_text(
        "from k0sruntime.testing import MadeUpFiles\n"
        "NODES = {'with acme': {'files': MadeUpFiles({'/etc/acme': '/usr/bin/acme'})}}\n"
    )
    what = seen(tmp_path, monkeypatch, nodes=str(nodes))
    assert [node.label for node in what.active()] == ["with acme"]


def test_settings_may_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, GOOD)
    settings = tmp_path / "settings.toml"
    settings.write_text('[acme]\nhandler = "other"\n\n[elsewhere]\nx = 1\n')
    what = seen(tmp_path, monkeypatch, settings=str(settings))
    assert {handler for node in what.active() for handler in node.handlers} == {"other"}


def kit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = ["-p", "no:cacheprovider", "--k0sruntime-containerd=", *arguments]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", *options],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_pytest_tells_what_is_broken_and_what_to_do_and_shows_no_traceback(tmp_path: Path) -> None:
    install(tmp_path, GOOD.replace(REST, "return"))
    done = kit(tmp_path, "--k0sruntime-conformance", "--k0sruntime-provider=acme")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a node with nothing on it: it contributed nothing and gave no reason" in done.stdout
    assert "do: Raise ``Inactive(" in done.stdout
    assert "Traceback" not in done.stdout
    assert f"1 failed, {len(CHECKS) - 1} passed, 1 skipped" in done.stdout
    assert "no containerd at hand; name one with --k0sruntime-containerd" in done.stdout


def test_pytest_refuses_a_provider_that_is_not_installed(tmp_path: Path) -> None:
    done = kit(tmp_path, "--k0sruntime-conformance", "--k0sruntime-provider=nosuch")
    assert done.returncode == 4
    assert "no provider 'nosuch' is installed here; there are:" in done.stdout + done.stderr


def test_the_kit_does_nothing_until_it_is_asked(tmp_path: Path) -> None:
    done = kit(tmp_path)
    assert done.returncode == 5, "no tests collected"


SNAPSHOT_TEST = """
from k0sruntime.testing import snapshots
from acme_conformance import AcmeSettings, provider

def test_files(k0sruntime_snapshots):
    found = snapshots(provider, "acme", AcmeSettings(handler=HANDLER), binaries=["acme"])
    k0sruntime_snapshots(found, "kept")
"""


def test_snapshots_of_the_files_of_every_line_are_written_and_compared(tmp_path: Path) -> None:
    install(tmp_path, GOOD)
    test = tmp_path / "test_files.py"
    test.write_text(SNAPSHOT_TEST.replace("HANDLER", "'acme'"))
    assert kit(tmp_path).returncode == 1, "nothing is kept yet"
    assert kit(tmp_path, "--k0sruntime-update").returncode == 0
    kept = {str(p.relative_to(tmp_path / "kept")) for p in tmp_path.glob("kept/*/containerd.d/*")}
    assert kept == {f"{n}/containerd.d/k0sruntime-acme.toml" for n in ("1.35", "2.1", "1.36")}
    assert kit(tmp_path).returncode == 0
    test.write_text(SNAPSHOT_TEST.replace("HANDLER", "'other'"))
    done = kit(tmp_path)
    assert done.returncode == 1
    assert "runtimes.other" in done.stdout
    assert "do: look at it, then pytest --k0sruntime-update" in done.stdout


@pytest.mark.parametrize("name", ["gvisor", "nvidia", "dockerd", "mirrors"])
def test_the_first_party_providers_conform(name: str) -> None:
    assert broken_by(Seen(name, *probed_twice(Request(name)))) == {}
