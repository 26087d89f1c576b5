"""What a vendor needs to test a provider without a node.

Made-up nodes, what a provider comes to on them, a made-up CRI, and the conformance kit, which is a
plugin of pytest: ``pytest --k0sruntime-conformance`` checks what is installed (``testing.plugin``).

Example::

    from k0sruntime.testing import LINES, compose, make_node, texts

    @pytest.mark.parametrize("line", LINES)
    def test_crun_is_a_handler(line):
        node = make_node("crun", CrunSettings(), line=line, binaries=["crun"])
        (handler,) = provider.contribute_dropin(node)
        assert handler.options["BinaryName"] == "/usr/bin/crun"
        assert "crun" in texts(compose(provider, node))["containerd.d/k0sruntime-crun.toml"]
"""

from k0sruntime.testing.composed import compose, snapshots, texts
from k0sruntime.testing.made_up_cri import MadeUpCRI
from k0sruntime.testing.nodes import LINES, AnyProgram, MadeUpFiles, bare_node, make_node

__all__ = [
    "LINES",
    "AnyProgram",
    "MadeUpCRI",
    "MadeUpFiles",
    "bare_node",
    "compose",
    "make_node",
    "snapshots",
    "texts",
]
