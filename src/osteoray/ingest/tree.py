"""What the images of a DICOM tree say of themselves, read from headers by several processes."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.ct_slices import CT_IMAGE, HEADER, OTHER_OBJECTS, CtSlice, parse_slice, sop_class
from osteoray.ingest.dicom import has_preamble, open_dicom, optional_number, text
from osteoray.ingest.xray import XRAY_IMAGES

PATIENT = (
    "PatientID", "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "StudyDate", "StudyTime",
    "AcquisitionDate", "ContentTime", "Modality", "SeriesDescription", "StudyDescription", "ProtocolName",
    "BodyPartExamined", "ViewPosition", "PatientBirthDate", "AcquisitionDeviceProcessingDescription",
)  # fmt: skip
CHUNK = 200


@dataclass(frozen=True, eq=False)
class TreeFile:
    """One file of the tree.

    Attributes:
        path: relative to the tree.
        kind: CT, DX, CR, another object's name, "unreadable" or "not DICOM".
        patient: PatientID as stored.
        elements: the other elements as text.
        age_years: at the examination.
        size_m: body height.
        weight_kg: body weight.
        series: SeriesInstanceUID.
        series_number: within the study.
        ct: header of a CT image.
        problem: why it cannot be used.
    """

    path: str
    kind: str
    patient: str = ""
    elements: dict[str, str] | None = None
    age_years: float | None = None
    size_m: float | None = None
    weight_kg: float | None = None
    series: str = ""
    series_number: str = ""
    ct: CtSlice | None = None
    problem: str = ""


def read_tree(tree: Path, workers: int) -> list[TreeFile]:
    """Headers of every file below a folder, in the order of their paths.

    Args:
        tree: the folder.
        workers: processes.
    """
    found = ((folder, name) for folder, _, names in os.walk(tree) for name in names if not name.startswith("."))
    paths = sorted(f"{folder}/{name}" for folder, name in found)
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    if workers == 1 or len(chunks) == 1:
        return [file for chunk in chunks for file in read_chunk(str(tree), chunk)]
    with ProcessPoolExecutor(workers) as pool:
        return [file for files in pool.map(read_chunk, [str(tree)] * len(chunks), chunks) for file in files]


def read_chunk(tree: str, paths: list[str]) -> list[TreeFile]:
    """Headers of some files of a tree."""
    return [read_file(Path(path), os.path.relpath(path, tree)) for path in paths]


def read_file(path: Path, name: str) -> TreeFile:
    """Header of one file; whatever is wrong with it becomes its problem."""
    try:
        if not has_preamble(path):
            return TreeFile(name, "not DICOM", problem="not DICOM")
        dataset = open_dicom(path, name, "ING-DICOM", (*PATIENT, *HEADER))
        uid = sop_class(dataset, name, "ING-DICOM")
        kind = "CT" if uid == CT_IMAGE else XRAY_IMAGES.get(uid) or OTHER_OBJECTS.get(uid, "other object")
        return TreeFile(
            path=name,
            kind=kind,
            patient=text(dataset, "PatientID"),
            elements={keyword: text(dataset, keyword) for keyword in PATIENT},
            age_years=age_years(dataset),
            size_m=optional_number(dataset, "PatientSize"),
            weight_kg=optional_number(dataset, "PatientWeight"),
            series=text(dataset, "SeriesInstanceUID"),
            series_number=text(dataset, "SeriesNumber"),
            ct=parse_slice(dataset, path, name) if kind == "CT" else None,
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
