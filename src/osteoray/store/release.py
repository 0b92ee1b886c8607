"""A release on disk: index.tsv with one row per half X-ray, and the arrays beside it with the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from osteoray.store.tables import read_table

ARRAYS = ("xray", "bone", "proximal_femur")
"""X-ray in log attenuation, areal density of all bone and of the proximal femur in g/cm²; (n, rows, columns)."""

INDEX_COLUMNS = (
    *("patient_id", "xray_id", "side", "pose", "rows", "columns", "midline_from"),
    *("has_bone", "has_proximal_femur", "digest"),
)
"""`rows` and `columns` are those of the half before it was resized; `digest` tells the arrays of a row apart, so that
the table changes whenever they do."""

PREDICTION_COLUMNS = ("patient_id", "xray_id", "side", "pose", "rows", "columns", "digest")
"""What identifies a predicted map."""


def row_digest(*arrays: np.ndarray) -> str:
    """A digest of the values of some arrays, 16 hexadecimal digits."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:16]


def read_index(path: str | Path) -> list[dict[str, str]]:
    """Rows of the release, in the order of its arrays."""
    return read_table(path)


def read_rows(index: str | Path, name: str, rows: Sequence[int]) -> np.ndarray:
    """Some rows of a release array; the others are never read."""
    return np.load(Path(index).with_name(f"{name}.npy"), mmap_mode="r")[list(rows)]


def select_rows(
    index: list[dict[str, str]], folds: str | Path, fold: int, *, held_out: bool, arrays: Sequence[str] = ()
) -> list[int]:
    """Rows of a fold's training patients, or of the patients it holds out.

    Args:
        index: rows of the release.
        folds: table of patients and folds.
        fold: the fold that is held out.
        held_out: which of the two parts.
        arrays: only rows that have all of these arrays.

    Raises:
        ValueError: the fold does not exist, a patient of the release has none, or no row is left.
    """
    fold_of = {row["patient_id"]: int(row["fold"]) for row in read_table(folds)}
    if fold not in fold_of.values():
        raise ValueError(f"fold: expected one of {sorted(set(fold_of.values()))}, got {fold}")
    homeless = {row["patient_id"] for row in index} - set(fold_of)
    if homeless:
        raise ValueError(f"folds: expected every patient of the release, {sorted(homeless)[0]} is missing")
    rows = [
        i
        for i, row in enumerate(index)
        if (fold_of[row["patient_id"]] == fold) is held_out
        and all(row.get(f"has_{name}", "1") == "1" for name in arrays)
    ]
    if not rows:
        raise ValueError(f"index: expected halves with {' and '.join(arrays) or 'an X-ray'} for fold {fold}, got none")
    return rows
