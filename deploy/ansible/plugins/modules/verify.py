#!/usr/bin/python

# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ansible module: k0sruntime verify."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify
short_description: Prove a k0s node's running container runtime once more
version_added: 0.1.0
description:
  - Runs C(k0sruntime verify), a real sandbox under every handler among its layers.
  - The task fails where a layer fails, or where the node is held back on its last good
    configuration.
  - Changes nothing, unless O(back_to) or O(way_back) says where a node goes that fails.
  - A node goes back where a layer of the proof fails, with exit code 8. A proof that was refused,
    killed or not understood has failed nothing, and nothing is put back.
options:
  back_to:
    description:
      - Generation to which a node goes back that fails, with the settings of then where the present
        ones came with M(k0sruntime.node.up). C(k0sruntime rollback) proves it.
      - The task fails all the same, with C(rolled_back) and with what failed. Where the way back is
        refused or fails, that is told beside.
      - V(0) is no generation; then nothing is put back.
    type: int
    default: 0
  way_back:
    description:
      - The file in which M(k0sruntime.node.up) has noted the way back. Excludes O(back_to).
      - It is removed when the proof has passed, and when the node is back.
    type: path
extends_documentation_fragment:
  - k0sruntime.node.node
  - k0sruntime.node.node.change
  - k0sruntime.node.node.fetch
attributes:
  check_mode:
    support: full
    description: The proof is the same; nothing is put back.
  diff_mode:
    support: none
    description: What a generation holds is not shown.
seealso:
  - module: k0sruntime.node.up
  - module: k0sruntime.node.rollback
"""

EXAMPLES = r"""
- name: Prove the node
  k0sruntime.node.verify:
  register: proof

- name: Prove the node, and go back where it fails
  k0sruntime.node.verify:
    way_back: /var/lib/k0sruntime/way-back.json

- name: Show what is doubtful
  ansible.builtin.debug:
    msg: "{{ proof.proofs | rejectattr('verdict', 'equalto', 'pass') }}"
"""

RETURN = r"""
proofs:
  description: The verdicts, each with provider, name, verdict, detail and handler.
  returned: success
  type: list
  elements: dict
settings_stay:
  description:
    - The settings still ask for what the node has gone back from, for they did not come with
      M(k0sruntime.node.up). The next C(up) makes the same change again.
  returned: failed, and gone back
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k0sruntime.node.plugins.module_utils import program
from ansible_collections.k0sruntime.node.plugins.module_utils.way_back import (
    OPTION,
    STAYS,
    WayBack,
    stays,
)

KEPT = (
    "Nothing was put back, for no proof has failed. The way back to generation {number} is kept:"
    " the same task again proves the node, or takes it back."
)


def main():
    module = AnsibleModule(
        argument_spec={
            **program.NODE,
            **program.CHANGE,
            **program.FETCH,
            **OPTION,
            "back_to": {"type": "int", "default": 0},
        },
        mutually_exclusive=[*program.EXCLUSIVE, ("back_to", "way_back")],
        supports_check_mode=True,
    )
    way_back = WayBack(module)
    unknown = dict.fromkeys((*program.CHANGE, "cache"))
    answer = program.run(module, "verify", **unknown)
    target = module.params["back_to"] or way_back.generation
    if answer.code == program.VERIFY_FAILED and target and not module.check_mode:
        go_back(module, answer, way_back, target)
    if answer.code not in (program.DONE, program.VERIFY_FAILED) and target:
        program.fail(module, answer, remark=KEPT.format(number=target))
    document = program.done(module, answer, "Verify")
    if not module.check_mode:
        way_back.forget()
    module.exit_json(changed=False, proofs=document["proofs"])


def go_back(module, answer, way_back, target):
    """Take the node back that has failed its proof, and fail with what it failed."""
    back = program.run(module, "rollback", str(target))
    if back.code != program.DONE:
        program.fail(module, answer, beside=back)
    way_back.forget()
    stay = stays(module)
    remark = f"The node is back on generation {target}." + (f" {STAYS}" if stay else "")
    program.fail(module, answer, remark=remark, changed=True, rolled_back=True, settings_stay=stay)


if __name__ == "__main__":
    main()
