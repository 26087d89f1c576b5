#!/usr/bin/python

# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ansible module: k0sruntime rollback."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Go back to an earlier generation of a k0s node's container runtime
version_added: 0.1.0
description:
  - Runs C(k0sruntime rollback). The files come back as they were, containerd is bounced once and
    proved.
  - Nothing happens on a node that has that generation already.
  - The next M(k0sruntime.node.up) composes anew, so change the settings as well.
options:
  generation:
    description:
      - The generation to go back to.
      - Without it the last one that was proved before the present one. That is another one each
        time, so such a task always changes the node.
    type: int
extends_documentation_fragment:
  - k0sruntime.node.node
  - k0sruntime.node.node.change
  - k0sruntime.node.node.fetch
attributes:
  check_mode:
    support: full
    description: Tells whether the node has that generation; going back is not tried.
  diff_mode:
    support: none
    description: What a generation holds is not shown.
seealso:
  - module: k0sruntime.node.up
"""

EXAMPLES = r"""
- name: Go back to the third generation
  k0sruntime.node.rollback:
    generation: 3
"""

RETURN = r"""
generation:
  description: The generation that the node has now.
  returned: success, not in check mode
  type: int
ran:
  description: What became of containerd, such as bounced.
  returned: changed, not in check mode
  type: str
proofs:
  description: The verdicts of the proof.
  returned: changed, not in check mode
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k0sruntime.node.plugins.module_utils import program

KEPT = ("generation", "ran", "proofs")


def main():
    module = AnsibleModule(
        argument_spec={
            **program.NODE,
            **program.CHANGE,
            **program.FETCH,
            "generation": {"type": "int"},
        },
        mutually_exclusive=program.EXCLUSIVE,
        supports_check_mode=True,
    )
    wanted = module.params["generation"]
    none = dict.fromkeys((*program.CHANGE, *program.FETCH))
    status = program.status(module, program.run(module, "status", **none))
    if wanted is not None and wanted == status["generation"] and not status["unfinished"]:
        module.exit_json(changed=False, generation=wanted)
    if module.check_mode:
        module.exit_json(changed=True)
    arguments = [] if wanted is None else [str(wanted)]
    document = program.done(module, program.run(module, "rollback", *arguments), "Up")
    module.exit_json(changed=True, **{key: document[key] for key in KEPT})


if __name__ == "__main__":
    main()
