"""No secret is ever shown: every command over one node that is full of them, all output searched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import Check, Problem, masking, supervise
from k0sruntime.cache import Cache
from k0sruntime.cli.main import COMMANDS, run
from k0sruntime.errors import K0sRuntimeError
from k0sruntime.fetch import Fetcher
from k0sruntime.lint import RULES, stamped
from k0sruntime.lint.finding import Hit

HUSH = "zq7"
"""Stands in every secret of the node, and nowhere else."""
SETTINGS = """
[node]
mode = "managed"
k0s = "1.36"
bounce_seconds = 1

[mirrors."docker.io"]
mirror_only = true
[[mirrors."docker.io".endpoints]]
url = "http://127.0.0.1:9"
auth = { username = "bob", password = "zq7-pass" }
headers = { X-Pass = "zq7", Authorization = ["Bearer zq7-bearer"] }

[mirrors."r.example"]
endpoints = ["https://m.example"]
auth = { identity_token = "zq7-token" }
headers = { X-Team = "zq7" }
"""
WITH_RELEASE = """
[gvisor.release]
date = "20260720.0"
source = "HTTPS://bob:zq7@zq7@127.0.0.1:9/gvisor"
"""
DROPIN = """
version = 3

# the password is zq7-two, said bob
[plugins."io.containerd.cri.v1.images".registry.configs."s.example".auth]
username = "bob"
password = "zq7-two"

[plugins."io.containerd.cri.v1.images".registry.configs."t.example"]
auth = { username = "bob", "password" = "zq7-three" }

[plugins."io.containerd.cri.v1.images".registry.headers]
X-Whatever = ["zq7"]

[stream_processors.x]
accepts = ["x"]
returns = "y"
path = "/bin/true"
env = ["HTTPS_PROXY=http://bob:zq7@zq7@proxy.example:3128", "U=https://h/x?sig=zq7", "API_TOKEN=zq7zq7"]
args = ["--registry-password=zq7zq7"]
"""
FOREIGN_HOSTS = """
server = "HTTPS://bob:zq7@up.example?token=zq7"

[host."https://bob:zq7@zq7@m.example"]
capabilities = ["pull"]
[host."https://bob:zq7@zq7@m.example".header]
X-Pass = "zq7"

