"""Headers that were read before, kept beside the tables, so that indexing a tree can go on where it was stopped.

The cache holds descriptions and identifiers as the headers do: it stays with the raw data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from osteoray.ingest.ct_slices import CtSlice
from osteoray.ingest.private_files import replacing
from osteoray.ingest.tree_file import TreeFile
from osteoray.version import VERSION

FORMAT = [VERSION, *(field.name for kind in (TreeFile, CtSlice) for field in fields(kind))]
"""First line of a cache: another version, or other facts, begin a new one."""


@dataclass(frozen=True)
class Stamp:
    """What tells that a file is the one that was read: its path below the tree, size and time of change."""

    path: str
    size: int
    changed_ns: int

    @classmethod
    def of(cls, tree: Path, path: Path) -> Stamp:
        """Stamp of a file; one that cannot be looked at has the size -1."""
        try:
            status = path.stat()
        except OSError:
            return cls(str(path.relative_to(tree)), -1, 0)
        return cls(str(path.relative_to(tree)), status.st_size, status.st_mtime_ns)


def load(cache: Path, tree: Path) -> dict[Stamp, TreeFile]:
    """The headers of a cache; none if it is not there or of another version.

    A last line that was cut off by a crash is left out.
    """
    if not cache.is_file():
        return {}
    with open(cache, encoding="utf-8") as file:
        records = list(_records(file))
    if not records or records[0] != FORMAT:
        return {}
    return {Stamp(*stamp): _from_record(record, tree) for stamp, record in records[1:]}


def begin(cache: Path, known: Iterable[tuple[Stamp, TreeFile]]) -> None:
    """Write a new cache with what is known, for its owner's eyes only; until it is complete, the old one stays."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with replacing(cache) as file:
        file.write(json.dumps(FORMAT) + "\n")
        add(file, known)


def add(file: TextIO, read: Iterable[tuple[Stamp, TreeFile]]) -> None:
    """Append headers; what was written survives the end of the process."""
    file.writelines(json.dumps([list(asdict(stamp).values()), _to_record(found)]) + "\n" for stamp, found in read)
    file.flush()


def _records(lines: Iterable[str]) -> Iterable[Any]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            return


def _to_record(file: TreeFile) -> dict:
    record = dict(vars(file))
    record["slices"] = [
        vars(item) | {"path": None, "orientation": item.orientation.tolist(), "position_mm": item.position_mm.tolist()}
        for item in file.slices
    ]
    return record


def _from_record(record: dict, tree: Path) -> TreeFile:
    path = tree / record["path"]
    return TreeFile(**record | {"slices": tuple(_slice(item, path) for item in record["slices"])})


def _slice(item: dict, path: Path) -> CtSlice:
    arrays = {name: np.array(item[name], float) for name in ("orientation", "position_mm")}
    tuples = {name: tuple(item[name]) for name in ("image_type", "spacing_mm", "shape")}
    return CtSlice(**item | arrays | tuples | {"path": path})
