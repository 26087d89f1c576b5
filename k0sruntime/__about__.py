"""The version of the host and of the four first-party providers, kept here alone."""

__version__ = "0.1.0"

CONTRACT = (1, 0)
"""Version of the hook contract as ``(major, minor)``.

A provider built for another major, or for a newer minor, is refused; a new minor only adds.
It is no part of ``__version__``: a host 1.0 or 2.0 may have the same contract as the one before.
What is stable stands in docs/vendors.md.
"""

CONTRACT_SINCE = "0.1"
"""The first version with that contract: what a provider written for it requires, with no upper
bound, for the host itself refuses what its contract does not fit."""
