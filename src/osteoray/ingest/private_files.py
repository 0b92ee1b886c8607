"""Files that say who a patient is are readable by their owner only, from their first byte on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def owner_only() -> Iterator[None]:
    """What the process creates meanwhile can be read by nobody else (mode 0600)."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file for its owner only that takes the place of another once it is complete.

    Args:
        path: of the file; one that is there stays as it is if anything fails.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with owner_only(), open(temporary, "w", encoding="utf-8") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
