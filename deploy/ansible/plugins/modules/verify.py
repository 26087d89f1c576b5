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
  - Changes nothing, unless O(back_to) says where a node goes that fails.
options:
  back_to:
    description:
      - Generation to which a node goes back that fails, its settings with it.
        C(k0sruntime rollback) proves it.
      - The task fails all the same, with C(rolled_back) and with what failed. Where the way back is
        refused or fails, that is told beside.
      - V(0) is no generation; then nothing is put back.
    type: int
    default: 0
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
    back_to: "{{ changed.before }}"

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
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k0sruntime.node.plugins.module_utils import program


def main():
    module = AnsibleModule(
        argument_spec={
            **program.NODE,
            **program.CHANGE,
            **program.FETCH,
            "back_to": {"type": "int", "default": 0},
        },
        mutually_exclusive=program.EXCLUSIVE,
        supports_check_mode=True,
    )
    unknown = dict.fromkeys((*program.CHANGE, "cache"))
    answer = program.run(module, "verify", **unknown)
    back_to = module.params["back_to"]
    if answer.code == program.DONE or not back_to or module.check_mode:
        document = program.done(module, answer, "Verify")
        module.exit_json(changed=False, proofs=document["proofs"])
    back = program.run(module, "rollback", str(back_to))
    if back.code == program.DONE:
        program.fail(module, answer, changed=True, rolled_back=True)
    program.fail(module, answer, beside=back)


if __name__ == "__main__":
    main()
