"""Each promise of the conformance kit, and a provider that breaks it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from k0sruntime.testing.checks import CHECKS
from k0sruntime.testing.facts import Request
from k0sruntime.testing.fresh import probes, read_back
from k0sruntime.testing.seen import NotSeenError, Seen
from tests.conftest import ROOT

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
SET = '    handler: str = "acme"\n'
POST = "    def __post_init__(self):\n"
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
        "its import prints: 'hello'",
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
    "a file written by settings": (
        "settings_without_side_effects",
        SET,
        f"{SET}{POST}        open('/dev/shm/acme', 'w').close()\n",
        "making its settings does open '/dev/shm/acme'",
    ),
    "an environment changed by settings": (
        "settings_without_side_effects",
        SET,
        f"{SET}{POST}        import os; os.environ['ACME'] = '1'\n",
        "making its settings changes the environment",
    ),
    "a line printed by settings": (
        "settings_without_side_effects",
        SET,
        f"{SET}{POST}        print('hello')\n",
        "making its settings prints: 'hello'",
    ),
    "settings that end the process": (
        "loads",
        SET,
        f"{SET}{POST}        import sys; sys.exit(0)\n",
        "its settings are refused: ",
    ),
    "settings that hang": (
        "loads",
        SET,
        f"{SET}{POST}        import time; time.sleep(60)\n",
        "no answer within",
    ),
    "settings that interrupt": (
        "loads",
        SET,
        f"{SET}{POST}        raise KeyboardInterrupt\n",
        "KeyboardInterrupt",
    ),
    "settings that raise": ("loads", SET, f"{SET}{POST}        {{}}['acme']\n", "KeyError: 'acme'"),
    "a line printed in a hook": (
        "leaves_the_process_alone",
        HOOK,
        f"{HOOK}        print('hello')\n",
        "a hook or a check prints: 'hello",
    ),
    "a process that ends in a hook": (
        "loads",
        HOOK,
        f"{HOOK}        import os; os._exit(3)\n",
        "its process ended with status 3",
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
    "a process of its own that stays": (
        "starts_no_process",
        HOOK,
        f"{HOOK}        import subprocess; subprocess.Popen(['sleep', '300'])\n",
        "subprocess.Popen 'sleep'",
    ),
    "a database": (
        "writes_nothing_itself",
        HOOK,
        f"{HOOK}        import sqlite3; sqlite3.connect(node.paths.on_disk('/acme.db')).close()\n",
        "sqlite3.connect '",
    ),
    "a file whose name is like that of bytecode": (
        "writes_nothing_itself",
        HOOK,
        f"{HOOK}        open(node.paths.on_disk('/my__pycache__evil'), 'w').close()\n",
        "open '",
    ),
    "bytecode that it writes itself": (
        "writes_nothing_itself",
        HOOK,
        (
            f"{HOOK}        import os; folder = node.paths.on_disk('/__pycache__')\n"
            "        os.makedirs(folder, exist_ok=True); open(folder + '/evil.pyc', 'w').close()\n"
        ),
        "open '",
    ),
    "a pipe with a name": (
        "writes_nothing_itself",
        HOOK,
        (
            f"{HOOK}        import os; pipe = node.paths.on_disk('/acme.fifo')\n"
            "        os.path.exists(pipe) or os.mkfifo(pipe)\n"
        ),
        "os.mkfifo",
    ),
    "an attribute that is taken away": (
        "writes_nothing_itself",
        HOOK,
        (
            f"{HOOK}        import contextlib, os\n"
            "        with contextlib.suppress(OSError):\n"
            "            os.removexattr('/nosuch', 'user.acme')\n"
        ),
        "os.removexattr '/nosuch'",
    ),
    "a function of C": (
        "writes_nothing_itself",
        HOOK,
        f"{HOOK}        import ctypes; ctypes.CDLL(None).getpid()\n",
        "ctypes.dlsym 'getpid'",
    ),
    "an umask changed in a hook": (
        "leaves_the_process_alone",
        HOOK,
        f"{HOOK}        import os; os.umask(0)\n",
        "a hook changes the umask",
    ),
    "a signal handler set in a hook": (
        "survives_every_node",
        HOOK,
        f"{HOOK}        import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n",
        "signal only works in main thread",
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
    "a check that raises something that only sounds like the CRI": (
        "checks_are_bounded",
        CHECK,
        f"{CHECK}        raise KeyError('CRIError')\n",
        "KeyError: 'CRIError'",
    ),
    "a check that writes": (
        "checks_change_nothing",
        CHECK,
        f"{CHECK}        open('/dev/shm/acme', 'w').close()\n",
        "open '/dev/shm/acme'",
    ),
    "an umask changed in a check": (
        "checks_change_nothing",
        CHECK,
        f"{CHECK}        import os; os.umask(0)\n",
        "it changes the umask",
    ),
    "a file that C code makes in a check": (
        "checks_change_nothing",
        CHECK,
        f"{CHECK}        import ctypes; ctypes.CDLL(None).mkfifo(b'acme', 0o600)\n",
        "there is a new",
    ),
    "a file of its own on the node": (
        "down_leaves_nothing",
        HOOK,
        (
            f"{HOOK}        import os; path = node.paths.on_disk('/etc/acme')\n"
            "        if node.paths.root != '/':\n"
            "            os.makedirs(path, exist_ok=True); open(path + '/acme.conf', 'w').close()\n"
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
    return Seen("acme", *probes(Request("acme", **request)))


def broken_by(what: Seen) -> dict[str, list[str]]:
    found = {}
    for check in CHECKS:
        try:
            found[check.__name__] = list(check(what))
        except NotSeenError:
            found[check.__name__] = []
    return {name: sentences for name, sentences in found.items() if sentences}


def unseen_of(what: Seen) -> dict[str, str]:
    """Return the promises of which there was nothing to judge, and why."""
    found = {}
    for check in CHECKS:
        try:
            list(check(what))
        except NotSeenError as exc:
            found[check.__name__] = str(exc)
    return found


def test_a_good_provider_keeps_every_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, GOOD)
    what = seen(tmp_path, monkeypatch)
    assert broken_by(what) == {}
    assert len(what.active()) == 5, "on three lines, on aarch64 and with a GPU"
    assert unseen_of(what) == {}
    assert len(what.first.checked) == 10, "with a CRI that answers and one that does not"
    assert {left.label for left in what.first.left} == {node.label for node in what.active()}


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


SHARED = {
    "the umask": "import os; os.umask(0)",
    "the working folder": "os.chdir('/')",
    "the environment": "os.environ['ACME'] = '1'",
    "sys.path": "import sys; sys.path.append('/acme')",
    "the filters of warnings": "import warnings; warnings.simplefilter('ignore')",
    "running threads": (
        "import threading, time; threading.Thread(target=time.sleep, args=(300,), daemon=False).start()"
    ),
    "what logging lets through": "import logging; logging.disable(logging.CRITICAL)",
    "the default timeout of sockets": "import socket; socket.setdefaulttimeout(0.001)",
    "the niceness": "os.setpriority(os.PRIO_PROCESS, os.getpid(), 1)",
    "the recursion limit": "sys.setrecursionlimit(sys.getrecursionlimit() + 1)",
    "the limits of resources: RLIMIT_FSIZE": (
        "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (4096, r.getrlimit(r.RLIMIT_FSIZE)[1]))"
    ),
    "sys.modules: nosuch.yaml": "sys.modules['nosuch.yaml'] = None",
    "functions of Python's modules: socket.getaddrinfo": "socket.getaddrinfo = lambda *a: []",
    "the host's modules: k0sruntime.plan.acme, k0sruntime.plan.plan": (
        "import k0sruntime.plan as p; p.acme = 1; p.plan = type(p.plan)(p.plan.__code__, p.__dict__)"
    ),
}


def test_whatever_a_hook_changes_of_the_process_is_told_and_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "".join(f"        {line}\n" for line in SHARED.values())
    install(tmp_path, GOOD.replace(HOOK, HOOK + code))
    began = time.monotonic()
    found = broken_by(seen(tmp_path, monkeypatch))["leaves_the_process_alone"]
    assert time.monotonic() - began < 60, "a thread that is no daemon keeps Python waiting"
    for what in SHARED:
        assert any(
            one.startswith(f"a node with nothing on it: a hook changes {what}") for one in found
        ), (what, found)


def test_what_a_hook_imports_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "        import calendar, sqlite3, k0sruntime.k0sctl_file, xml.dom.minidom\n"
    install(tmp_path, GOOD.replace(HOOK, HOOK + code))
    assert broken_by(seen(tmp_path, monkeypatch)) == {}


@pytest.mark.parametrize("written", [b"", b'{"state": "act', b"[]"])
def test_what_a_probe_could_not_write_down_is_told_of_the_provider_without_a_traceback(
    written: bytes, tmp_path: Path
) -> None:
    result = tmp_path / "facts.json"
    result.write_bytes(written)
    facts = read_back(str(result), subprocess.CompletedProcess([], 0, "", "Traceback: x"))
    (told,) = broken_by(Seen("acme", facts, facts))["loads"]
    assert told.startswith("it is broken: what was seen of it was not written down wholly")
    assert "RLIMIT_FSIZE" in told
    assert "Traceback" not in told


WRITES_THROUGH_A_PROCESS = "import subprocess; subprocess.run(['touch', PLACE])"


@pytest.mark.parametrize(("place", "told"), [("acme", True), ("/dev/shm/acme-check", False)])
def test_what_a_program_of_a_check_writes_is_seen_in_the_kits_folders_as_the_docs_say(
    place: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = WRITES_THROUGH_A_PROCESS.replace("PLACE", repr(place))
    install(tmp_path, GOOD.replace(CHECK, f"{CHECK}        {code}\n"))
    found = broken_by(seen(tmp_path, monkeypatch))
    assert set(found) == ({"checks_change_nothing"} if told else set())
    docs = " ".join((ROOT / "docs/vendors.md").read_text().split())
    assert (
        "so `checks_change_nothing` sees what such a program writes in these four folders" in docs
    )


def test_what_code_in_c_writes_is_seen_in_the_kits_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mkfifo(3) tells no audit hook."""
    places = ["node.paths.on_disk('/')", "os.path.expanduser('~')", "os.environ['TMPDIR']", "'.'"]
    code = "        import ctypes, os; c = ctypes.CDLL(None)\n" + "".join(
        f"        c.mkfifo(os.fsencode(os.path.join({place}, 'acme')), 0o600)\n" for place in places
    )
    install(tmp_path, GOOD.replace(HOOK, HOOK + code))
    found = broken_by(seen(tmp_path, monkeypatch))["writes_nothing_itself"]
    for name in ("node", "home", "tmp", "work"):
        assert any("there is a new '/" in one and f"/{name}/acme'" in one for one in found), name


