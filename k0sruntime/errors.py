"""Every way in which a command can end badly, and what its exit code is.

::

    K0sRuntimeError
    ├── UsageError           2   the command line makes no sense
    ├── RefusedError         3   this host or configuration is refused; nothing was written
    ├── ProviderError        4   a provider is broken; nothing was written
    ├── ConflictError        5   two sides want the same thing; nothing was written
    ├── RolledBackError      6   applied, not proved, and put back
    ├── RollbackFailedError  7   applied, not proved, and not put back: hands are needed
    ├── VerifyFailedError    8   the running node does not pass the proof
    └── UnjudgedError        9   nobody can tell: what would have to be read could not be

An error is a list of problems, so that one run tells all that is wrong. A problem says what,
where, who, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from k0sruntime import masking

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """Exit codes of every command; scripts may rely on them."""

    DONE = 0
    """What was asked is so."""
    BUG = 1
    """A fault of ours, and the message says what to send; or an output that cannot be written, as
    on a full disk: what was done is done then."""
    USAGE = 2
    """An unknown command, option or argument."""
    REFUSED = 3
    """The host or the configuration is refused; nothing was written."""
    PROVIDER = 4
    """A provider could not be imported, raised, hung or answered nonsense; nothing was written."""
    CONFLICT = 5
    """Two providers, or a provider and a foreign file, want the same thing; nothing was written."""
    ROLLED_BACK = 6
    """Applied, failed its proof; the old state is back and proved."""
    ROLLBACK_FAILED = 7
    """Applied, failed its proof, and the old state is not back: hands are needed."""
    VERIFY_FAILED = 8
    """The running node fails its proof; nothing was changed."""
    UNJUDGED = 9
    """``rehearse``: what would become of the node could not be told; nothing was written."""
    PENDING = 10
    """``plan --exit-code``: there are changes to apply."""
    INTERRUPTED = 130
    """Ctrl-C."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. What is secret in an URL is masked, whoever wrote the sentence.

    Attributes:
        message: what is wrong, as a sentence without a full stop at its end.
        place: where: ``file:line``, ``file: table.key``, or ``provider gvisor, hook cri_socket``.
        culprit: whose it is: a distribution with version, ``a foreign file``, ``k0s``.
        remedy: what to do about it, as an imperative sentence.
    """

    message: str
    place: str = ""
    culprit: str = ""
    remedy: str = ""

    def __post_init__(self) -> None:
        """Mask users, passwords and queries of URLs: every problem is shown to somebody."""
        for name in ("message", "place", "culprit", "remedy"):
            object.__setattr__(self, name, masking.text(getattr(self, name)))

    def lines(self) -> list[str]:
        """Return the problem as the lines that a person reads, the message first."""
        found = [self.message]
        if self.place:
            found.append(f"  where: {self.place}")
        if self.culprit:
            found.append(f"  who:   {self.culprit}")
        if self.remedy:
            found.append(f"  do:    {self.remedy}")
        return found


class K0sRuntimeError(Exception):
    """Base of all errors that a user is meant to see."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("; ".join(problem.message for problem in self.problems))

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> K0sRuntimeError:
        """Make one error of many problems."""
        return cls(*problems)


class UsageError(K0sRuntimeError):
    """The command line makes no sense."""

    exit_code = ExitCode.USAGE


class RefusedError(K0sRuntimeError):
    """This host or this configuration is refused, and nothing was written."""

    exit_code = ExitCode.REFUSED


class LockedError(RefusedError):
    """Another command holds the node's lock, and was not done in time."""


class ProviderError(K0sRuntimeError):
    """A provider is broken, and nothing was written."""

    exit_code = ExitCode.PROVIDER


class ConflictError(K0sRuntimeError):
    """Two sides want the same thing, and nothing was written."""

    exit_code = ExitCode.CONFLICT


class RolledBackError(K0sRuntimeError):
    """The change was applied, failed its proof, and the old state is back and proved."""

    exit_code = ExitCode.ROLLED_BACK


class RollbackFailedError(K0sRuntimeError):
    """The change was applied, failed its proof, and the old state could not be proved again."""

    exit_code = ExitCode.ROLLBACK_FAILED


class VerifyFailedError(K0sRuntimeError):
    """The running node does not pass its proof."""

    exit_code = ExitCode.VERIFY_FAILED


class UnjudgedError(K0sRuntimeError):
    """What was asked cannot be told, for something could not be read; nothing was written."""

    exit_code = ExitCode.UNJUDGED


class Inactive(Exception):  # noqa: N818 - not an error: a provider's way to say why it rests
    """Raised by a provider's hook: there is nothing for it to do on this node, and why.

    The reason is a clause that completes ``inactive: …``, such as
    ``no NVIDIA GPU on the PCI bus``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refused(Exception):  # noqa: N818 - a provider's way to say what this node cannot have
    """Raised by a provider's hook: the settings ask for what this node cannot do.

    Nothing is written. The host adds who says so; a problem tells what is wrong and what to do,
    such as ``Problem("platform = 'kvm': /dev/kvm is not there", remedy="Take systrap.")``.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class CRIError(Exception):
    """A CRI call failed; ``code`` is gRPC's name for how (``UNIMPLEMENTED``, ``NOT_FOUND``, …)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
