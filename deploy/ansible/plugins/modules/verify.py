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
  - Changes nothing. The task fails where a layer fails, or where the node is held back on its last
    good configuration.
options:
  offline:
    description: Open no socket to another machine, and ask no registry.
    type: bool
    default: false
extends_documentation_fragment:
  - k0sruntime.node.node
attributes:
  check_mode:
    support: full
    description: The same with and without.
  diff_mode:
    support: none
    description: Nothing changes.
seealso:
  - module: k0sruntime.node.up
"""

EXAMPLES = r"""
- name: Prove the node
  k0sruntime.node.verify:
  register: proof

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
        argument_spec={**program.NODE, "offline": program.FETCH["offline"]},
        mutually_exclusive=program.EXCLUSIVE,
        supports_check_mode=True,
    )
    document = program.done(module, program.run(module, "verify"), "Verify")
    module.exit_json(changed=False, proofs=document["proofs"])


if __name__ == "__main__":
    main()
