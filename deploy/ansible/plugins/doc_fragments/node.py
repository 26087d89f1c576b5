# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation that the modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that the modules share."""

    DOCUMENTATION = r"""
options:
  program:
    description: The C(k0sruntime) to run, a path or a name on C(PATH).
    type: path
    default: k0sruntime
  sandbox:
    description: The node lives wholly inside this folder. Excludes O(root).
    type: path
  root:
    description: The node is the image root in this folder; nothing is started. Excludes O(sandbox).
    type: path
  settings_file:
    description:
      - The node's settings file.
      - Without it C(/etc/k0sruntime/config.toml), below O(sandbox) or O(root) where one is named.
    type: path
  containerd:
    description: The containerd to use. Without it k0s's own, else the first on C(PATH).
    type: path
  cri_socket:
    description: CRI of another runtime, as k0s takes it, such as V(remote:unix:///run/crio/crio.sock).
    type: str
  mode:
    description: Who runs containerd. Without it this is decided from what is found.
    type: str
    choices: [managed, standalone, remote]
  without:
    description: Providers that are left out.
    type: list
    elements: str
    default: []
  no_providers:
    description: Import no provider but the host's own.
    type: bool
    default: false
notes:
  - A task that fails returns C(exit_code), C(error) (the exit code's name), C(rolled_back) and
    C(problems), a list of what, where, who and what to do.
requirements:
  - k0sruntime on the node
author:
  - The k0sruntime authors (@k0sruntime)
"""

    CHANGE = r"""
options:
  force:
    description: Overwrite files of k0sruntime that somebody edited; the edited ones are kept.
    type: bool
    default: false
  lock_timeout:
    description: How many seconds to wait for another command on this node.
    type: float
    default: 60.0
"""

    FETCH = r"""
options:
  cache:
    description: Folder of programs that were fetched. Without it the node's own.
    type: path
  offline:
    description: Open no socket; take what the cache holds, and ask no registry.
    type: bool
    default: false
"""
