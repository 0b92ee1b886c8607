"""Errors that end the work on one patient, X-ray or side, never on the cohort."""

from __future__ import annotations

from pathlib import Path

from osteoray.errors.codes import REASONS
from osteoray.errors.verdict import Finding


class Withheld(Exception):
    """Raised by a stage whose result cannot be trusted; becomes a row with its code."""

    def __init__(self, code: str, detail: str, xray_id: str | None = None, side: str | None = None):
        self.finding = Finding(code, detail, xray_id, side)
        super().__init__(f"{code}: {detail}. Fix: {REASONS[code].fix}")


class UnreadableInput(Withheld):
    """Raised at a door for a file that cannot be used.

    Args:
        path: the file or folder.
        field: what was looked at, with its DICOM tag where it has one.
        expected: what would have been accepted, with units.
        got: what was found.
        code: reason code.
        xray_id: the X-ray concerned, if only one is.
    """

    def __init__(
        self,
        path: str | Path,
        field: str,
        expected: str,
        got: object,
        code: str,
        xray_id: str | None = None,
    ):
        super().__init__(code, f"{path}: {field}: expected {expected}, got {got}", xray_id)
