"""What the images of a DICOM tree say of themselves, read from headers by several processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from pydicom import Dataset

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.ct_slices import OTHER_OBJECTS, ct_slices, sop_class
from osteoray.ingest.dicom import has_preamble, open_dicom, optional_number, text
from osteoray.ingest.header_cache import Stamp, add, begin, load
from osteoray.ingest.tree_file import TreeFile
from osteoray.ingest.xray import XRAY_IMAGES

PATIENT = (
    "PatientID", "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "StudyDate", "StudyTime",
    "AcquisitionDate", "ContentTime", "Modality", "SeriesDescription", "StudyDescription", "ProtocolName",
    "BodyPartExamined", "ViewPosition", "PatientBirthDate", "AcquisitionDeviceProcessingDescription",
)  # fmt: skip
CHUNK = 200


def read_tree(tree: Path, workers: int, cache: Path | None = None) -> list[TreeFile]:
    """Headers of every file below a folder, in the order of their paths.

    Args:
        tree: the folder.
        workers: processes.
        cache: file that keeps headers; files of the same path, size and time of change are not read again. None keeps
            nothing.
    """
    found = (Path(folder, name) for folder, _, names in os.walk(tree) for name in names if not name.startswith("."))
    stamps = [Stamp.of(tree, path) for path in sorted(found)]
    known = load(cache, tree) if cache else {}
    known = {stamp: known[stamp] for stamp in stamps if stamp in known}
    unread = [stamp for stamp in stamps if stamp not in known]
    if cache:
        begin(cache, known.items())
    with open(cache or os.devnull, "a", encoding="utf-8") as file:
        for chunk, files in _read(tree, unread, workers):
            read = list(zip(chunk, files, strict=True))
            known.update(read)
            if cache:
                add(file, read)
    return [known[stamp] for stamp in stamps]


def _read(tree: Path, stamps: list[Stamp], workers: int) -> Iterator[tuple[list[Stamp], list[TreeFile]]]:
    """Chunks of files with their headers, as they are read."""
    chunks = [stamps[start : start + CHUNK] for start in range(0, len(stamps), CHUNK)]
    paths = [[stamp.path for stamp in chunk] for chunk in chunks]
    if workers == 1 or len(chunks) < 2:
        yield from zip(chunks, (read_chunk(tree, part) for part in paths), strict=True)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from zip(chunks, pool.map(read_chunk, [tree] * len(chunks), paths), strict=True)


def read_chunk(tree: Path, paths: list[str]) -> list[TreeFile]:
    """Headers of some files of a tree, by their paths below it."""
    return [read_file(tree / path, path) for path in paths]


def read_file(path: Path, name: str) -> TreeFile:
    """Header of one file; whatever is wrong with it becomes its problem."""
    try:
        if not has_preamble(path):
            return TreeFile(name, "not DICOM", problem="not DICOM")
        dataset = open_dicom(path, name, "ING-DICOM")
        uid = sop_class(dataset, name, "ING-DICOM")
        slices = ct_slices(dataset, uid, path, name)
        kind = "CT" if slices else XRAY_IMAGES.get(uid) or OTHER_OBJECTS.get(uid, "other object")
        return TreeFile(
            path=name,
            kind=kind,
            patient=text(dataset, "PatientID"),
            study=text(dataset, "StudyInstanceUID"),
            elements={keyword: text(dataset, keyword) for keyword in PATIENT},
            age_years=age_years(dataset),
            size_m=optional_number(dataset, "PatientSize"),
            weight_kg=optional_number(dataset, "PatientWeight"),
            series=text(dataset, "SeriesInstanceUID"),
            series_number=text(dataset, "SeriesNumber"),
            slices=tuple(slices),
        )
    except Withheld as error:
        return TreeFile(name, "unreadable", problem=error.finding.detail)
    except OSError as error:
        return TreeFile(name, "unreadable", problem=error.strerror or "cannot be opened")


def age_years(dataset: Dataset) -> float | None:
    """Age from Patient's Age (061Y, 018M), or from birth and study dates."""
    age = text(dataset, "PatientAge")
    if age[:-1].isdigit() and age[-1] in "YMWD":
        return round(int(age[:-1]) / {"Y": 1, "M": 12, "W": 52.18, "D": 365.25}[age[-1]], 1)
    birth, study = text(dataset, "PatientBirthDate"), text(dataset, "StudyDate")
    if len(birth) == len(study) == 8 and (birth + study).isdigit():
        return float(int(study[:4]) - int(birth[:4]) - (study[4:] < birth[4:]))
    return None
