#!/usr/bin/python

# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ansible module: k0sruntime up."""

from __future__ import annotations

DOCUMENTATION = r"""
module: up
short_description: Bring a k0s node's container runtime to what its settings say, and prove it
version_added: 0.1.0
description:
  - Runs C(k0sruntime up). The configuration is composed, checked by the node's own containerd,
    written in one transaction, and proved with a sandbox under every handler.
  - Where the proof fails, k0sruntime puts the old state back and proves that; the task fails.
  - The settings file is written when all has passed. Where something fails, or the node or the
    connection is lost in the middle, the old one is there.
  - With check mode, C(k0sruntime plan) runs instead. With diff mode its plan is shown, secrets
    masked.
options:
  settings:
    description:
      - What the settings file is to say, as TOML. Without it the file is taken as it lies there.
      - Never logged and never shown, for it may hold credentials of registries.
      - A new file is readable for its owner alone.
    type: str
  bundle:
    description:
      - Archive on the node that C(k0sruntime bundle) has made; settings, images and programs come
        out of it.
      - With O(settings), make it without settings of its own.
    type: path
  way_back:
    description:
      - File on the node in which the way back is noted before the node is touched, and kept until
        M(k0sruntime.node.verify) has passed or the node is back.
      - Where a run was cut before that, the note of then stays, so that the next run goes on.
    type: path
  supervisor:
    description: Leave a supervisor behind, or not. Without it as the settings say.
    type: bool
extends_documentation_fragment:
  - k0sruntime.node.node
  - k0sruntime.node.node.change
  - k0sruntime.node.node.fetch
attributes:
  check_mode:
    support: full
    description: The plan is made with the settings given, and nothing is written.
  diff_mode:
    support: full
    description: Shows the plan.
seealso:
  - module: k0sruntime.node.verify
  - module: k0sruntime.node.rollback
"""

EXAMPLES = r"""
- name: Bring the node to its settings
  k0sruntime.node.up:
    settings: "{{ lookup('ansible.builtin.template', 'k0sruntime.toml.j2') }}"

- name: The same on a node without a network
  k0sruntime.node.up:
    settings: "{{ k0sruntime_settings }}"
    offline: true
"""

RETURN = r"""
generation:
  description: The generation that the node has now; in check mode, the one that it would have.
  returned: success
  type: int
before:
  description:
    - The generation to go back to, the last one before that was proved; V(0) for none.
    - As RV(generation) where none was made.
  returned: success, not in check mode
  type: int
back_to:
  description:
    - The generation to which a node goes back that does not pass, out of O(way_back). V(0) where
      nothing waits for its proof.
  returned: success, not in check mode
  type: int
ran:
  description: What became of containerd, such as started, bounced or adopted; empty for nothing.
  returned: success, not in check mode
  type: str
bounce:
  description: Whether containerd has to be started or bounced, and why.
  returned: success
  type: dict
  contains:
    verdict:
      description: start, bounce, stop or none.
      type: str
    reason:
      description: Why.
      type: str
files:
  description: The files that changed, each with path, action and owner.
  returned: success
  type: list
  elements: dict
handlers:
  description: The runtime handlers, each with name, owner and RuntimeClass.
  returned: success, not in check mode
  type: list
  elements: dict
proofs:
  description: The verdicts of the proof.
  returned: success, not in check mode
  type: list
  elements: dict
notes:
  description: What a person must know.
  returned: success, not in check mode
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k0sruntime.node.plugins.module_utils import plans, program
from ansible_collections.k0sruntime.node.plugins.module_utils.settings import Settings
from ansible_collections.k0sruntime.node.plugins.module_utils.way_back import OPTION, WayBack

NOT_THERE = {
    "prepared": "k0sruntime or its bundle is not on this node yet, so its plan cannot be shown.\n"
}
KEPT = ("generation", "before", "ran", "handlers", "proofs", "notes")


def main():
    module = AnsibleModule(
        argument_spec={
            **program.NODE,
            **program.CHANGE,
            **program.FETCH,
            **OPTION,
            "settings": {"type": "str", "no_log": True},
            "bundle": {"type": "path"},
            "supervisor": {"type": "bool"},
        },
        mutually_exclusive=program.EXCLUSIVE,
        supports_check_mode=True,
    )
    settings = Settings(module)
    if not module.check_mode:
        apply(module, settings)
    elif program.is_there(module) and os.path.exists(module.params["bundle"] or "/"):
        foresee(module, settings)
    else:
        module.exit_json(changed=True, diff=NOT_THERE)


def foresee(module, settings):
    """Plan with the settings given, and write nothing."""
    instead = {"settings_file": settings.as_file()} if settings.differ else {}
    if carried := bundle(module.params):
        answer = program.run(module, "up", "--dry-run", *carried, **instead)
    else:
        unknown = dict.fromkeys((*program.CHANGE, *program.FETCH))
        answer = program.run(module, "plan", **unknown, **instead)
    plan = program.done(module, answer, "Plan")
    finish(module, settings, plan, generation=plan["generation"])


def apply(module, settings):
    """Run up with the settings given, which it puts in place itself."""
    way_back = WayBack(module)
    if started := not module.params["root"]:
        way_back.begin(program.status(module))
    options = [*bundle(module.params), *supervisor(module.params["supervisor"])]
    if settings.given is not None:
        options.append(f"--settings-from={settings.as_file()}")
    answer = program.run(module, "up", *options)
    if answer.code != program.DONE and started:
        give_up(module, answer, way_back)
    document = program.done(module, answer, "Up")
    way_back.settle(document["generation"])
    settings.warn_if_missing()
    kept = {key: document[key] for key in KEPT}
    finish(module, settings, document["plan"], back_to=way_back.generation, **kept)


def give_up(module, answer, way_back):
    """Fail, and tell whether the node has changed all the same: it knows that itself."""
    status = program.asked_status(module).document
    if status.get("kind") != "Status":
        program.fail(module, answer)
    if not status["unfinished"]:
        way_back.settle(status["generation"])
    changed = status["unfinished"] or status["generation"] != way_back.before
    program.fail(module, answer, changed=changed)


def bundle(params):
    """Return the option that names the bundle."""
    return [f"--bundle={params['bundle']}"] if params["bundle"] else []


def supervisor(wanted):
    """Return the option that says whether a supervisor stays behind."""
    return [] if wanted is None else ["--supervisor" if wanted else "--no-supervisor"]


def finish(module, settings, plan, **result):
    """Tell what changed, or would."""
    ran = result.get("ran", "") not in ("", "adopted")
    if module._diff:
        result["diff"] = plans.diff(plan, settings.differ)
    module.exit_json(
        changed=bool(settings.differ or plan["pending"] or ran),
        bounce=plan["bounce"],
        files=plans.pending(plan),
        **result,
    )


if __name__ == "__main__":
    main()
