# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later
# Apache License 2.0 (see LICENSE), or, as Ansible asks of modules,
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""The node's settings file: written for a change, put back where the change does not hold."""

from __future__ import annotations

import os
import tempfile

DEFAULT = "/etc/k0sruntime/config.toml"
SECRET = 0o600


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

    def as_file(self):
        """Return a private file with the settings given, which goes with the task; for a plan."""
        return self._file(self.given, self.module.tmpdir)

    def put(self):
        """Write the settings given."""
        if self.differ:
            self._write(self.given)

    def restore(self):
        """Put back what lay there, so that the file and what runs agree again."""
        if not self.differ:
            return
        if self.before is None:
            os.unlink(self.path)
        else:
            self._write(self.before)

    def _write(self, content):
        folder = os.path.dirname(self.path)
        os.makedirs(folder, exist_ok=True)
        mode = os.stat(self.path).st_mode & 0o777 if os.path.exists(self.path) else SECRET
        fresh = self._file(content, self.module.tmpdir)
        os.chmod(fresh, mode)
        self.module.atomic_move(fresh, self.path, keep_dest_attrs=False)

    def _file(self, content, folder):
        descriptor, path = tempfile.mkstemp(prefix="config-", suffix=".toml", dir=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
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
