# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""The settings that a task gives: k0sruntime puts them in place when their change is proved."""

from __future__ import annotations

import os
import tempfile

DEFAULT = "/etc/k0sruntime/config.toml"


class Settings:
    """The settings that a task gives, and the file that they belong to."""

    def __init__(self, module):
        self.module = module
        given = module.params["settings"]
        self.given = None if given is None else given.encode()
        inside = module.params["sandbox"] or module.params["root"] or ""
        self.path = module.params["settings_file"] or inside.rstrip("/") + DEFAULT
        self.before = self._read()

    @property
    def differ(self):
        """The file does not say what the task says."""
        return self.given is not None and self.given != self.before

    def warn_if_missing(self):
        """Warn where the settings given are not in their place although the change is done."""
        if self.given is not None and self._read() != self.given:
            self.module.warn(
                f"the change is done, and its settings are not in place yet: {self.path}."
                " Mend what hinders that; the next command on the node puts them there."
            )

    def as_file(self):
        """Return a private file with the settings given, which goes with the task."""
        descriptor, path = tempfile.mkstemp(
            prefix="config-", suffix=".toml", dir=self.module.tmpdir
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.given)
        self.module.add_cleanup_file(path)
        return path

    def _read(self):
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as exc:
            self.module.fail_json(msg=f"the settings file cannot be read: {exc}")
