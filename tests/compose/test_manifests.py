"""RuntimeClasses: printed for the cluster, and laid where a controller applies them."""

from __future__ import annotations

import pytest

from k0sruntime import RuntimeHandler
from k0sruntime.collect import Collected
from k0sruntime.compose import Existing, compose
from k0sruntime.compose.manifests import runtime_classes
from k0sruntime.contributions import Contribution, Owner
from k0sruntime.errors import ConflictError
from k0sruntime.testing import MadeUpFiles, make_node

MANIFEST = "/var/lib/k0s/manifests/k0sruntime/runtimeclasses.yaml"
WORKER = MadeUpFiles()
CONTROLLER = MadeUpFiles(contents={"/var/lib/k0s/manifests/coredns/coredns.yaml": ""})


def composed(*handlers: RuntimeHandler, files: MadeUpFiles = WORKER, mode: str = "managed"):
    owner = Owner("acme", "acme", "1.0", "contribute_dropin")
    parts = tuple(Contribution(owner, handler) for handler in handlers)
    return compose(
        make_node("node", None, files=files, mode=mode), Collected(parts=parts), Existing()
    )


def handler(name: str = "runsc", **more) -> RuntimeHandler:
    return RuntimeHandler(name=name, **{"runtime_class": "gvisor", **more})


def test_a_runtime_class_names_its_handler() -> None:
    assert runtime_classes(composed(handler()).handlers) == (
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata:\n  name: gvisor\nhandler: runsc\n"
    )


def test_overhead_and_scheduling_stand_in_it() -> None:
    tolerations = [{"key": "sandboxed", "operator": "Exists"}]
    scheduling = {"nodeSelector": {"sandboxed": "true"}, "tolerations": tolerations}
    made = handler(overhead={"memory": "64Mi", "cpu": "50m"}, scheduling=scheduling)
    assert runtime_classes(composed(made).handlers).partition("handler: runsc\n")[2] == (
        'overhead:\n  podFixed:\n    memory: "64Mi"\n    cpu: "50m"\n'
        'scheduling:\n  nodeSelector:\n    sandboxed: "true"\n'
        '  tolerations: [{"key": "sandboxed", "operator": "Exists"}]\n'
    )


@pytest.mark.parametrize("name", ["true", "1.36", "no", "1e3", "0x1", "y", "2026-01-01"])
def test_a_name_that_yaml_takes_for_something_else_is_quoted(name: str) -> None:
    text = runtime_classes(composed(handler(runtime_class=name)).handlers)
    assert f'name: "{name}"\n' in text


def test_a_pod_shows_how_it_is_used_when_asked_for() -> None:
    handlers = composed(handler()).handlers
    assert "kind: Pod" not in runtime_classes(handlers)
    shown = runtime_classes(handlers, example_pods=True)
    assert shown.count("---\n") == 1
    assert "kind: Pod" in shown
    assert "  runtimeClassName: gvisor\n" in shown


def test_two_handlers_of_one_runtime_class_are_refused_with_both_named() -> None:
    with pytest.raises(ConflictError, match="RuntimeClass 'gvisor': runsc and runsc-kvm"):
        composed(handler(), handler("runsc-kvm"), files=CONTROLLER)


def test_a_controller_is_given_them_as_a_file() -> None:
    (file,) = [f for f in composed(handler(), files=CONTROLLER).files if f.path == MANIFEST]
    assert file.content.startswith(b"# Written by k0sruntime")
    assert b"handler: runsc" in file.content
    assert not file.loaded, "containerd does not read it, so that it never bounces"


@pytest.mark.parametrize(
    ("files", "mode", "handlers"),
    [
        (MadeUpFiles(), "managed", [handler()]),
        (CONTROLLER, "standalone", [handler()]),
        (CONTROLLER, "managed", [handler(runtime_class="")]),
    ],
    ids=["a worker", "no k0s of ours", "no RuntimeClass"],
)
def test_nobody_else_is(files: MadeUpFiles, mode: str, handlers: list[RuntimeHandler]) -> None:
    assert MANIFEST not in [file.path for file in composed(*handlers, files=files, mode=mode).files]