IN_THE_SECOND = "import os\nif os.environ['PYTHONHASHSEED'] == '2':"
IN_THE_SECOND_HOOK = f"{HOOK}        import os; second = os.environ['PYTHONHASHSEED'] == '2'\n"
BROKEN_IN_THE_SECOND: dict[str, tuple[str, str, str, str]] = {
    "an import that fails": (
        "loads",
        "from k0sruntime",
        f"{IN_THE_SECOND} raise RuntimeError('two')\nfrom k0sruntime",
        "in a second process: it is broken: its import failed: RuntimeError: two",
    ),
    "a line that is printed": (
        "imports_without_side_effects",
        "from k0sruntime",
        f"{IN_THE_SECOND} print('two')\nfrom k0sruntime",
        "in a second process: its import prints: 'two'",
    ),
    "a file that is written": (
        "writes_nothing_itself",
        HOOK,
        f"{IN_THE_SECOND_HOOK}        second and open('acme', 'w').close()\n",
        "in a second process: a node with nothing on it: open 'acme'",
    ),
    "an umask that is changed": (
        "leaves_the_process_alone",
        HOOK,
        f"{IN_THE_SECOND_HOOK}        second and os.umask(0)\n",
        "in a second process: a node with nothing on it: a hook changes the umask",
    ),
    "a node that it does not survive": (
        "survives_every_node",
        HOOK,
        f"{IN_THE_SECOND_HOOK}        second and 1 / 0\n",
        "in a second process: a node with nothing on it: failed",
    ),
    "another state": (
        "says_the_same_twice",
        HOOK,
        f"{IN_THE_SECOND_HOOK}        if second: raise Inactive('not today')\n",
        "with programs: another process said something else",
    ),
    "a node on which it hangs": (
        "says_the_same_twice",
        HOOK,
        f"{IN_THE_SECOND_HOOK}        import time; second and time.sleep(60)\n",
        "with a GPU: another process was not even asked",
    ),
}


