#!/usr/bin/python

# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ansible module: k0sruntime down."""

from __future__ import annotations

DOCUMENTATION = r"""
module: down
short_description: Take away what k0sruntime has put onto a k0s node, and nothing else
version_added: 0.1.0
description:
  - Runs C(k0sruntime down), which stops what k0sruntime started and removes what it owns.
options:
  pods:
    description: Stop and remove all pods first; else they live on.
    type: bool
    default: false
  purge:
    description: Remove state and installed programs as well; with O(sandbox) the whole sandbox.
    type: bool
    default: false
extends_documentation_fragment:
  - k0sruntime.node.node
  - k0sruntime.node.node.change
attributes:
  check_mode:
    support: full
    description: Tells whether there is anything of ours to remove or to stop.
  diff_mode:
    support: none
    description: Look at RV(removed).
seealso:
  - module: k0sruntime.node.up
"""

EXAMPLES = r"""
- name: Leave the node as it was before
  k0sruntime.node.down:
"""

RETURN = r"""
removed:
  description: The files that were removed; in check mode those that would be.
  returned: success
  type: list
  elements: str
notes:
  description: What a person must know.
  returned: success, not in check mode
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k0sruntime.node.plugins.module_utils import program


def main():
    module = AnsibleModule(
        argument_spec={
            **program.NODE,
            **program.CHANGE,
            "pods": {"type": "bool", "default": False},
            "purge": {"type": "bool", "default": False},
        },
        mutually_exclusive=program.EXCLUSIVE,
        supports_check_mode=True,
    )
    if module.check_mode:
        foresee(module)
    chosen = [f"--{name}" for name in ("pods", "purge") if module.params[name]]
    document = program.done(module, program.run(module, "down", *chosen), "Down")
    changed = bool(document["removed"] or document["ran"])
    module.exit_json(changed=changed, removed=document["removed"], notes=document["notes"])


def foresee(module):
    """Tell what is there to remove or to stop."""
    status = program.status(module)
    changed = bool(status["owned"] or status["running"])
    module.exit_json(changed=changed, removed=status["owned"])


if __name__ == "__main__":
    main()
