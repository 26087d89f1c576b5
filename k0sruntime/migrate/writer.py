"""Writing the file anew, statement by statement, each key where its fate sends it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime.migrate.fates import concerned
from k0sruntime.migrate.rules import place
from k0sruntime.migrate.statements import Section, Setting, Trivia, sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lines import Path
    from k0sruntime.migrate.fates import Fate
    from k0sruntime.migrate.rules import File


class Writer:
    """Writes one file.

    A key stays under its header where the header, rewritten, is still the right one. Else it goes
    to the table it belongs to, which is opened right here if the file has none.

    ``exploded`` takes inline tables and dotted keys of the CRI tables apart. It is needed where
    two of them come together in one table, because TOML forbids to add to either.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        fates: Mapping[Path, Fate],
        file: File,
        newline: str,
        *,
        exploded: bool,
    ) -> None:
        self._document = document
        self._fates = fates
        self._file = file
        self._newline = newline
        self._exploded = exploded
        self._out: list[Section] = []
        self._open: dict[Path, Section] = {}
        self._new: set[int] = set()
        self._pending: dict[Path, list[Setting]] = {}
        self._said = ""

    def run(self, text: str) -> str:
        """Return the rewritten text."""
        source = sections(text if text.endswith("\n") or not text else text + self._newline)
        arrays: list[Path] = []
        for number, section in enumerate(source):
            if section.array:
                arrays.append(section.path)
            if any(section.path[: len(array)] == array for array in arrays):
                self._whole(section)
            else:
                upcoming = {
                    place(later.path, {}, self._file).path for later in source[number + 1 :]
                }
                self._section(section, upcoming)
        return self._joined()

    def _whole(self, section: Section) -> None:
        """Move an array's table as it is; no schema has one where keys differ."""
        path = place(section.path, {}, self._file).path
        if path is None:
            self._out[-1].body.append(Trivia(_commented(section.text(), "")))
        else:
            self._out.append(replace(section, path=path))

    def _section(self, section: Section, upcoming: set[Path | None]) -> None:
        target = self._target(section)
        merged = bool(target.body)
        self._said = ""
        body: list[Setting | Trivia] = []
        moved: list[tuple[Path, Setting]] = []
        for node in section.body:
            if isinstance(node, Setting):
                for setting, path in self._pieces(node, (*section.path, *node.key)):
                    here, there = self._put(section, target, setting, path)
                    body += here
                    moved += there
            elif not merged or node.text.strip():
                body.append(node)
        _append(target, *body)
        for setting in self._pending.pop(target.path, []):
            _append(target, setting)
        if section.settings() and not target.settings() and target.path:
            # Everything has left: the header goes, the comments stay where they are.
            del self._open[target.path]
            target.path = ()
        for path, setting in moved:
            self._move(path, setting, section, upcoming)

    def _target(self, section: Section) -> Section:
        path = place(section.path, {}, self._file).path
        if path is None:
            return self._left_out(section)
        if path in self._open:
            if section.above:
                _append(self._open[path], Trivia(section.above))
            return self._open[path]
        target = replace(section, path=path, body=[])
        self._open[path] = target
        self._out.append(target)
        return target

    def _left_out(self, section: Section) -> Section:
        """Open a section without a header, for what is left behind as comments."""
        kept = any(self._fates[path].why for path in self._fates if _below(path, section.path))
        target = Section((), above=section.above)
        if kept:
            header = replace(section, above="", body=[]).text()
            target.body.append(Trivia(_commented(header, section.indent)))
        self._out.append(target)
        return target

    def _put(
        self, section: Section, target: Section, setting: Setting, path: Path
    ) -> tuple[list[Setting | Trivia], list[tuple[Path, Setting]]]:
        """Return what comes under the rewritten header, and what goes elsewhere with its path."""
        new, fate = self._new_path(path)
        if new is None:
            return self._left_behind(setting, fate), []
        setting = replace(setting, raw=section.raw | setting.raw)
        if fate is not None:
            setting = replace(setting, value=self._value(setting, fate))
        depth = len(new) - len(target.path)
        here = new[: len(target.path)] == target.path and depth > 0
        flat = self._exploded and concerned(new)
        if flat and self._at(path) == {}:
            self._open_new(new, section)
            return self._left_behind(setting, None), []
        if here and (depth == 1 or not flat) and (depth <= len(setting.key) or not target.path):
            return [replace(setting, key=new[len(target.path) :])], []
        return [], [(new, setting)]

    def _new_path(self, path: Path) -> tuple[Path | None, Fate | None]:
        if path in self._fates:
            return self._fates[path].path, self._fates[path]
        return self._uniform(path), None

    def _move(
        self, path: Path, setting: Setting, section: Section, upcoming: set[Path | None]
    ) -> None:
        table = path[:-1]
        near = self._open[table].settings() if table in self._open else [setting]
        indent = near[-1].indent if near else setting.indent
        setting = replace(setting, key=path[-1:], indent=indent)
        if table in self._open:
            _append(self._open[table], setting)
        elif table in upcoming:
            self._pending.setdefault(table, []).append(setting)
        else:
            self._open_new(table, section).body.append(setting)

    def _open_new(self, table: Path, section: Section) -> Section:
        """Open a table that the file has no header for, unless it is open already."""
        if table not in self._open:
            new = Section(table, indent=section.indent, tail=self._newline, raw=section.raw)
            self._open[table] = new
            self._new.add(id(new))
            self._out.append(new)
        return self._open[table]

    def _pieces(self, setting: Setting, path: Path) -> Iterator[tuple[Setting, Path]]:
        """Yield a setting whole, or taken apart where its keys go to different places."""
        value = self._at(path)
        whole = not isinstance(value, dict) or not value
        if whole or (self._uniform(path) and not (self._exploded and concerned(path))):
            yield setting, path
            return
        last = len(value) - 1
        for number, (key, inner) in enumerate(value.items()):
            piece = Setting(
                (*setting.key, key),
                _rendered(inner),
                setting.line,
                setting.above if number == 0 else "",
                setting.indent,
                " = ",
                setting.tail if number == last else self._newline,
                setting.raw,
            )
            yield from self._pieces(piece, (*path, key))

    def _uniform(self, path: Path) -> Path | None:
        """Return where a whole table goes, or ``None`` where its keys part."""
        bases = set()
        for leaf, fate in self._fates.items():
            if not _below(leaf, path):
                continue
            rest = leaf[len(path) :]
            if fate.path is None or fate.change or fate.path[-len(rest) :] != rest:
                return None
            bases.add(fate.path[: -len(rest)])
        return bases.pop() if len(bases) == 1 else None

    def _at(self, path: Path) -> Any:
        value: Any = self._document
        for part in path:
            value = value[part]
        return value

    def _value(self, setting: Setting, fate: Fate) -> str:
        if fate.path == ("version",):
            return str(fate.value)
        if fate.change == "list":
            return f"[{setting.value}]"
        return _rendered(fate.value) if fate.change == "first" else setting.value

    def _left_behind(self, setting: Setting, fate: Fate | None) -> list[Setting | Trivia]:
        """Return what stays of a key that is left out: nothing is lost that a person wrote."""
        why = fate.why if fate else ""
        if not why and not setting.above and "#" not in setting.tail:
            return []
        said = f"{setting.indent}# {why}. {fate.instead}{self._newline}" if fate and why else ""
        if said == self._said:
            said = ""  # once a table is enough
        self._said = said or self._said
        return [Trivia(setting.above + said + _commented(setting.bare(), setting.indent))]

    def _joined(self) -> str:
        text = ""
        after_new = False
        for section in self._out:
            new = id(section) in self._new
            part = section.text()
            if (new or (after_new and section.path)) and text and not _ends_blank(text):
                text += self._newline
            text += part
            after_new = new or (after_new and not part.strip())
        return text


def _below(path: Path, table: Path) -> bool:
    return len(path) > len(table) and path[: len(table)] == table


def _append(section: Section, *nodes: Setting | Trivia) -> None:
    """Add to the end of a section, before the blank line that parts it from the next one."""
    position = len(section.body)
    while position and _parts(section.body[position - 1]):
        position -= 1
    section.body[position:position] = nodes


def _parts(node: Setting | Trivia) -> bool:
    return isinstance(node, Trivia) and not node.text.split("\n", 1)[0].strip()


def _commented(text: str, indent: str) -> str:
    lines = text.split("\n")
    return "\n".join(
        f"{indent}# {line.removeprefix(indent)}" if line.strip() else line for line in lines
    )


def _ends_blank(text: str) -> bool:
    lines = text.split("\n")
    return len(lines) > 1 and not lines[-1].strip() and not lines[-2].strip()


def _rendered(value: Any) -> str:
    """Return a value as TOML on one line."""
    import tomlkit

    if isinstance(value, dict):
        inner = ", ".join(
            f"{tomlkit.key(key).as_string()} = {_rendered(v)}" for key, v in value.items()
        )
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_rendered(item) for item in value)}]"
    return str(tomlkit.item(value).as_string())
