"""The contract between host and providers: its version, its growth, who comes first, who extends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from k0sruntime import (
    Binary,
    Check,
    ConfigFile,
    CRISocket,
    Download,
    DropIn,
    HandlerExtension,
    Host,
    HostsFile,
    JSONKeys,
    KubeletProfile,
    RuntimeHandler,
)
from k0sruntime.__about__ import CONTRACT, CONTRACT_SINCE
from k0sruntime.collect import Answers, Collected, Left, refuse_broken
from k0sruntime.compose import schema
from k0sruntime.contributions import Contribution, Owner
from k0sruntime.discovery import discover
from k0sruntime.errors import ConflictError, ProviderError
from k0sruntime.gate import refuse
from k0sruntime.hooks import Hooks, InvalidProviderError
from k0sruntime.hookspecs import HOOKS, Provider
from k0sruntime.node_provider import NodeSettings
from k0sruntime.own_checks import provider_checks
from k0sruntime.paths import Paths
from k0sruntime.precedence import counted, settle, settle_each
from k0sruntime.prove import checks_of
from k0sruntime.records import Record
from k0sruntime.testing import LINES, MadeUpCRI, compose, make_node, texts

ROOT = Path(__file__).parent.parent
CODE = """
from k0sruntime import Provider, RuntimeHandler

class Acme(Provider):
    contract = CONTRACT

    def contribute_dropin(self, node):
        yield RuntimeHandler(name="acme")