[host."https://n.example/?token=zq7"]
[host."bob:zq7@o.example"]
"""
ON_THE_NODE = [
    "providers",
    "plan",
    "plan --json",
    "explain --all",
    "explain --all --json",
    "export k0s-config",
    "export runtimeclasses",
    "lint",
    "lint --json",
    "lint --format sarif",
    "rehearse --k0s 1.35",
    "rehearse --k0s 1.35 --json",
    "rehearse --k0s 1.36 --dropins {etc}/containerd.d",
    "fetch",
    "fetch --json",
    "bundle {etc}/site.tar --no-wheels",
    "bundle {etc}/site.tar --no-wheels --json",
    "bundle --list {etc}/site.tar",
    "bundle --list {etc}/site.tar --json",
    "install-service --print",
    "status",
    "verify",
    "up",
    "up --bundle {etc}/site.tar --offline",
    "up --bundle {etc}/site.tar --dry-run --json",
    "up --json",
    "status --json",
    "status --prometheus -",
    "report",
    "report --json",
    "verify --json",
    "supervise",
    "adopt {etc}/containerd.d/k0sruntime-left.toml",
    "quarantine {etc}/containerd.d/k0sruntime-left.toml",
    "plan --json",
    "plan",
    "rollback 1 --json",
    "down --json",
]
ON_ITS_FILES = [
    "render --dropins {etc}/containerd.d",
    "render --dropins {etc}/containerd.d --json",
    "render --dropins {etc}/containerd.d --scheme merge-patch",
    "render --dropins {etc}/containerd.d --scheme merge-patch --json",
    "migrate {etc}/containerd.d/vendor.toml --to 2",
    "migrate {etc}/containerd.d/vendor.toml --to 2 --diff",
    "schema",
    "completion bash",
    "man {etc}/man",
    "new acme --directory {etc}/new",
    "lint {etc}/containerd.d",
    "lint {etc}/containerd.d/certs.d --json",
]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JSON", "DEBUG", "SANDBOX", "ROOT", "SETTINGS", "WITHOUT", "MODE", "CONTAINERD"):
        monkeypatch.delenv(f"K0SRUNTIME_{name}", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A node that is full of secrets."""
    files = {
        "etc/k0sruntime/config.toml": SETTINGS,
        "etc/k0s/containerd.d/vendor.toml": DROPIN,
        "etc/k0s/containerd.d/certs.d/quay.io/hosts.toml": FOREIGN_HOSTS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


WITHOUT = ("nvidia", "dockerd")


def on(folder: Path, *left_out: str) -> list[str]:
    """Return the options that name the node."""
    return ["--sandbox", str(folder), *(word for name in left_out for word in ("--without", name))]


def said(command: str, folder: Path, capfd: Any, more: Sequence[str] = ()) -> str:
    """Run a command; return all that it prints."""
    first, *words = command.format(etc=folder / "etc/k0s").split()
    code = run([first, *more, *words])
    out, err = capfd.readouterr()
    assert out + err or command == "supervise", command
    assert "bug: " not in err, err
    assert code != 1
    return f"{out}{err}"


def test_every_command_is_among_them() -> None:
    run_ = {command.split()[0] for command in (*ON_THE_NODE, *ON_ITS_FILES)}
    assert run_ == set(COMMANDS)


def test_no_command_shows_a_secret_of_the_node(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = supervise.Orders()
    orders.ended.set()
    monkeypatch.setattr(supervise, "listen", lambda: orders)
    for command in ON_ITS_FILES:
        assert HUSH not in said(command, folder, capfd), command
    for command in ON_THE_NODE:
        if command.startswith("adopt"):
            left = folder / "etc/k0s/containerd.d/k0sruntime-left.toml"
            left.write_text(DROPIN)
            left.chmod(0o644)
        options = on(folder) if command == "supervise" else on(folder, *WITHOUT, "gvisor")
        assert HUSH not in said(command, folder, capfd, options), command
    assert HUSH in (folder / "etc/k0s/containerd.d/vendor.toml").read_text(), "files keep them"


def test_what_was_written_is_what_the_settings_say(folder: Path) -> None:
    assert run(["up", *on(folder, *WITHOUT, "gvisor")]) == 0
    dropins = folder / "etc/k0s/containerd.d"
    assert "zq7-pass" in (dropins / "k0sruntime-mirrors.toml").read_text()
    assert "zq7-bearer" in (dropins / "certs.d/docker.io/hosts.toml").read_text()


@pytest.mark.parametrize(
    "command",
    [
        *("plan", "plan --json", "fetch --offline", "up --offline"),
        "bundle {etc}/site.tar --no-wheels",
    ],
)
def test_the_source_of_a_release_is_masked(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    (folder / "etc/k0sruntime/config.toml").write_text(SETTINGS + WITH_RELEASE)
    assert HUSH not in said(command, folder, capfd, on(folder, *WITHOUT))


def test_a_bundle_whose_settings_the_node_has_not_shows_none_of_either(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = on(folder, *WITHOUT, "gvisor")
    said("bundle {etc}/site.tar --no-wheels", folder, capfd, options)
    file = folder / "etc/k0sruntime/config.toml"
    file.write_text(SETTINGS.replace("zq7-pass", "zq7-other"))
    found = said("up --bundle {etc}/site.tar --offline", folder, capfd, options)
    assert "differ in [mirrors] docker.io" in found
    assert HUSH not in found


def test_the_archive_is_its_owners_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said("bundle {etc}/site.tar --no-wheels", folder, capfd, on(folder, *WITHOUT, "gvisor"))
    archive = folder / "etc/k0s/site.tar"
    assert HUSH.encode() in archive.read_bytes(), "it carries the settings"
    assert archive.stat().st_mode & 0o077 == 0


WRONG_URLS = [
    "user:zq7@mirror.local",
    "HTTPS://user:zq7@mirror.local",
    "ftp://user:zq7@mirror.local",
    "https://user:zq7@mirror.local",
    "https://user:zq/zq7@mirror.local",
    "https://user:1/zq7@mirror.local",
    "https://user:zq7@zq7@mirror.local",
    "https://m?token=zq7",
    "https://user:zq7?x@m",
    "https://m#zq7",
]


@pytest.mark.parametrize("url", WRONG_URLS)
@pytest.mark.parametrize("command", ["plan --json", "status"])
@pytest.mark.parametrize(
    "table",
    [
        '[mirrors."docker.io"]\nendpoints = ["{}"]\n',
        '[mirrors."docker.io"]\nserver = "{}"\n',
        '[mirrors."docker.io"]\nendpoints = [{{ url = "{}", skip_verify = true }}]\n',
        '[mirrors."{}"]\nendpoints = ["https://m"]\n',
    ],
)
def test_an_url_that_is_refused_is_shown_without_its_secret(
    folder: Path, capfd: pytest.CaptureFixture[str], url: str, table: str, command: str
) -> None:
    settings = f'[node]\nmode = "managed"\nk0s = "1.36"\n{table.format(url)}'
    (folder / "etc/k0sruntime/config.toml").write_text(settings)
    found = said(command, folder, capfd, on(folder, *WITHOUT, "gvisor"))
    assert "refused" in found.lower()
    assert HUSH not in found
    assert "zq/" not in found


def mirrors(*arguments: object) -> str:
    """Run ``k0sruntime-mirrors``; return all that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "k0sruntime_mirrors", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    assert done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("url", WRONG_URLS)
def test_an_import_of_k3s_shows_no_secret(tmp_path: Path, url: str) -> None:
    source = tmp_path / "registries.yaml"
    source.write_text(
        json.dumps(
            {
                "mirrors": {"docker.io": {"endpoint": [url]}, url: {"endpoint": ["https://m"]}},
                "configs": {
                    "m": {"auth": {"username": "bob", "password": HUSH}},
                    url: {"tls": {"insecure_skip_verify": True}, "auth": {"token": HUSH}},
                },
            }
        )
    )
    assert HUSH not in mirrors("import", source)
    assert HUSH not in mirrors("import", source, "--leave-out")


def test_resolve_and_import_of_a_folder_show_no_secret(folder: Path) -> None:
    certs = folder / "etc/k0s/containerd.d/certs.d"
    for more in ((), ("--json",)):
        assert HUSH not in mirrors("resolve", "quay.io/a/b", "--certs-d", certs, *more)
    assert HUSH not in mirrors("import", certs)
    assert HUSH not in mirrors("import", certs, "--leave-out")


def test_the_corpus_of_resolve_hides_a_short_header(tmp_path: Path) -> None:
    file = tmp_path / "docker.io/hosts.toml"
    file.parent.mkdir()
    file.write_text('[host."https://m".header]\nX-Pass = "short"\nX-Deep = "7"\nUser-Agent = "k"\n')
    document = json.loads(mirrors("resolve", "nginx", "--certs-d", tmp_path, "--json"))
    assert document["hosts"][0]["header"] == {
        "X-Pass": ["****"],
        "X-Deep": ["7"],
        "User-Agent": ["k"],
    }


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("https://h/x", "https://h/x"),
        ("https://u:p@h/x", "https://****@h/x"),
        ("https://u:p@ss@h/x", "https://****@h/x"),
        ("https://u:p/ss@h/x", "https://****@h/x"),
        ("HTTPS://u:p@h/x", "HTTPS://****@h/x"),
        ("u:p@h", "****@h"),
        ("https://h/x?token=t", "https://h/x?****"),
        ("https://h/x#t", "https://h/x#****"),
        ("https://u:p?q@h", "https://****?****"),
        ("https://h/v2/a?ns=docker.io", "https://h/v2/a?ns=docker.io"),
        ("https://h/v2/a?ns=docker.io&t=x", "https://h/v2/a?****"),
        ("/a/folder", "/a/folder"),
    ],
)
def test_an_url_is_shown_without_what_may_be_secret(found: str, shown: str) -> None:
    assert masking.url(found) == shown
    assert masking.url(shown) == shown
    if "://" in found:
        sentence = f"cannot ask '{found}', or so: \"{found}\"."
        assert masking.text(sentence) == f"cannot ask '{shown}', or so: \"{shown}\"."


def test_whoever_writes_an_url_into_a_problem_a_verdict_or_a_finding_it_is_masked() -> None:
    wrong = "https://u:zq7@h?zq7"
    problem = Problem(wrong, wrong, wrong, wrong)
    check = Check(name=wrong, verdict="warn", detail=wrong, remedy=wrong)
    finding = stamped(RULES[0], Hit("/f", wrong, wrong, ("host", wrong)))
    for found in (problem, check, finding):
        assert HUSH not in str(found)


@pytest.mark.parametrize(
    "url",
    [
        "https://bob:zq7@zq7@127.0.0.1:9/f",
        "https://bob:zq/zq7@127.0.0.1:9/f",
        "https://bob:zq7@127.0.0.1:9/f?token=zq7",
        "https://bob:zq7@[127.0.0.1/f",
    ],
)
def test_what_the_network_says_of_an_url_shows_no_secret(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime import Download
    from k0sruntime.cli.story import Stderr

    fetcher = Fetcher(Cache(str(tmp_path)), progress=Stderr().say, pause=lambda _: None)
    with pytest.raises(K0sRuntimeError) as refused:
        fetcher.fetch(Download(url=url, sha512="0" * 128))
    for found in (str(refused.value), str(refused.value.problems), capsys.readouterr().err):
        assert HUSH not in found
        assert "zq/" not in found


def test_two_values_of_a_secret_key_conflict_without_being_told() -> None:
    path = ("registry", "configs", "h", "auth", "password")
    assert masking.value(path, "zq7") == "****"
    assert masking.value(path[:-1], {"password": "zq7"}) == {"password": "****"}
    assert masking.value(("registry", "Headers", "x"), ["zq7"]) == "****"
    assert masking.value(("a", "endpoint"), ["https://u:zq7@h"]) == ["https://****@h"]


def test_the_story_shows_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    from k0sruntime.cli.story import Stderr

    story = Stderr()
    story.say(f"f: cannot reach https://bob:{HUSH}@h; again in 1 s")
    with story.stage("fetch") as tell:
        tell(f"from https://h/f?token={HUSH}")
    err = capsys.readouterr().err
    assert HUSH not in err
    assert "https://****@h; again" in err


def test_a_file_that_everybody_may_read_is_masked_where_it_holds_credentials() -> None:
    from k0sruntime.compose import Composition
    from k0sruntime.compose.files import DesiredFile
    from k0sruntime.documents import dumps
    from k0sruntime.plan import Observed, plan
    from k0sruntime.report import plan_document, plan_text

    text = '[r.configs.h]\nauth = { username = "bob", password = "zq7" }\nX = [\n  "zq7",\n]\n'
    for content in (text, text.replace("auth", "headers")):
        file = DesiredFile("/etc/k0s/containerd.d/a.toml", content.encode(), "a", 0o644)
        composition = Composition("standalone", 3, "native", files=(file,))
        planned = plan(composition, Observed())
        assert HUSH not in plan_text(planned, composition)
        assert HUSH not in dumps(plan_document(planned, composition))


def test_two_providers_values_of_a_secret_key_are_not_told() -> None:
    from k0sruntime.compose.conflicts import refuse
    from k0sruntime.compose.layers import Layer
    from k0sruntime.contributions import Owner
    from k0sruntime.errors import ConflictError

    layers = [
        Layer(
            f"/{name}.toml",
            {"plugins": {"p": {"registry": {"configs": {"h": {"auth": {"password": secret}}}}}}},
            Owner(name, name, "1", "contribute_dropin"),
        )
        for name, secret in (("a", "zq7-one"), ("b", "zq7-two"))
    ]
    with pytest.raises(ConflictError) as refused:
        refuse(layers, 3)
    assert "password" in str(refused.value)
    assert HUSH not in str(refused.value.problems)


def test_a_running_cri_that_has_another_secret_is_told_without_both() -> None:
    from k0sruntime.proof import Target
    from k0sruntime.verify import _configured

    class RunningCRI:
        """Stands in for a containerd 1.7, which tells the registries' configuration."""

        def config(self) -> dict[str, Any]:
            return {"registry": {"configs": {"h": {"auth": {"password": "zq7-old"}}}}}

    table = {"registry": {"configs": {"h": {"auth": {"password": "zq7-new"}}}}}
    effective = {"plugins": {"io.containerd.grpc.v1.cri": table}}
    target = Target((), effective, 2, "")
    found = list(_configured(target, RunningCRI()))
    assert "fail" in [proof.check.verdict for proof in found]
    assert HUSH not in str(found)


DAEMON = {
    "debug": False,
    "log-driver": "splunk",
    "log-opts": {"splunk-token": "zq7-splunk", "splunkApiKey": "zq7-key", "tag": "node"},
    "auths": {"r.example": {"auth": "zq7-auth"}},
    "password": "zq7-pass",
    "nested": [{"client_secret": "zq7-list"}],
    "proxies": {"http-proxy": "http://me:zq7@proxy.example"},
    "runtimes": {"other": {"path": "/usr/bin/other"}},
}
ON_DOCKER = """
[node]
k0s = "1.36"
[dockerd]
enabled = "yes"
daemon_json = "{path}"
[dockerd.runtimes.crun]
path = "/bin/sh"
"""


@pytest.mark.parametrize("mode", [0o644, 0o600])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("command", ["plan", "plan --json", "up --dry-run", "up --dry-run --json"])
def test_another_programs_json_file_is_shown_with_ours_and_without_its_secrets(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str, indent: int | None, mode: int
) -> None:
    path = folder / "etc/daemon.json"
    path.write_text(json.dumps(DAEMON, indent=indent))
    path.chmod(mode)
    (folder / "etc/k0sruntime/config.toml").write_text(ON_DOCKER.format(path=path))
    found = said(command, folder, capfd, on(folder, "--without", "gvisor", "--without", "nvidia"))
    assert HUSH not in found
    plain = found.replace("\\n", "\n").replace('\\"', '"')
    assert re.search(r'^\+ +"path": "/bin/sh"', plain, re.MULTILINE), "our own are shown"
    assert ('"path": "/usr/bin/other"' in plain) == (mode == 0o644)
    assert "crun" in plain


def test_a_switch_is_no_secret_whatever_it_is_called() -> None:
    from k0sruntime import masking

    assert masking.value(("a", "use-token"), found=True) is True
    assert masking.value(("a", "use-token"), "zq7") == masking.MASK
    assert masking.value(("a", "authorization-plugins"), ["opa"]) == ["opa"]
    assert masking.value(("a", "tokens-per-second"), 5) == 5