@pytest.mark.parametrize("case", BROKEN_IN_THE_SECOND)
def test_what_is_broken_in_the_second_process_alone_is_told(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise, old, new, told = BROKEN_IN_THE_SECOND[case]
    assert old in GOOD
    install(tmp_path, GOOD.replace(old, new, 1))
    found = broken_by(seen(tmp_path, monkeypatch))
    assert any(told in sentence for sentence in found.get(promise, ())), found


ONLY_A_SOCKET = """
from k0sruntime import Check, CRISocket, Provider

class Acme(Provider):
    def cri_socket(self, node):
        yield CRISocket(url="unix:///run/acme.sock")

    def post_start_check(self, node, cri):
        yield Check(name="acme", verdict="pass")

provider = Acme()
"""
BROKEN_WITHOUT_FILES = {
    "hangs": ("checks_are_bounded", "import time; time.sleep(60)", "no answer within 10 s"),
    "writes": ("checks_change_nothing", "open('acme', 'w').close()", "open 'acme'"),
    "answers nonsense": ("checks_are_bounded", "yield 'fine'", "it returned a str"),
}


@pytest.mark.parametrize("case", BROKEN_WITHOUT_FILES)
def test_the_check_of_a_provider_without_files_is_judged_too(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise, code, told = BROKEN_WITHOUT_FILES[case]
    install(tmp_path, ONLY_A_SOCKET.replace(CHECK, f"{CHECK}        {code}\n"))
    found = broken_by(seen(tmp_path, monkeypatch))
    assert any(told in sentence for sentence in found.get(promise, ())), found


def test_what_a_provider_without_files_leaves_to_be_seen_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, ONLY_A_SOCKET)
    what = seen(tmp_path, monkeypatch)
    assert broken_by(what) == {}
    assert {(c.label, c.cri) for c in what.first.checked} == {
        (node.label, cri) for node in what.first.nodes for cri in ("answers", "does not answer")
    }, "on every node, the bare one included"
    assert unseen_of(what) == {
        "lints_clean": "it contributed no file on any node: there is nothing to lint",
        "down_leaves_nothing": (
            "it contributed no file on any node: there is nothing to leave behind"
        ),
    }


def test_a_provider_without_a_check_is_not_said_to_have_a_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, GOOD[: GOOD.index(CHECK)] + "provider = Acme()\n")
    what = seen(tmp_path, monkeypatch)
    assert unseen_of(what) == dict.fromkeys(
        ("checks_are_bounded", "checks_change_nothing"), "it has no post_start_check"
    )


