"""What every command that changes the node does first: end what a killed one has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import owed, processes, service_copy, settings_file, transaction

if TYPE_CHECKING:
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Story


def recover(paths: Paths, story: Story) -> None:
    """Undo what a killed command has left, before anything else is done."""
    service_copy.recover(paths, story)
    if not paths.elsewhere and processes.running(paths) is None:
        from k0sruntime.modes import standalone

        found = standalone.find_again(paths)
        if found is not None:
            story.say(f"containerd, PID {found.pid}, is ours, and there was no record of it")
    if not transaction.unfinished(paths):
        transaction.undo(paths)  # there may be staged files without a journal
    else:
        with story.stage("recover") as tell:
            transaction.undo(paths)
            tell("an unfinished apply was undone")
    settings_file.recover(paths, story)
    if left := owed.owed(paths):
        from k0sruntime.modes import remote

        names = ", ".join(dict.fromkeys(spec.partition(":")[0] for spec in left))
        story.say(f"{names} was not yet told to read its file again, and is now")
        for note in remote.reload_owed(paths):
            story.say(note)
