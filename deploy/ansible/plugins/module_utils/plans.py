# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows a plan of k0sruntime as Ansible shows differences."""

from __future__ import annotations

KEPT = ("path", "action", "owner")
NOT_SHOWN = "The settings file changes; it may hold credentials and is not shown."


def pending(plan):
    """Return the files that a plan changes, without their content."""
    files = (plan or {}).get("files", [])
    return [{key: f[key] for key in KEPT} for f in files if f["action"] != "unchanged"]


def diff(plan, settings_differ=False):
    """Return a plan as Ansible's --diff prints it; secrets were masked by k0sruntime itself."""
    lines = [NOT_SHOWN] if settings_differ else []
    lines += [f["diff"].rstrip("\n") for f in plan["files"] if f["diff"]]
    fetched = [binary for binary in plan["binaries"] if binary["action"] == "fetch"]
    lines += [f"programs: {binary['folder']} is installed" for binary in fetched]
    lines += [f"effective: {key(change)}" for change in plan["effective"]]
    if plan["pending"]:
        lines.append(f"{plan['bounce']['verdict']}: {plan['bounce']['reason']}")
    return {"prepared": "\n".join([*lines, ""])} if lines else {}


def key(change):
    """Return a key of the effective configuration with what it was and what it becomes."""
    return f"{'.'.join(change['key'])}: {change['before']} -> {change['after']}"
