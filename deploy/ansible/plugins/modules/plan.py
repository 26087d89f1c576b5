#!/usr/bin/python

# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ansible module: k0sruntime plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Tell what k0sruntime up would do on a k0s node, and why
version_added: 0.1.0
description:
  - Runs C(k0sruntime plan), which changes nothing and needs no root.
  - The task is never changed. Look at RV(pending), to find nodes that drifted.
extends_documentation_fragment:
  - k0sruntime.node.node
attributes:
  check_mode:
    support: full
    description: The same with and without.
  diff_mode:
    support: none
    description: Use M(k0sruntime.node.up) with check mode and diff mode.
seealso:
  - module: k0sruntime.node.up
"""

EXAMPLES = r"""
- name: Ask what is to do
  k0sruntime.node.plan:
  register: plan

- name: Fail on a node that drifted
  ansible.builtin.assert:
    that: not plan.pending
    fail_msg: "{{ plan.diff_text }}"
"""

RETURN = r"""
pending:
  description: There is something to do.
  returned: success
  type: bool
generation:
  description: The generation that up would make, or the present one where nothing changes.
  returned: success
  type: int
bounce:
  description: Whether containerd would be started or bounced, and why.
  returned: success
  type: dict
files:
  description: The files that would change, each with path, action and owner.
  returned: success
  type: list
  elements: dict
unfinished:
  description: An apply was killed half-way; the next up undoes it first.
  returned: success
  type: bool
diff_text:
  description: The whole plan to read, secrets masked.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.k0sruntime.node.plugins.module_utils import plans, program

KEPT = ("pending", "generation", "bounce", "unfinished")


def main():
    module = AnsibleModule(
        argument_spec=program.NODE,
        mutually_exclusive=program.EXCLUSIVE,
        supports_check_mode=True,
    )
    plan = program.done(module, program.run(module, "plan"), "Plan")
    module.exit_json(
        changed=False,
        files=plans.pending(plan),
        diff_text=plans.diff(plan).get("prepared", ""),
        **{key: plan[key] for key in KEPT},
    )


if __name__ == "__main__":
    main()
