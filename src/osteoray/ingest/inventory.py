"""What a patient's raw files are, by size and content: ingest reruns when this changes.

Names are left out on purpose: they often carry names and UIDs, and ingest does not depend on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

MISSING = "missing"


def inventory(ct: Path | None, xrays: Mapping[str, Path]) -> dict:
    """Sizes and SHA-256 of the files of one patient.

    Args:
        ct: folder of the CT; None if the table names none.
        xrays: file of every X-ray, by xray_id.

    Returns:
        `ct`: a list of `[size, sha256]` in the order of the digests, or "missing"; `xrays`: one such pair or
        "missing" for each xray_id.
    """
    return {
        "ct": sorted_entries(ct) if ct is not None and ct.is_dir() else MISSING,
        "xrays": {xray_id: entry(path) if path.is_file() else MISSING for xray_id, path in sorted(xrays.items())},
    }


def sorted_entries(folder: Path) -> list[list]:
    """Every file below a folder, sorted by digest."""
    return sorted((entry(path) for path in folder.rglob("*") if path.is_file()), key=lambda item: (item[1], item[0]))


def entry(path: Path) -> list:
    """Size in bytes and SHA-256 of all bytes of a file."""
    with open(path, "rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]
