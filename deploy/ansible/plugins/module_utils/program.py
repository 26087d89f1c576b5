# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs k0sruntime with --json and reads its document and exit code, never its text."""

from __future__ import annotations

import json
import shutil

NODE = {
    "program": {"type": "path", "default": "k0sruntime"},
    "sandbox": {"type": "path"},
    "root": {"type": "path"},
    "settings_file": {"type": "path"},
    "containerd": {"type": "path"},
    "cri_socket": {"type": "str"},
    "mode": {"type": "str", "choices": ["managed", "standalone", "remote"]},
    "without": {"type": "list", "elements": "str", "default": []},
    "no_providers": {"type": "bool", "default": False},
}
"""Which node is meant, and what it is composed from."""
CHANGE = {
    "force": {"type": "bool", "default": False},
    "lock_timeout": {"type": "float", "default": 60.0},
}
"""What commands take that change the node."""
FETCH = {"cache": {"type": "path"}, "offline": {"type": "bool", "default": False}}
"""What commands take that fetch programs."""
EXCLUSIVE = [("sandbox", "root")]
UNDER_OTHER_NAMES = {"settings_file": "settings"}
DONE = 0
VERIFY_FAILED = 8
HANDS_NEEDED = "ROLLBACK_FAILED"


class Answer:
    """What k0sruntime came to."""

    def __init__(self, command, code, document, errors=""):
        self.command = command
        self.code = code
        self.document = document
        self.errors = errors


def flags(params, **instead):
    """Return the command line's options for a module's parameters."""
    words = []
    for name in (*NODE, *CHANGE, *FETCH):
        value = instead.get(name, params.get(name))
        if name == "program" or value in (None, False, []):
            continue
        flag = "--" + UNDER_OTHER_NAMES.get(name, name).replace("_", "-")
        if value is True:
            words.append(flag)
        else:
            words += [f"{flag}={one}" for one in (value if isinstance(value, list) else [value])]
    return words


def is_there(module):
    """Tell whether k0sruntime is on the node."""
    return shutil.which(module.params["program"]) is not None


def run(module, command, *arguments, **instead):
    """Run a command on the node and return its answer; fail where it cannot be run."""
    line = [module.params["program"], command, "--json", *flags(module.params, **instead)]
    if not is_there(module):
        module.fail_json(
            msg=f"there is no program {module.params['program']} on the node:"
            " install k0sruntime there, or name it in 'program'",
            error="NOT_INSTALLED",
            problems=[],
        )
    code, out, errors = module.run_command([*line, *arguments])
    try:
        document = json.loads(out)
    except ValueError:
        document = {}
    return Answer(command, code, document if isinstance(document, dict) else {}, errors)


def done(module, answer, kind):
    """Return the document of a command that did what was asked; fail with its problems else."""
    if answer.code != DONE or answer.document.get("kind") != kind:
        fail(module, answer)
    return answer.document


def status(module):
    """Return the document of status, which is whole even where the next up would be refused."""
    answer = asked_status(module)
    if answer.document.get("kind") != "Status":
        fail(module, answer)
    return answer.document


def asked_status(module):
    """Ask for the status, and return what comes."""
    return run(module, "status", **dict.fromkeys((*CHANGE, *FETCH)))


def fail(module, answer, beside=None, remark="", changed=False, **more):
    """Fail with what k0sruntime says is wrong: what, where, who, what to do.

    Where the way back was tried and failed as well, that is the answer beside. A remark is a last
    line. The node has changed where the caller knows so, and where hands are needed.
    """
    problems = answer.document.get("problems", [])
    error = answer.document.get("name", "")
    tried = [answer, *([beside] if beside else [])]
    hands = any(one.document.get("name") == HANDS_NEEDED for one in tried)
    result = {"changed": hands or changed, "rolled_back": error == "ROLLED_BACK", **more}
    if not problems:
        result["stderr"] = answer.errors
    lines = [said(one, one.document.get("problems", [])) for one in tried]
    module.fail_json(
        msg="\n".join([*lines, remark] if remark else lines),
        exit_code=answer.code,
        error=HANDS_NEEDED if hands else error,
        problems=[p for one in tried for p in one.document.get("problems", [])],
        **result,
    )


def said(answer, problems):
    """Return all problems as a message."""
    head = f"k0sruntime {answer.command}: exit code {answer.code}"
    name = answer.document.get("name")
    head += f" ({name.lower().replace('_', ' ')})" if name else ""
    if not problems:
        return f"{head}, and no document that tells why"
    return "\n".join([head, *(one(problem) for problem in problems)])


def one(problem):
    """Return a problem as a person reads it."""
    labels = (("place", "where"), ("culprit", "who"), ("remedy", "do"))
    rest = [f"  {label}: {problem[key]}" for key, label in labels if problem.get(key)]
    return "\n".join([problem.get("message", ""), *rest])
