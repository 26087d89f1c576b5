# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""The way back from a change that is not proved yet, noted on the node itself.

A roll-out may be cut between a change and its proof. The note is there before the node is touched,
and until the proof has passed or the node is back. So the next run, from whichever controller,
knows that there is something to prove, and where the node goes if that fails.
"""

from __future__ import annotations

import json
import os
import tempfile

from ansible_collections.k0sruntime.node.plugins.module_utils import plans, program

OPTION = {"way_back": {"type": "path"}}
STAYS = (
    "What the settings ask for stays: the next up, that of the next boot as well, makes the change"
    " again. Mend them."
)


class WayBack:
    """The note on a node: where it goes back to, and from which generation."""

    def __init__(self, module):
        self.module = module
        self.path = module.params["way_back"]
        self.before = 0
        self._is_new = False
        self._note = self._read()

    @property
    def generation(self):
        """The generation to go back to; 0 where nothing waits for its proof."""
        return self._note.get("generation", 0)

    def begin(self, status):
        """Note the way back before a change, unless that of an earlier one still waits."""
        self.before = status["generation"]
        if self.path is None or self._waits():
            return
        self._is_new, target = True, last_proved(status)
        if target:
            self._save({"generation": target, "from": self.before, "unproved": 0})
        else:
            self.forget()

    def _waits(self):
        """Tell whether the note is of what the node has: another hand may have changed it since."""
        if not self._note:
            return False
        unproved = self._note["unproved"]
        return self.before == unproved if unproved else self.before != self._note["from"]

    def settle(self, present):
        """Note the generation that the change has made; forget it where it has made none."""
        if self._is_new and present == self.before:
            self.forget()
        elif self._note:
            self._save({**self._note, "unproved": present})

    def forget(self):
        """Remove the note: the node is proved, or back."""
        self._note = {}
        if self.path is None:
            return
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            self._fail(exc)

    def _save(self, note):
        """Write the note so that a power cut leaves the old one or this one."""
        self._note = note
        folder = os.path.dirname(self.path)
        try:
            descriptor, scratch = tempfile.mkstemp(prefix=".way-back-", dir=folder)
            self.module.add_cleanup_file(scratch)
            with os.fdopen(descriptor, "w") as file:
                json.dump(note, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, self.path)
            here = os.open(folder, os.O_RDONLY)
            os.fsync(here)
            os.close(here)
        except OSError as exc:
            self._fail(exc)

    def _read(self):
        try:
            with open(self.path or os.devnull, encoding="utf-8") as file:
                note = json.load(file)
            return {key: int(note[key]) for key in ("generation", "from", "unproved")}
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
            return {}
        except OSError as exc:
            return self._fail(exc)

    def _fail(self, exc):
        self.module.fail_json(msg=f"the way back cannot be noted: {exc}", problems=[])


def last_proved(status):
    """Return the present generation, or the last proved one before it where it is not; else 0."""
    present = status["generation"]
    if status["proved"]:
        return present
    proved = [one["generation"] for one in status["generations"] if one["proved"]]
    return max((number for number in proved if number < present), default=0)


def stays(module):
    """Tell whether the settings still ask for what the node has gone back from."""
    unknown = dict.fromkeys((*program.CHANGE, *program.FETCH))
    plan = program.run(module, "plan", **unknown).document
    return plan.get("kind") == "Plan" and bool(plans.pending(plan))
