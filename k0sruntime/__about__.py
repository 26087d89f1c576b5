"""The version of the host and of the four first-party providers, kept here alone."""

__version__ = "0.1.0"

CONTRACT = (1, 0)
"""Version of the hook contract as ``(major, minor)``.

A provider built for another major, or for a newer minor, is refused; a new minor only adds.
What is stable stands in docs/vendors.md.
"""
