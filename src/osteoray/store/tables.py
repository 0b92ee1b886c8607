"""Tables as tab-separated text with a header; an absent value is an empty field."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from osteoray.store.atomic import writing


def write_table(path: str | Path, rows: Iterable[dict], columns: Sequence[str]) -> None:
    """Write rows; None and NaN become empty, floats keep six significant digits.

    Raises:
        ValueError: a row holds a key that is not a column.
    """
    with writing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), delimiter="\t", lineterminator="\n", extrasaction="raise")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _text(value) for key, value in row.items()})


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Read the rows as text, in order; absent values are empty strings."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def number(text: str) -> float:
    """A table field as a number; an empty field is NaN."""
    return float(text) if text else float("nan")


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
