"""Shapes and types are checked at run time in every test; absent shared data skips with a reason."""

from __future__ import annotations

import os
from pathlib import Path

# Test processes share two cores: one thread each. Set before numerical libraries load.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

install_import_hook(
    [
        f"osteoray.{room}"
        for room in (
            "geometry",
            "imaging",
            "radiography",
            "registration",
            "projection",
            "ingest",
            "calibration",
            "statistics",
        )
    ],
    "beartype.beartype",
)


LONGEST_FIRST = ("test_miniature_run.py", "test_bad_input.py", "test_defects.py", "test_backends.py")
"""Files that keep one of two workers busy for minutes; started last, the other would stand still meanwhile."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; a file stays together, because its tests share what took long to make."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real anatomy and scans, which is not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real anatomy and scans at {SHARED_DATA}")
    return SHARED_DATA
