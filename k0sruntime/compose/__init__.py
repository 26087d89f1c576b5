"""Third stage: everything that the node shall have, as pure data with provenance.

``compose`` takes what was collected and what already lies on the node, and returns a
``Composition``: the files to write, and what containerd will make of all files together. It reads
nothing and writes nothing.
"""

from k0sruntime.compose.composition import (
    Composition,
    Handler,
    compose,
)
from k0sruntime.compose.existing import Existing
from k0sruntime.compose.files import DesiredFile

__all__ = ["Composition", "DesiredFile", "Existing", "Handler", "compose"]
