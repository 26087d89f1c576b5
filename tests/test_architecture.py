"""The design's rules about the rooms, kept by reading the code's own imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "k0sruntime"
MODULES = sorted(PACKAGE.rglob("*.py"))
PURE = [
    "node.py",
    "paths.py",
    "contributions.py",
    "handlers.py",
    "choice.py",
    "precedence.py",
    "belongings.py",
    "going.py",
    "hookspecs.py",
    "errors.py",
    "settings.py",
    "node_provider.py",
    "collect.py",
    "plan.py",
    "loads_now.py",
    "key_changes.py",
    "explain.py",
    "lines.py",
    "file_names.py",
    "toml.py",
    "report.py",
    "type_words.py",
    "described.py",
    *(str(path.relative_to(PACKAGE)) for path in (PACKAGE / "documents").rglob("*.py")),
    "proof.py",
    "values.py",
    "gate.py",
    "repair.py",
    "masking.py",
    "binaries.py",
    "service.py",
    "loaded.py",
    "hosts_folders.py",
    "coherence.py",
    "units.py",
    "rolled_back.py",
    "rehearsal.py",
    "trial_room.py",
    *(f"seen/{name}.py" for name in ("document", "describe", "fleet", "tree", "metrics")),
    "bundle/manifest.py",
    "bundle/script.py",
    *(str(path.relative_to(PACKAGE)) for path in (PACKAGE / "compose").rglob("*.py")),
    *(str(path.relative_to(PACKAGE)) for path in (PACKAGE / "pulls").rglob("*.py")),
    *(
        str(path.relative_to(PACKAGE))
        for path in (PACKAGE / "lint").rglob("*.py")
        if path.name != "config_dump.py"
    ),
]
IMPURE = {
    "os",
    "subprocess",
    "socket",
    "time",
    "shutil",
    "tempfile",
    "random",
    "threading",
    "asyncio",
    "signal",
    "urllib",
    "http",
    "pathlib",
    "io",
    "grpc",
    "watchfiles",
    "platform",
    "requests",
    "fcntl",
    "tarfile",
}
WRITERS = {
    "apply.py",
    "staging.py",
    "transaction.py",
    "durable.py",
    "lock.py",
    "cache.py",
    "install.py",
    "quarantine.py",
    "unpack.py",
    "sandbox.py",
    "modes/standalone.py",
    "modes/log.py",
    "modes/beside.py",
    "supervisor.py",
    "cli/man.py",
    "bundle/archive.py",
    "bundle/deliver.py",
    "bundle/pack.py",
    "bundle/placed.py",
    "cli/migrate.py",
    "cli/new.py",
    "testing/kept.py",
    "namespaces.py",
}
STARTERS = {
    "programs.py",
    "supervisor.py",
    "worker.py",
    "modes/standalone.py",
    "lint/config_dump.py",
    "testing/fresh.py",
    "trial.py",
    "namespaces.py",
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def calls(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            found.add(ast.unparse(node.func))
            if ast.unparse(node.func) == "open" and _writes(node):
                found.add("open for writing")
    return found


def _writes(call: ast.Call) -> bool:
    mode = call.args[1] if len(call.args) > 1 else None
    return isinstance(mode, ast.Constant) and bool(set(str(mode.value)) & set("wax+"))


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("module", PURE)
def test_a_pure_room_imports_nothing_impure(module: str) -> None:
    roots = {found.split(".")[0] for found in imports(PACKAGE / module)}
    assert not roots & IMPURE


def test_only_hooks_imports_pluggy() -> None:
    assert [name(p) for p in MODULES if any(i.split(".")[0] == "pluggy" for i in imports(p))] == [
        "hooks.py"
    ]


def test_only_discovery_reads_entry_points() -> None:
    found = [name(p) for p in MODULES if any("importlib_metadata" in i for i in imports(p))]
    assert found == ["discovery.py", "provider_commands.py"], "of providers, and of their commands"


def test_only_apply_and_ledger_write_the_nodes_files() -> None:
    writing = {
        "open for writing",
        "os.replace",
        "os.unlink",
        "os.rename",
        "shutil.rmtree",
        "os.mkdir",
    }
    found = {name(p) for p in MODULES if calls(p) & writing}
    assert found <= WRITERS, "besides, logs are opened and sockets cleared, no more"


def test_only_the_ends_start_processes() -> None:
    starting = {"subprocess.run", "subprocess.Popen", "os.fork", "os.execv", "os.spawnv"}
    assert {name(p) for p in MODULES if calls(p) & starting} <= STARTERS


def test_only_web_speaks_http() -> None:
    found = [name(p) for p in MODULES if any(i.split(".")[0] == "requests" for i in imports(p))]
    assert found == ["web.py"]


def test_only_cri_speaks_grpc() -> None:
    found = [
        name(p) for p in MODULES if any(i.split(".")[0] in ("grpc", "cri_api") for i in imports(p))
    ]
    assert found == ["cri.py"]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_module_keeps_mutable_state(path: Path) -> None:
    """Module-level names are constants: no empty list or dict waits to be filled, nothing global."""
    tree = ast.parse(path.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in tree.body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        empty = (
            (isinstance(value, ast.Dict) and not value.keys)
            or (isinstance(value, ast.List) and not value.elts)
            or (isinstance(value, ast.Call) and ast.unparse(value.func) in ("dict", "list", "set"))
        )
        assert not empty, ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_data_flows_one_way(path: Path) -> None:
    """A stage imports earlier stages and plain data, never a later stage at import time."""
    order = ["collect", "compose", "plan", "ledger", "apply", "modes", "run", "pipeline", "cli"]
    stage = name(path).split("/")[0].removesuffix(".py")
    if stage not in order:
        return
    later = order[order.index(stage) + 1 :]
    top = ast.parse(path.read_text()).body
    found = {
        n.module.split(".")[1]
        for n in top
        if isinstance(n, ast.ImportFrom) and n.module and n.module.startswith("k0sruntime.")
    }
    assert not found & set(later)


def test_every_module_stays_within_reach_of_one_reading() -> None:
    long = {name(p): n for p in MODULES if (n := len(p.read_text().splitlines())) > 360}
    assert not long


def test_what_a_vendor_imports_is_what_is_promised() -> None:
    import k0sruntime

    for promised in k0sruntime.__all__:
        assert getattr(k0sruntime, promised) is not None


PLUGINS = sorted((PACKAGE.parent / "plugins").glob("*/k0sruntime_*/**/*.py"))


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_provider_uses_nothing_that_a_vendor_could_not(path: Path) -> None:
    import k0sruntime

    found = [name for name in imports(path) if name.split(".")[0] == "k0sruntime"]
    assert {name.partition(".")[2] for name in found} - {""} <= set(k0sruntime.__all__)
