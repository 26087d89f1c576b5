"""Rewriting a drop-in or a main file for the other schema, key by key.

``containerd config migrate`` prints the whole configuration with all defaults. This does the
opposite: only what the file sets is moved, comments and order stay, and what the other containerd
has no place for is said and left behind as a comment. ``migrate`` is a function of text.
"""

from k0sruntime.migrate.rewrite import Migration, Note, migrate

__all__ = ["Migration", "Note", "migrate"]