def test_nothing_is_green_of_a_provider_that_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "import nosuch\n" + GOOD)
    what = seen(tmp_path, monkeypatch)
    assert set(broken_by(what)) == {"loads"}
    green = {check.__name__ for check in CHECKS} - {"loads"} - set(unseen_of(what))
    assert green == {"imports_without_side_effects"}, "what it did before it failed"


def test_down_is_tried_on_the_nodes_on_which_a_provider_is_active(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = (
        "        import os; folder = node.paths.on_disk('/etc/acme.d')\n"
        "        os.makedirs(folder, exist_ok=True); open(folder + '/own.conf', 'w').close()\n"
    )
    code = GOOD.replace('node.which("acme")', READ)
    install(
        tmp_path,
        code.replace("        yield RuntimeHandler(", f"{writes}        yield RuntimeHandler("),
    )
    what = seen(tmp_path, monkeypatch)
    assert "active on no made-up node" in unseen_of(what)["down_leaves_nothing"]
    nodes = tmp_path / "nodes.py"
    nodes.write_text(
        "from k0sruntime.testing import MadeUpFiles\n"
        "NODES = {'with acme': {'files': MadeUpFiles({'/etc/acme': '/usr/bin/acme'})}}\n"
    )
    found = broken_by(seen(tmp_path, monkeypatch, nodes=str(nodes)))
    assert found["down_leaves_nothing"] == [
        "with acme: after down there is still /etc/acme.d/own.conf"
    ]


def test_a_daemon_that_a_hook_starts_holds_nothing_and_ends_with_the_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says goes where the probe's own words go: a pipe there would stay open."""
    code = (
        "import os, subprocess; daemon = subprocess.Popen(['sleep', '301'])\n"
        f"        with open({str(tmp_path / 'pids')!r}, 'a') as file: print(daemon.pid, file=file)\n"
    )
    install(tmp_path, GOOD.replace(HOOK, f"{HOOK}        {code}"))
    began = time.monotonic()
    found = broken_by(seen(tmp_path, monkeypatch))
    assert time.monotonic() - began < 60
    assert any("subprocess.Popen 'sleep'" in one for one in found["starts_no_process"])
    pids = (tmp_path / "pids").read_text().split()
    assert pids
    end = time.monotonic() + 5  # what was killed may still be going
    while any("sleep" in command_of(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert [pid for pid in pids if "sleep" in command_of(pid)] == []


def command_of(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


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


def test_with_settings_it_must_live_without_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, GOOD.replace('= "acme"\n\n', "\n\n", 1))
    settings = tmp_path / "settings.toml"
    settings.write_text('[acme]\nhandler = "acme"\n')
    (told,) = broken_by(seen(tmp_path, monkeypatch, settings=str(settings)))["loads"]
    assert told.startswith("without settings: its settings are refused:")
    (tmp_path / "acme_conformance.py").write_text(
        GOOD.replace(HOOK, f"{HOOK}        if node.settings.handler == 'acme': 1 / 0\n")
    )
    settings.write_text('[acme]\nhandler = "other"\n')
    (told,) = broken_by(seen(tmp_path, monkeypatch, settings=str(settings)))["survives_every_node"]
    assert told.startswith("without settings: a node with nothing on it: failed: ")


def test_what_is_wrong_on_every_node_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, GOOD.replace(HOOK, f"{HOOK}        1 / 0\n"))
    what = seen(tmp_path, monkeypatch)
    (told,) = broken_by(what)["survives_every_node"]
    assert unseen_of(what)["lints_clean"].startswith("it failed on every node")
    assert told.startswith("a node with nothing on it: failed: ")
    assert told.endswith("(and on 8 more nodes)")


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


NODE = "from k0sruntime.testing import MadeUpFiles\nNODES = {'mine': {FACTS}}\n"
GIVEN = {
    "no such settings": ("settings", None, "the settings file", "Correct --k0sruntime-settings"),
    "settings that are no TOML": ("settings", "[acme", "given", "do: "),
    "settings of nobody": (
        "settings",
        "[acne]\n",
        "no provider called 'acne'",
        'Did you mean "acme"?',
    ),
    "settings of another": ("settings", "[bcme]\n", "has no table [acme]", "there are [bcme]"),
    "settings of another and the host": ("settings", "[node]\n[bcme]\n", "has no table [acme]", ""),
    "empty settings": ("settings", "# nothing\n", "has no table [acme]", "it is empty"),
    "a value in a table's place": ("settings", "acme = 1\n", "acme", "do: "),
    "no such nodes": ("nodes", None, "the file of nodes", "Correct --k0sruntime-nodes"),
    "nodes that raise": ("nodes", "1 / 0\n", "does not run: ZeroDivisionError", "NODES = {"),
    "nodes that end": ("nodes", "raise SystemExit(0)\n", "does not run: SystemExit", "NODES = {"),
    "nodes that end at once": ("nodes", "import os; os._exit(3)\n", "with status 3", ""),
    "no NODES": ("nodes", "NODE = {}\n", "has no table NODES", "NODES = {"),
    "a typo in a node": (
        "nodes",
        NODE.replace("FACTS", "'filez': MadeUpFiles()"),
        "the node 'mine' cannot be made: TypeError",
        "filez",
    ),
    "no such images": ("images", None, "the image bundle", "Correct --k0sruntime-images"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_a_mistake_in_what_is_given_is_not_told_of_the_provider(case: str, tmp_path: Path) -> None:
    option, text, told, todo = GIVEN[case]
    install(tmp_path, GOOD)
    install(tmp_path, GOOD, "bcme")
    file = tmp_path / "given"
    if text is not None:
        file.write_text(text)
    arguments = ["--k0sruntime-conformance", "--k0sruntime-provider=acme"]
    done = kit(tmp_path, *arguments, f"--k0sruntime-{option}={file}")
    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert told in said
    assert todo in said
    assert str(file) in said
    assert "provider acme" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ("[node]\nprobe_image = 'x'\n", ["--k0sruntime-provider=acme"]),
        ("[acme]\nhandler = 'x'\n", []),
    ],
    ids=["of the host alone", "of one among all"],
)
def test_settings_that_a_run_may_need_are_taken(
    settings: str, arguments: list[str], tmp_path: Path
) -> None:
    install(tmp_path, GOOD)
    file = tmp_path / "given"
    file.write_text(settings)
    options = ["--k0sruntime-conformance", "--collect-only", f"--k0sruntime-settings={file}"]
    done = kit(tmp_path, *options, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "loads" in done.stdout


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


ACTIVE = """
[dockerd]
socket = "/run/cri-dockerd.sock"
[mirrors."docker.io"]
endpoints = ["http://127.0.0.1:9"]
[stargz]
"""
"""Settings with which those are active that rest without any."""


@pytest.mark.parametrize("settings", ["", ACTIVE], ids=["plain", "set"])
@pytest.mark.parametrize("name", ["gvisor", "nvidia", "dockerd", "mirrors"])
def test_the_first_party_providers_conform(name: str, settings: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(settings)
    what = Seen(name, *probes(Request(name, settings=str(path) if settings else "")))
    assert broken_by(what) == {}
    if settings:
        assert what.active()
        no_files = {"lints_clean", "down_leaves_nothing"} if name == "dockerd" else set()
        assert set(unseen_of(what)) == no_files


@pytest.mark.parametrize("name", ["crun", "stargz"])
def test_the_examples_of_vendors_conform(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ROOT / f"examples/vendors/k0sruntime-{name}"
    info = tmp_path / f"k0sruntime_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: k0sruntime-{name}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(f"[k0sruntime]\n{name} = k0sruntime_{name}:provider\n")
    monkeypatch.setenv("PYTHONPATH", f"{source}:{tmp_path}")
    what = Seen(name, *probes(Request(name)))
    assert broken_by(what) == {}
    assert unseen_of(what) == {}