provider = Acme()
"""


@pytest.fixture
def record_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def found(code: str) -> Record:
        (tmp_path / "contract_acme.py").write_text(code)
        info = tmp_path / "contract_acme-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-contract\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[k0sruntime]\nacme = contract_acme:provider\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        (record,) = [r for r in discover(path=[str(tmp_path)]).records if r.name == "acme"]
        return record

    yield found
    sys.modules.pop("contract_acme", None)


@pytest.mark.parametrize(
    ("contract", "state", "told", "todo"),
    [
        ("None", "active", "", ""),
        ("(1, 0)", "active", "", ""),
        ("(1, 7)", "incompatible", "written for contract 1.7", "Update k0sruntime"),
        ("(2, 0)", "incompatible", "written for contract 2.0", "Update k0sruntime"),
        ("(0, 9)", "incompatible", "written for contract 0.9", "Update acme-contract"),
        ("'1.0'", "broken", "must be (major, minor), such as (1, 0)", "Update acme-contract"),
        ("(True, 0)", "broken", "must be (major, minor)", "Update acme-contract"),
    ],
)
def test_a_provider_for_another_contract_is_told_what_to_install(
    record_of: Any, contract: str, state: str, told: str, todo: str
) -> None:
    record = record_of(CODE.replace("CONTRACT", contract))
    assert record.state == state
    assert told in record.reason
    assert todo in record.remedy
    if state != "active":
        assert "--without acme" in record.remedy
        with pytest.raises(ProviderError, match="acme"):
            refuse_broken([record])


def test_a_name_that_only_another_k0sruntime_has_is_told_as_such(record_of: Any) -> None:
    record = record_of("from k0sruntime import Snapshotter\nprovider = None\n")
    assert record.state == "broken"
    assert "cannot import name 'Snapshotter'" in record.reason
    assert "written for another k0sruntime" in record.remedy


def test_a_hook_of_a_newer_contract_is_refused_with_what_to_do(record_of: Any) -> None:
    record = record_of(
        CODE.replace("contract = CONTRACT", "def contribute_snapshotter(self, node): return ()")
    )
    assert record.state == "broken"
    assert "contract 1.0 has no hook 'contribute_snapshotter'" in record.reason
    assert "update k0sruntime, or list it in optional_hooks" in record.reason


def test_a_provider_can_do_without_a_hook_that_it_lists_as_optional(record_of: Any) -> None:
    record = record_of(
        CODE.replace(
            "contract = CONTRACT",
            "optional_hooks = ('contribute_snapshotter',)\n"
            "    def contribute_snapshotter(self, node): return ()",
        )
    )
    assert (record.state, record.hooks) == ("active", ("contribute_dropin",))


class NewerContract(Provider[Any]):
    """A later minor: its hook takes one more argument."""

    def contribute_dropin(self, node: Any, cluster: Any = None) -> Iterable[Any]:  # type: ignore[override]
        return ()


def test_an_argument_can_be_added_to_a_hook_without_breaking_old_providers() -> None:
    hooks = Hooks(NewerContract)
    old = SimpleNamespace(contribute_dropin=lambda node: [RuntimeHandler(name="old")])
    new = SimpleNamespace(
        contribute_dropin=lambda node, cluster: [RuntimeHandler(name=f"new-{cluster}")]
    )
    hooks.register(Record("old", "old", "1", "active"), old)
    hooks.register(Record("new", "new", "1", "active"), new)
    for name, given in (("old", "old"), ("new", "new-blue")):
        node = make_node(name, None)
        kinds = (RuntimeHandler,)
        (found,) = hooks._ask(name, "contribute_dropin", kinds, 5, node=node, cluster="blue")
        assert found.value.name == given


def test_a_provider_need_not_name_what_it_does_not_use() -> None:
    hooks = Hooks()
    plugin = SimpleNamespace(cri_socket=lambda: [CRISocket(url="unix:///a")])
    hooks.register(Record("a", "a", "1", "active"), plugin)
    assert hooks.cri_socket("a", make_node("a", None))


def test_an_argument_that_no_contract_has_is_refused_and_named() -> None:
    with pytest.raises(InvalidProviderError, match="cluster"):
        Hooks().register(
            Record("a", "a", "1", "active"), SimpleNamespace(cri_socket=lambda node, cluster: [])
        )


def provider(*values: Any, hook: str = "contribute_dropin") -> Any:
    return SimpleNamespace(**{hook: lambda node: list(values)})


def test_two_providers_of_one_handler_are_refused_and_both_named() -> None:
    with pytest.raises(ConflictError, match="two providers define the handler 'fast'") as refused:
        both()
    assert "acme (acme" in refused.value.problems[0].culprit
    assert "bcme (bcme" in refused.value.problems[0].culprit


def both(*prefer: str) -> Any:
    one = provider(RuntimeHandler(name="fast", options={"BinaryName": "/a"}))
    other = provider(RuntimeHandler(name="fast", options={"BinaryName": "/b"}))
    own = NodeSettings(prefer=list(prefer))
    return compose(one, make_node("acme", None), others={"bcme": (other, None)}, own=own)


@pytest.mark.parametrize(
    ("prefer", "binary"),
    [(["acme"], "/a"), (["bcme"], "/b"), (["bcme", "acme"], "/b"), (["acme", "bcme"], "/a")],
)
def test_the_operator_says_whose_handler_counts(prefer: list[str], binary: str) -> None:
    (handler,) = [h for h in both(*prefer).handlers if h.name == "fast"]
    assert handler.table["options"] == {"BinaryName": binary}


def by(name: str, value: Any) -> Contribution[Any]:
    return Contribution(Owner(name, name, "1", "hook"), value)


def test_the_operator_says_whose_hosts_file_and_socket_count_and_is_told_what_is_left_out() -> None:
    hosts = tuple(
        by(name, HostsFile(registry="docker.io", hosts=[Host(url=f"https://{name}")]))
        for name in ("acme", "bcme")
    )
    sockets = tuple(by(name, CRISocket(url=f"unix:///{name}")) for name in ("acme", "bcme"))
    found, notes = settle(Collected(hosts=hosts, sockets=sockets), ["bcme"])
    assert [item.owner.provider for item in (*found.hosts, *found.sockets)] == ["bcme", "bcme"]
    assert notes == (
        "hosts file docker.io of acme is left to bcme: [node] prefer",
        "CRI socket of acme is left to bcme: [node] prefer",
        "acme rests: all that it defines is left to others",
    )


def settled(*prefer: str, **provided: list[Any]) -> Collected:
    records = tuple(Record(name, name, "1", "active") for name in provided)
    parts = tuple(by(name, value) for name, values in provided.items() for value in values)
    return settle(Collected(records, parts), list(prefer))[0]


def of(found: Collected, provider: str) -> list[Any]:
    return [part.value for part in found.parts if part.owner.provider == provider]


FAST = RuntimeHandler(name="fast", options={"BinaryName": "/b"})
LOSER = [
    RuntimeHandler(name="fast", options={"ConfigPath": "/etc/k0s/k0sruntime/acme/fast.toml"}),
    ConfigFile(name="fast.toml", content="x"),
    Binary(name="acme", installed="/usr/bin/acme"),
    DropIn(runtime={"enable_cdi": True}),
    JSONKeys(path="/etc/docker/daemon.json", keys={"a": 1}),
    Check(name="old kernel", verdict="warn"),
]


def test_a_provider_that_has_left_all_its_handlers_to_others_rests_with_all_it_declared() -> None:
    profile = by("acme", KubeletProfile(name="acme", values={}))
    records = tuple(Record(name, name, "1", "active") for name in ("acme", "bcme"))
    parts = (*(by("acme", value) for value in LOSER), by("bcme", FAST))
    found, _ = settle(Collected(records, parts, profiles=(profile,)), ["bcme"])
    assert [part.owner.provider for part in found.parts] == ["bcme"]
    assert found.profiles == ()
    assert [(r.name, r.state, r.reason) for r in found.records] == [
        ("acme", "inactive", "handler fast is left to bcme: [node] prefer"),
        ("bcme", "active", ""),
    ]


def test_one_that_keeps_a_handler_loses_what_belongs_to_the_other_alone() -> None:
    slow = RuntimeHandler(name="slow", programs=["/usr/bin/acme", "/usr/bin/both"])
    fast = RuntimeHandler(
        name="fast",
        options={"ConfigPath": "/etc/k0s/k0sruntime/acme/fast.toml"},
        programs=["/usr/bin/quick", "/usr/bin/both"],
    )
    kept = [
        slow,
        ConfigFile(name="unnamed.toml", content="x"),
        Binary(name="acme", installed="/usr/bin/acme"),
        Binary(name="both", installed="/usr/bin/both"),
        HandlerExtension(handler="slow", snapshotter="x"),
        DropIn(runtime={"enable_cdi": True}),
        Check(name="old kernel", verdict="warn", handler="slow"),
    ]
    lost = [
        fast,
        ConfigFile(name="fast.toml", content="program = '/usr/bin/quick'"),
        Binary(name="quick", installed="/usr/bin/quick"),
        HandlerExtension(handler="fast", snapshotter="x"),
        Check(name="old kernel", verdict="warn", handler="fast"),
    ]
    found = settled("bcme", acme=[*lost, *kept], bcme=[FAST])
    assert of(found, "acme") == kept
    assert {record.state for record in found.records} == {"active"}


def test_a_program_that_is_fetched_goes_with_the_handler_that_names_it() -> None:
    node = make_node("acme", None)
    there = {"x86_64": Download(url="/srv/quick", sha512="0" * 128)}
    quick = Binary(name="quick", version="1", downloads=there)
    fast = RuntimeHandler(name="fast", programs=[node.binary_file(quick)])
    found = settled("bcme", acme=[fast, quick, RuntimeHandler(name="slow")], bcme=[FAST])
    assert of(found, "acme") == [RuntimeHandler(name="slow")]


def told(*prefer: str, **provided: list[Any]) -> tuple[str, ...]:
    parts = tuple(by(name, value) for name, values in provided.items() for value in values)
    return settle(Collected(parts=parts), list(prefer))[1]


A_TOML = "/etc/k0s/k0sruntime/acme/a.toml"
NAMING = {
    "a handler of the operator's": RuntimeHandler(name="mine", options={"ConfigPath": A_TOML}),
    "an extension of another's": HandlerExtension(handler="runc", options={"ConfigPath": A_TOML}),
    "a file of another's": ConfigFile(name="b.toml", content=f"include = '{A_TOML}'"),
    "keys of another's": JSONKeys(path="/etc/docker/daemon.json", keys={"x": A_TOML}),
}


@pytest.mark.parametrize("naming", NAMING.values(), ids=NAMING)
@pytest.mark.parametrize("more", [[], [RuntimeHandler(name="slow")]], ids=["rests", "goes on"])
def test_a_file_that_anything_else_on_the_node_names_stays_and_that_is_told(
    naming: Any, more: list[Any]
) -> None:
    lost = RuntimeHandler(name="fast", options={"ConfigPath": A_TOML})
    file = ConfigFile(name="a.toml", content="x = 1")
    other = ConfigFile(name="other.toml", content="x = 1")
    named = RuntimeHandler(name="fast", options={"ConfigPath": A_TOML.replace("a.t", "other.t")})
    provided = {"acme": [lost, file, *more], "bcme": [FAST], "node": [naming]}
    assert of(settled("bcme", **provided), "acme") == [file, *more]
    sentences = [note for note in told("bcme", **provided) if note.endswith("names it")]
    assert len(sentences) == 1
    assert sentences[0].startswith("the file a.toml of acme stays: ")
    assert " of node names it" in sentences[0]
    provided["acme"] = [named, other, *more]
    assert of(settled("bcme", **provided), "acme") == more, "what nothing names goes"


def test_a_program_that_is_fetched_stays_where_anothers_handler_runs_it() -> None:
    there = {"x86_64": Download(url="/srv/quick", sha512="0" * 128)}
    quick = Binary(name="quick", version="1", downloads=there)
    path = make_node("acme", None).binary_file(quick)
    fast = RuntimeHandler(name="fast", programs=[path])
    mine = RuntimeHandler(name="mine", options={"BinaryName": path})
    assert of(settled("bcme", acme=[fast, quick], bcme=[FAST], node=[mine]), "acme") == [quick]


def test_what_only_a_file_that_goes_names_goes_with_it_and_a_name_is_no_part_of_another() -> None:
    fast = RuntimeHandler(name="fast", options={"ConfigPath": A_TOML})
    goes = [
        ConfigFile(name="a.toml", content="run = '/usr/bin/quick'"),
        Binary(name="quick", installed="/usr/bin/quick"),
    ]
    stays = [
        RuntimeHandler(name="slow"),
        ConfigFile(name="a", content="x"),
        Binary(name="qu", installed="/usr/bin/qu"),
    ]
    assert of(settled("bcme", acme=[fast, *goes, *stays], bcme=[FAST]), "acme") == stays


def test_all_that_goes_with_a_handler_is_told() -> None:
    acme = [
        RuntimeHandler(name="fast", options={"ConfigPath": A_TOML}),
        RuntimeHandler(name="slow"),
        ConfigFile(name="a.toml", content="x"),
        HandlerExtension(handler="fast", snapshotter="x"),
        Check(name="old kernel", verdict="warn", handler="fast"),
        DOCKERS["acme"],
    ]
    assert told("bcme", acme=acme, bcme=[FAST]) == (
        "handler fast of acme is left to bcme: [node] prefer",
        (
            "acme leaves out with it: the extension of fast, the warning 'old kernel',"
            " runtimes.fast in /etc/docker/daemon.json, the file a.toml"
        ),
    )


DOCKERS = {
    name: JSONKeys(
        path="/etc/docker/daemon.json",
        keys={"runtimes": {"fast": {"path": f"/{name}"}, name: {"path": "/own"}}, name: 1},
    )
    for name in ("acme", "bcme")
}


@pytest.mark.parametrize(("prefer", "path"), [("acme", "/acme"), ("bcme", "/bcme")])
def test_dockers_runtime_of_a_handler_goes_with_the_handler(prefer: str, path: str) -> None:
    one, other = (
        provider(RuntimeHandler(name="fast"), RuntimeHandler(name=name), DOCKERS[name])
        for name in ("acme", "bcme")
    )
    own = NodeSettings(prefer=[prefer])
    made = compose(one, make_node("acme", None), others={"bcme": (other, None)}, own=own)
    (file,) = [f for f in made.files if f.path == "/etc/docker/daemon.json"]
    found = json.loads(file.content)
    assert found["runtimes"]["fast"] == {"path": path}
    assert {"acme", "bcme"} < found.keys() | found["runtimes"].keys(), "all other keys stay"


def test_keys_that_define_nothing_but_the_lost_handler_go_wholly() -> None:
    alone = JSONKeys(path="/etc/docker/daemon.json", keys={"runtimes": {"fast": {"path": "/a"}}})
    slow = RuntimeHandler(name="slow")
    found = settled("bcme", acme=[RuntimeHandler(name="fast"), slow, alone], bcme=[FAST])
    assert of(found, "acme") == [slow]


DEFAULTS = {
    "containerd": DropIn(runtime={"containerd": {"default_runtime_name": "fast"}}),
    "docker": JSONKeys(path="/etc/docker/daemon.json", keys={"default-runtime": "fast"}),
}


@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS)
@pytest.mark.parametrize("more", [[], [RuntimeHandler(name="slow")]], ids=["rests", "goes on"])
def test_a_default_handler_never_changes_hands_in_silence(default: Any, more: list[Any]) -> None:
    acme = [RuntimeHandler(name="fast"), default, *more]
    with pytest.raises(ConflictError, match="acme makes fast the default handler") as refused:
        settled("bcme", acme=acme, bcme=[FAST])
    (problem,) = refused.value.problems
    assert "leaves that handler to bcme: [node] prefer" in problem.message
    assert "acme (acme 1)" in problem.culprit
    assert "provider bcme" in problem.culprit
    assert "[acme]" in problem.remedy
    assert "--without acme" in problem.remedy
    assert of(settled("acme", acme=acme, bcme=[FAST]), "acme") == acme, "its own is its own"


@pytest.mark.parametrize("default", DEFAULTS.values(), ids=DEFAULTS)
def test_a_default_that_another_wants_as_well_stays(default: Any) -> None:
    acme = [RuntimeHandler(name="fast"), RuntimeHandler(name="slow"), default]
    found = settled("bcme", acme=acme, bcme=[FAST, default])
    assert of(found, "bcme") == [FAST, default]
    other = DropIn(runtime={"containerd": {"default_runtime_name": "slow"}})
    assert other in of(settled("bcme", acme=[*acme[:2], other], bcme=[FAST]), "acme")


def test_providers_are_shown_with_what_they_leave_be_it_refused_or_not() -> None:
    records = [Record(name, name, "1", "active") for name in ("acme", "bcme")]
    parts = ((by("acme", RuntimeHandler(name="fast")), by("acme", DEFAULTS["containerd"])),)
    answers = [Answers(*parts), Answers((by("bcme", FAST),))]
    found = settle_each(list(zip(records, answers, strict=True)), ["bcme"])
    assert [record.state for record, _ in found] == ["inactive", "active"]


def test_one_that_extends_anothers_handler_goes_on_doing_so() -> None:
    extension = HandlerExtension(handler="runc", snapshotter="x")
    found = settled("bcme", acme=[RuntimeHandler(name="fast"), extension], bcme=[FAST])
    assert of(found, "acme") == [extension]


def test_the_hosts_own_needs_stay_whoever_has_the_handler() -> None:
    need = DropIn(runtime={"restrict_oom_score_adj": True})
    found = settled("bcme", node=[RuntimeHandler(name="fast"), need], bcme=[FAST])
    assert of(found, "node") == [need]


LEFT = (Left("acme", "handler", "fast", "bcme"), Left("acme", "hosts file", "r.io_5000_", "bcme"))


@pytest.mark.parametrize(
    ("about", "asked", "verdict"),
    [
        ({"handler": "fast"}, {"fast"}, None),
        ({"registry": "r.io:5000"}, set(), None),
        ({"handler": "slow"}, {"fast", "slow"}, "fail"),
        ({"registry": "docker.io"}, set(), "fail"),
        ({}, {"slow"}, "fail"),
        ({}, {"fast"}, "unknown"),
    ],
)
def test_a_verdict_about_what_is_anothers_does_not_count(
    about: dict[str, str], asked: set[str], verdict: str | None
) -> None:
    left = LEFT if about else LEFT[:1]
    found = counted(Check(name="x", verdict="fail", **about), left, asked)
    assert (found.verdict if found else None) == verdict
    if verdict == "unknown":
        assert found is not None
        assert found.detail == "(it may be about the handler fast, which is bcme's)"


SOCKET = Left("acme", "CRI socket", "", "bcme")


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (SOCKET, "the CRI socket, which is bcme's"),
        (LEFT[1], "the hosts file r.io_5000_, which is bcme's"),
    ],
)
def test_no_change_is_taken_back_because_of_a_socket_or_hosts_file_that_is_not_used(
    lost: Left, told: str
) -> None:
    found = counted(Check(name="my socket", verdict="fail", detail="no answer"), [lost])
    assert found is not None
    assert (found.verdict, found.detail) == ("unknown", f"no answer (it may be about {told})")
    for about in ({"handler": "slow"}, {"registry": "docker.io"}):
        mine = Check(name="my own", verdict="fail", **about)
        assert counted(mine, [lost]) == mine, "what says that it is about its own counts"


def test_the_cgroup_driver_of_a_runtime_behind_a_socket_that_is_not_used_does_not_count() -> None:
    docker = Check(name="docker", verdict="pass", cgroup_driver="systemd")
    assert counted(docker, [SOCKET]) is None
    assert counted(docker, LEFT) == docker


class TwoHandlers:
    """An older provider, whose verdicts do not say which handler they are about."""

    def contribute_dropin(self, node: Any) -> Any:
        return [RuntimeHandler(name="fast"), RuntimeHandler(name="slow")]

    def post_start_check(self, node: Any, cri: Any) -> Any:
        assert cri.handlers() is not None, "it is a CRI like any other"
        for handler in ("fast", "slow"):
            cri.run_in_sandbox(handler, "probe:1", ["uname"])
            yield Check(name=f"a container under {handler}", verdict="fail", handler=self.says)

    says = ""


@pytest.mark.parametrize("left", [LEFT, ()])
def test_the_proof_asks_what_a_check_ran_under_anothers_handler(left: tuple[Left, ...]) -> None:
    hooks = Hooks()
    hooks.register(Record("acme", "acme", "1", "active"), TwoHandlers())
    (check,) = provider_checks(hooks, {"acme": make_node("acme", None)}, left)
    found = [proof.check.verdict for proof in check(MadeUpCRI())]  # type: ignore[arg-type]
    assert found == (["unknown", "unknown"] if left else ["fail", "fail"])


def test_the_proof_asks_a_provider_that_rests_nothing() -> None:
    others = {"acme": (provider(*LOSER), None), "bcme": (provider(FAST), None)}
    found = settled(
        "bcme", **{name: list(p.contribute_dropin(None)) for name, (p, _) in others.items()}
    )
    records = tuple(replace(r, hooks=("post_start_check",)) for r in found.records)
    hooks = Hooks()
    for record in records:
        hooks.register(record, TwoHandlers())
    prepared: Any = SimpleNamespace(
        collected=replace(found, records=records),
        composition=SimpleNamespace(mode="standalone"),
        node=make_node("", None),
        settings={},
        discovered=SimpleNamespace(hooks=hooks),
    )
    proofs = [proof for check in checks_of(prepared) for proof in check(MadeUpCRI())]  # type: ignore[arg-type]
    assert {proof.provider for proof in proofs} == {"bcme"}


def test_without_a_word_of_the_operator_nothing_is_left_out() -> None:
    sockets = tuple(by(name, CRISocket(url=f"unix:///{name}")) for name in ("acme", "bcme"))
    assert settle(Collected(sockets=sockets), []) == (Collected(sockets=sockets), ())
    assert settle(Collected(sockets=sockets), ["other"]) == (Collected(sockets=sockets), ())


RUNSC = provider(RuntimeHandler(name="runsc", runtime_type="io.containerd.runsc.v1"))
STARGZ = provider(
    HandlerExtension(handler="runsc", snapshotter="stargz", options={"ConfigPath": "/x"}),
    DropIn(tables={"proxy_plugins": {"stargz": {"type": "snapshot", "address": "/run/s.sock"}}}),
)


@pytest.mark.parametrize("line", LINES)
def test_a_provider_extends_the_handler_of_another(line: str) -> None:
    node = make_node("stargz", None, line=line, mode="managed" if LINES[line][0] else None)
    made = compose(STARGZ, node, others={"gvisor": (RUNSC, None)})
    (handler,) = [h for h in made.handlers if h.name == "runsc"]
    assert handler.table["snapshotter"] == "stargz"
    assert handler.table["options"] == {"ConfigPath": "/x"}
    assert handler.owner == "gvisor", "it stays the handler of who defines it"
    written = texts(made)
    assert "stargz" not in written["containerd.d/k0sruntime-gvisor.toml"]
    assert 'snapshotter = "stargz"' in written["containerd.d/k0sruntime-stargz.toml"]


def test_from_containerd_2_on_the_images_table_knows_the_snapshotter_of_a_handler() -> None:
    others = {"gvisor": (RUNSC, None)}
    for line, wanted in (("1.35", None), ("2.1", {"runsc": {"snapshotter": "stargz"}})):
        made = compose(STARGZ, make_node("stargz", None, line=line), others=others)
        _, images = schema.cri_tables(made.effective, made.schema)
        assert images.get("runtime_platforms") == wanted, line


def test_an_extended_composition_passes_the_gate() -> None:
    node = make_node("stargz", None, mode="managed", binaries=True)
    made = compose(STARGZ, node, others={"gvisor": (RUNSC, None)})
    refuse(made, replace(node, paths=Paths(root="/image")))
    found = [f.rule.code for f in _findings(made, node) if f.path.endswith("-stargz.toml")]
    assert not found, "an extension alone is no broken handler"


def _findings(made: Any, node: Any) -> Any:
    from k0sruntime.lint import check
    from k0sruntime.lint.composed import subject_of, target_of

    return check(subject_of(made, node.paths), target_of(made, node), node.files)


def test_an_extension_of_a_handler_that_nobody_defines_has_no_effect_and_is_told() -> None:
    parts = (by("stargz", HandlerExtension(handler="runsc", snapshotter="stargz")),)
    found, notes = settle(Collected(parts=parts), [])
    assert found.parts == ()
    assert notes == ("stargz extends the handler runsc, which no provider defines here",)


def test_containerds_own_handler_can_be_extended() -> None:
    extension = provider(HandlerExtension(handler="runc", snapshotter="stargz"))
    made = compose(extension, make_node("stargz", None))
    (handler,) = [h for h in made.handlers if h.name == "runc"]
    assert handler.table["snapshotter"] == "stargz"


def test_a_key_that_the_handler_has_already_is_a_conflict_of_both() -> None:
    runsc = provider(RuntimeHandler(name="runsc", snapshotter="overlayfs"))
    with pytest.raises(ConflictError, match="snapshotter is 'overlayfs' for one provider"):
        compose(STARGZ, make_node("stargz", None), others={"gvisor": (runsc, None)})


def test_the_docs_say_what_is_stable_and_name_every_hook() -> None:
    text = (ROOT / "docs/vendors.md").read_text()
    for word in (*HOOKS, "contract = (1, 0)", "optional_hooks", "HandlerExtension", "prefer"):
        assert word in text, word
    major, minor = CONTRACT
    assert f"| {major}.{minor} | {CONTRACT_SINCE} |" in text, (
        "which distribution has which contract"
    )
