"""A folder of TOML files as one directory, in which a faulty file stays as it was before."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from providers.base.options import Faults, Problem, Problems

from .model import Directory
from .text import read_file
from .toml import build, read

Tables = Mapping[str, Any]


def is_toml(name: str) -> bool:
    """Return whether a file of this name counts: editors' own files do not."""
    return name.endswith(".toml") and not name.startswith(".")


class MergedFiles:
    """What the files of a folder held when each was last good."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._good: dict[str, Tables] = {}

    @property
    def stamp(self) -> int:
        """Return another number for other contents in force, in all processes forked from one."""
        return hash(repr(self._good))

    def read_first(self, folder: Path) -> Directory:
        """Return the folder's directory; raises Faults with all that is wrong with it."""
        directory, faults = self.read(folder, None)
        if directory is None or faults:
            raise faults or Faults(())
        return directory

    def read(
        self, folder: Path, before: Directory | None
    ) -> tuple[Directory | None, Faults | None]:
        """Return the folder's directory, of faulty files as they were `before`, and the faults.

        There is no directory if there was none before, or if the folder cannot be read.
        """
        lines: list[Problem] = []
        try:
            names = sorted(path.name for path in folder.iterdir() if is_toml(path.name))
        except OSError as error:
            problems = Problems(str(folder))
            problems.add(f"cannot be read ({error.strerror})", "correct DIRECTORY")
            faults = Faults(problems.lines)
            faults.__cause__ = error
            return None, faults
        files: dict[str, Tables] = {}
        for name in names:
            problems = Problems()
            tables = _read(folder / name, problems)
            if tables == {} and self._good.get(name):  # an edit that is under way, perhaps
                problems = Problems(name)
                problems.add("it is empty, and was not", "remove it to end its portals")
                tables = None
            lines += problems.lines
            if tables is not None:
                files[name] = tables
            elif name in self._good:
                files[name] = self._good[name]
        if not names:
            problems = Problems(str(folder))
            problems.add("it has no *.toml, so nobody would see a number")
            lines += problems.lines
        while True:
            faulty, told, directory = self._build(files, before)
            lines += told
            stuck = [name for name in faulty if files.get(name) == self._good.get(name)]
            if not faulty or stuck:
                break
            for name in faulty:
                if name in self._good:
                    files[name] = self._good[name]
                else:
                    del files[name]
        refused = Faults(dict.fromkeys(lines)) if lines else None
        if faulty or not directory.portals or (refused and before is None):
            return None, refused
        self._good = files
        return directory, refused

    def _build(
        self, files: Mapping[str, Tables], before: Directory | None
    ) -> tuple[list[str], list[Problem], Directory]:
        """The files with faults, the faults, and the directory of all tables."""
        merged: dict[str, Any] = {}
        owner: dict[tuple[str, str], str] = {}
        twice: list[tuple[str, Problem]] = []
        for name, tables in files.items():
            for kind, table in tables.items():
                if kind not in ("accounts", "portals") or not isinstance(table, dict):
                    merged[kind], owner[kind, ""] = table, name
                    continue
                for key, value in table.items():
                    if (kind, key) in owner and isinstance(merged.get(kind), dict):
                        problems = Problems(f"{kind}.{key}")
                        problems.add(f"it is in {owner[kind, key]} and in {name}")
                        twice.append((name, problems.lines[0]))
                        continue
                    owner[kind, key] = name
                    merged.setdefault(kind, {})
                    if isinstance(merged[kind], dict):
                        merged[kind][key] = value
        problems = Problems()
        directory = build(merged, self._environ, before, problems)
        faulty = [name for name, _ in twice]
        lines = [problem for _, problem in twice]
        for problem in problems.lines:
            kind, *parts = problem.place.split(".")
            keys = [".".join(parts[:end]) for end in range(len(parts), -1, -1)]
            if name := next((owner[kind, key] for key in keys if (kind, key) in owner), ""):
                faulty.append(name)
                lines.append(_in_file(problem, name))
            elif files:
                lines.append(problem)
        return sorted(set(faulty)), lines, directory


def _read(path: Path, problems: Problems) -> Tables | None:
    try:
        return read(read_file(path), path.name, problems)
    except Faults as error:
        problems.lines += error.faults  # type: ignore[arg-type] # they are Problems
        return None


def _in_file(problem: Problem, name: str) -> Problem:
    """The problem with its file named."""
    named = Problem(f"{problem} (in {name})")
    named.place, named.text, named.remedy = problem.place, problem.text, problem.remedy
    return named
