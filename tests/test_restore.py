"""Programs of an earlier generation: installed again before anything is changed, or refused."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import apply as apply_
from k0sruntime import install as install_
from k0sruntime import pipeline, provide, restore
from k0sruntime.binaries import Installation
from k0sruntime.cli.story import Silent
from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, DesiredFile
from k0sruntime.discovery import Discovered
from k0sruntime.errors import ExitCode, RefusedError
from k0sruntime.hooks import Hooks
from k0sruntime.installed import is_installed
from k0sruntime.ledger import State
from k0sruntime.node_provider import DownloadSettings, NodeSettings
from k0sruntime.observe import observe
from k0sruntime.paths import Paths
from k0sruntime.plan import Ledger, Observed, plan
from k0sruntime.stages import Outcome, Prepared, Request
from k0sruntime.testing import make_node
from tests.test_install import SCRIPT, installed, tar

ARCHIVE = tar({"acme": SCRIPT, "lib/data": b"x"})


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.in_sandbox(str(tmp_path))


def applied(paths: Paths, item: Installation) -> Ledger:
    """Apply a generation whose one file names an installed program."""
    text = f'BinaryName = "{item.folder}/acme"\n'.encode()
    file = DesiredFile(f"{paths.dropins}/k0sruntime-acme.toml", text, "acme")
    composition = Composition("standalone", 3, "native", (file,), installations=(item,))
    ledger = State(paths).ledger()
    return apply_.apply(plan(composition, observe(composition, paths, ledger)), paths, ledger)


def go_back(paths: Paths, wanted: Ledger, **more: Any) -> None:
    asked = Request(paths, **{"offline": True, "cache": f"{paths.sandbox}/cache", **more})
    restore.restore(asked, wanted, make_node("acme", None), NodeSettings(), Silent())


def where(paths: Paths, wanted: Ledger) -> str:
    return restore.programs(wanted, paths, f"{paths.sandbox}/cache")


def test_what_was_removed_is_installed_again_from_the_cache(paths: Paths) -> None:
    old = installed(paths, ARCHIVE, "1")
    first = applied(paths, old)
    applied(paths, installed(paths, ARCHIVE, "2"))
    assert where(paths, first) == "installed"
    install_.prune(paths, ())
    assert not is_installed(old, paths)
    assert where(paths, first) == "cached"
    Path(old.downloads[0].url).unlink()
    go_back(paths, first)
    assert is_installed(old, paths)
    assert Path(old.folder, "lib/data").read_bytes() == b"x"
    assert where(paths, first) == "installed"


def test_a_spoilt_one_is_installed_again_as_well(paths: Paths) -> None:
    old = installed(paths, ARCHIVE, "1")
    first = applied(paths, old)
    Path(old.folder, "acme").write_bytes(b"")
    go_back(paths, first)
    assert Path(old.folder, "acme").read_bytes() == SCRIPT


def test_what_cannot_be_had_any_more_is_refused_before_anything_is_written(paths: Paths) -> None:
    old = installed(paths, ARCHIVE, "1")
    first = applied(paths, old)
    install_.prune(paths, ())
    shutil.rmtree(f"{paths.sandbox}/cache")
    Path(old.downloads[0].url).unlink()
    assert where(paths, first) == "gone"
    with pytest.raises(RefusedError, match="could not be fetched") as refused:
        go_back(paths, first)
    assert refused.value.exit_code == ExitCode.REFUSED
    assert not Path(old.folder).exists()


def test_a_generation_without_a_record_is_refused_with_the_folder_that_it_names(
    paths: Paths,
) -> None:
    old = installed(paths, ARCHIVE, "1")
    first = replace(applied(paths, old), programs={})
    go_back(paths, first)
    install_.prune(paths, ())
    assert where(paths, first) == "gone"
    with pytest.raises(RefusedError, match="generation 1 needs programs that were") as refused:
        go_back(paths, first)
    assert refused.value.problems[0].place == old.folder


def test_an_url_whose_credentials_were_not_kept_is_not_asked(paths: Paths) -> None:
    """Nobody answers there: a socket that was opened would say so in another way."""
    item = installed(paths, ARCHIVE, "1")
    mark = Path(item.folder, ".k0sruntime.json")
    text = mark.read_text().replace(item.downloads[0].url, "http://****@127.0.0.1:9/acme.tar")
    mark.write_text(text)
    first = applied(paths, item)
    install_.prune(paths, ())
    shutil.rmtree(f"{paths.sandbox}/cache")
    with pytest.raises(RefusedError, match="--offline opens no socket"):
        go_back(paths, first, offline=False)


def aged(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.read_bytes() if path.exists() else b"x")
    then = time.time() - days * 86400
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize("own", [True, False])
def test_the_machines_own_cache_is_pruned_of_what_nothing_needs_for_long(
    paths: Paths, own: bool
) -> None:
    item = installed(paths, ARCHIVE, "1")
    applied(paths, item)
    cache = Path(paths.cache)
    needed = aged(cache / "sha512" / item.downloads[0].sha512, 400)
    stale = [aged(cache / "sha512" / ("1" * 128), 31), aged(cache / "partial" / ("2" * 128), 8)]
    fresh = [aged(cache / "sha512" / ("3" * 128), 29), aged(cache / "partial" / ("4" * 128), 6)]
    composition = Composition("standalone", 3, "native", installations=(item,))
    planned = plan(composition, Observed())
    prepared = Prepared(
        Discovered((), Hooks()),
        {"node": NodeSettings(downloads=DownloadSettings(cache="" if own else "/shared"))},
        make_node("acme", None, paths=paths),
        Collected(),
        composition,
        Observed(),
        planned,
    )
    outcome = provide.tidied(Request(paths), prepared, Outcome(planned))
    assert outcome.notes == ()
    assert needed.exists()
    assert all(path.exists() for path in fresh)
    assert [path.exists() for path in stale] == [not own] * 2


def test_a_cache_that_the_settings_name_is_told_by_purge_and_stays(tmp_path: Path) -> None:
    cache = tmp_path / "shared"
    cache.mkdir()
    for folder in ("etc/k0sruntime", "var"):
        (tmp_path / "node" / folder).mkdir(parents=True)
    (tmp_path / "node/.k0sruntime-sandbox").touch()
    settings = tmp_path / "node/etc/k0sruntime/config.toml"
    settings.write_text(f'[node.downloads]\ncache = "{cache}"\n')
    done = pipeline.down(
        Request(Paths.in_sandbox(str(tmp_path / "node"))), Silent(), pods=False, purge=True
    )
    assert f"the cache {cache} of [node.downloads] may be shared and stays" in done.notes[0]
    assert cache.exists()
    assert not settings.exists()


def test_a_ledger_of_before_the_record_is_read_and_written_again_with_it(paths: Paths) -> None:
    item = installed(paths, ARCHIVE, "1")
    after = applied(paths, item)
    State(paths).save(replace(after, programs={}, proved=True))
    again = applied(paths, item)
    assert again.programs == after.programs == State(paths).ledger().programs
    assert again.generation == after.generation
