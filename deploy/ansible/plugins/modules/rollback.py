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
  - Settings that came with M(k0sruntime.node.up) go back as well. Others stay, and the next C(up),
    that of the next boot too, composes anew from them, so change them as well.
options:
  generation:
    description:
      - The generation to go back to.
      - Without it the last one that was proved before the present one. That is another one each
        time, so such a task always changes the node.
    type: int
  way_back:
    description:
      - The file in which M(k0sruntime.node.up) has noted the way back. The node goes to the
        generation that it names, and nothing happens where there is none.
      - Excludes O(generation).
    type: path
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
settings_stay:
  description: The settings still ask for something else, which the next C(up) makes.
  returned: changed, not in check mode
  type: bool
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
from ansible_collections.k0sruntime.node.plugins.module_utils.way_back import (
    OPTION,
    WayBack,
    stays,
)

KEPT = ("generation", "ran", "proofs")


def main():
    module = AnsibleModule(
        argument_spec={
            **program.NODE,
            **program.CHANGE,
            **program.FETCH,
            **OPTION,
            "generation": {"type": "int"},
        },
        mutually_exclusive=[*program.EXCLUSIVE, ("generation", "way_back")],
        supports_check_mode=True,
    )
    way_back = WayBack(module)
    wanted = module.params["generation"]
    if way_back.path is not None:
        wanted = way_back.generation or None
    status = program.status(module)
    if way_back.path is not None and wanted is None:
        module.exit_json(changed=False, generation=status["generation"])
    if wanted is not None and wanted == status["generation"] and not status["unfinished"]:
        module.exit_json(changed=False, generation=wanted)
    if module.check_mode:
        module.exit_json(changed=True)
    arguments = [] if wanted is None else [str(wanted)]
    document = program.done(module, program.run(module, "rollback", *arguments), "Up")
    way_back.forget()
    kept = {key: document[key] for key in KEPT}
    module.exit_json(changed=True, settings_stay=stays(module), **kept)


if __name__ == "__main__":
    main()
