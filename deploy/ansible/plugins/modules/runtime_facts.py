#!/usr/bin/python

# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ansible module: k0sruntime status as facts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runtime_facts
short_description: Learn what container runtime runs on a k0s node, and what the last proof said
version_added: 0.1.0
description:
  - Runs C(k0sruntime status) and returns its document as the fact C(k0sruntime).
  - Works on a node whose settings are refused as well; then C(problems) says why.
extends_documentation_fragment:
  - k0sruntime.node.node
attributes:
  check_mode:
    support: full
    description: The same with and without.
  diff_mode:
    support: none
    description: Nothing changes.
  facts:
    support: full
    description: Returns C(ansible_facts).
"""

EXAMPLES = r"""
- name: Learn what runs
  k0sruntime.node.runtime_facts:

- name: Show the generation of every node
  ansible.builtin.debug:
    msg: "generation {{ ansible_facts.k0sruntime.generation }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts of the node.
  returned: success
  type: dict
  contains:
    k0sruntime:
      description:
        - The document of C(k0sruntime status --json), among others mode, generation, proved,
          running, supervisor, owned, foreign, drift, pending, held, proofs and problems.
      type: dict
      returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k0sruntime.node.plugins.module_utils import program


def main():
    module = AnsibleModule(
        argument_spec=program.NODE,
        mutually_exclusive=program.EXCLUSIVE,
        supports_check_mode=True,
    )
    status = program.status(module)
    module.exit_json(changed=False, ansible_facts={"k0sruntime": status})


if __name__ == "__main__":
    main()
