"""One archive for a site without a network: wheels, programs, images and settings.

``contents.py`` gathers them where there is a network, ``pack.py`` writes them; ``archive.py`` reads
and checks them on the node, and ``deliver.py`` brings the node to what they say.
"""
