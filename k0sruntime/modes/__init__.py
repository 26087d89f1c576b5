"""The three ways in which a node gets its CRI: start, bounce, stop.

``standalone``: we run containerd with k0s's paths. ``managed``: k0s runs it, we only write.
``remote``: another runtime serves the CRI, and k0s is pointed at its socket.
"""
