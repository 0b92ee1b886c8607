"""The cohort tables of an arbitrary DICOM tree, with the reason for every series that was taken or left."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.ct_series import Series, choose, group
from osteoray.ingest.dicom import DICOM_SUFFIXES
from osteoray.ingest.tree_file import TreeFile

PATIENT_COLUMNS = (
    "patient_id", "sex", "age", "height_cm", "weight_kg", "ct", "bone_labels", "proximal_femur", "target_side",
    "dxa_bmd", "exclude",
)  # fmt: skip
XRAY_COLUMNS = ("patient_id", "xray_id", "pose", "path")
SERIES_COLUMNS = ("patient_id", "modality", "series_number", "description", "folder", "files", "taken", "reason")
POSE_WORDS = (
    ("abduction", r"abduct|\babd\b"),
    ("adduction", r"adduct|\badd\b"),
    ("standing", r"stand|upright|erect|weight.?bear"),
    ("supine", r"supine|lying"),
    ("rest", r"\brest"),
)
HIP_PARTS = re.compile(r"PELVIS|HIP|FEMUR|THIGH|LEG|EXTREMITY|ABDOMEN", re.IGNORECASE)
NO_PATIENT_ID = "no PatientID"
"""How the names that stand for an absent PatientID begin, and the reason to exclude these patients."""
POSE_ELEMENTS = ("SeriesDescription", "ProtocolName", "StudyDescription", "AcquisitionDeviceProcessingDescription")


@dataclass(frozen=True)
class Index:
    """Rows of the three tables; keys are the columns above."""

    patients: list[dict]
    xrays: list[dict]
    series: list[dict]


def index_tree(
    files: list[TreeFile],
    *,
    min_coverage_mm: float,
    max_thickness_mm: float,
    name_patients: Callable[[list[str]], dict[str, str]],
) -> Index:
    """Build the tables; patients in the order of their first study, then by name.

    Whose files without PatientID are nobody can tell: each of their studies is an excluded patient of its own.

    Args:
        files: of the tree.
        min_coverage_mm: shortest CT series considered.
        max_thickness_mm: thickest CT slices preferred.
        name_patients: from PatientIDs as stored, or what stands for them (`person`), to the names in the tables, such
            as `patient_names` or pseudonyms.
    """
    by_patient = defaultdict(list)
    for file in files:
        if file.kind not in ("not DICOM", "unreadable"):
            by_patient[person(file)].append(file)
    index = Index([], [], _unusable_rows(files))
    names = name_patients(sorted(by_patient))
    patients_of_folder = defaultdict(set)
    for file in files:
        if file.kind == "CT":
            patients_of_folder[Path(file.path).parent].add(person(file))
    for patient in sorted(by_patient, key=lambda p: (_first_date(by_patient[p]), names[p])):
        members = by_patient[patient]
        ct = ct_folder(names[patient], members, index.series, min_coverage_mm, max_thickness_mm)
        xrays = xray_rows(names[patient], members, index.series)
        is_nameless_study = not members[0].patient and members[0].study
        if ct or xrays or is_nameless_study:
            below = [owners for folder, owners in patients_of_folder.items() if ct and folder.is_relative_to(ct)]
            shares_folder = any(owners != {patient} for owners in below)
            exclude = exclusion(members[0].patient, ct, shares_folder)
            index.patients.append(patient_row(names[patient], members, ct, exclude))
            index.xrays.extend(xrays)
        index.series.extend(_other_rows(names[patient], members))
    return index


def person(file: TreeFile) -> str:
    """PatientID as stored; where it is absent, a name of the study, or of what else keeps the files of people apart."""
    return file.patient or f"{NO_PATIENT_ID}, study {file.study or file.series or file.path}"


def exclusion(stored: str, ct: str, shares_folder: bool) -> str:
    """Why a patient cannot be used as indexed; empty if nothing is in the way.

    Args:
        stored: PatientID; empty if absent.
        ct: folder of the CT; empty if there is none.
        shares_folder: whether CT images of others lie there too.
    """
    reasons = []
    if not stored:
        reasons.append(f"{NO_PATIENT_ID}; each study without one is a patient of its own: enter one in its files")
    if not ct:
        reasons.append("no axial CT series was found")
    if shares_folder:
        reasons.append("the CT folder holds CT images of other patients; sort it by patient")
    return "; ".join(reasons)


def patient_names(stored: list[str]) -> dict[str, str]:
    """PatientIDs with letters, digits, - and _ only; made unique by a number where two become one."""
    names: dict[str, str] = {}
    for patient in sorted(stored):
        # A study's UID is no name.
        plain = "" if patient.startswith(NO_PATIENT_ID) else patient
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_") or "unnamed"
        taken, unique, number = set(names.values()), name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        names[patient] = unique
    return names


def patient_row(name: str, files: list[TreeFile], ct: str, exclude: str) -> dict:
    """A row of patients.tsv; what the headers do not say stays empty."""
    sexes = Counter(file.elements["PatientSex"] for file in files if file.elements and file.elements["PatientSex"])
    heights = [file.size_m * 100 for file in files if file.size_m and 0.5 < file.size_m < 2.5]
    weights = [file.weight_kg for file in files if file.weight_kg and 10 < file.weight_kg < 400]
    ages = [file.age_years for file in files if file.age_years is not None]
    return {
        "patient_id": name,
        "sex": next((sex for sex, _ in sexes.most_common() if sex in ("F", "M")), ""),
        "age": min(ages) if ages else None,
        "height_cm": round(median(heights), 1) if heights else None,
        "weight_kg": round(median(weights), 1) if weights else None,
        "ct": ct,
        "target_side": "both",
        "exclude": exclude,
    }


def ct_folder(
    name: str, files: list[TreeFile], rows: list[dict], min_coverage_mm: float, max_thickness_mm: float
) -> str:
    """Folder of the CT series to measure, empty if there is none; every series gets a row."""
    found = group([item for file in files for item in file.slices])
    if not found:
        return ""
    of_path = {item.path: file for file in files for item in file.slices}
    try:
        chosen, left = choose(found, min_coverage_mm=min_coverage_mm, max_thickness_mm=max_thickness_mm)
        reasons = iter([facts["not_chosen"] for facts in left])
    except Withheld as error:
        chosen, reasons = None, iter([error.finding.detail] * len(found))
    folder = ""
    for series in found:
        members = [of_path[path] for path in dict.fromkeys(item.path for item in series.slices)]
        here = common_folder(members)
        reason = next(reasons) if series is not chosen else "chosen: " + _described(series)
        if series is chosen:
            folder = here
            others = sum(Path(file.path).is_relative_to(here) for file in of_path.values()) - len(members)
            reason += f"; ingest picks it among {others} other CT images in its folder" if others else ""
        rows.append(series_row(name, members, series is chosen, reason))
    return folder


def xray_rows(name: str, files: list[TreeFile], rows: list[dict]) -> list[dict]:
    """Rows of xrays.tsv in the order of acquisition; every X-ray series gets a row in the series table."""
    images = [file for file in files if file.kind in ("DX", "CR")]
    taken = []
    images.sort(key=lambda file: (file.series_number.zfill(8), file.series))
    for _, members in groupby(images, key=lambda file: (file.series_number.zfill(8), file.series)):
        for objection, part in groupby(sorted(members, key=xray_objection), key=xray_objection):
            images_of_part = list(part)
            rows.append(
                series_row(name, images_of_part, not objection, objection or f"pose {pose_of(images_of_part[0])}")
            )
            taken.extend([] if objection else images_of_part)
    taken.sort(key=lambda file: (*_time(file), file.path))
    return [
        {"patient_id": name, "xray_id": f"X{number}", "pose": pose_of(file), "path": file.path}
        for number, file in enumerate(taken, 1)
    ]


def xray_objection(file: TreeFile) -> str:
    """Why an X-ray is not a hip X-ray from the front; empty if nothing says so."""
    elements = file.elements or {}
    part, view = elements["BodyPartExamined"], elements["ViewPosition"].upper()
    if part and not HIP_PARTS.search(part):
        return f"body part {part}"
    return f"view {view}" if view not in ("", "AP") else ""


def pose_of(file: TreeFile) -> str:
    """Pose by the words in the descriptions of series, protocol and study; unknown if they say nothing."""
    for element in POSE_ELEMENTS:
        for pose, words in POSE_WORDS:
            if re.search(words, (file.elements or {}).get(element, ""), re.IGNORECASE):
                return pose
    return "unknown"


def common_folder(files: list[TreeFile]) -> str:
    """The deepest folder that holds all files."""
    return os.path.commonpath([Path(file.path).parent for file in files]) or "."


def series_row(name: str, files: list[TreeFile], is_taken: bool, reason: str) -> dict:
    """A row of series.tsv."""
    first = files[0]
    return {
        "patient_id": name,
        "modality": first.kind,
        "series_number": first.series_number,
        "description": (first.elements or {}).get("SeriesDescription", ""),
        "folder": common_folder(files),
        "files": len(files),
        "taken": "yes" if is_taken else "no",
        "reason": reason,
    }


def _described(series: Series) -> str:
    facts = series.facts()
    size = f"{facts['slices']} slices of {facts['thickness_mm']:g} mm over {facts['coverage_mm']:g} mm"
    return f"{size}, kernel {facts['kernel']}"


def _other_rows(name: str, files: list[TreeFile]) -> list[dict]:
    others = sorted((f for f in files if f.kind not in ("CT", "DX", "CR")), key=_kind_and_series)
    parts = [list(part) for _, part in groupby(others, _kind_and_series)]
    return [series_row(name, part, False, f"{part[0].kind} is not used") for part in parts]


def _kind_and_series(file: TreeFile) -> tuple[str, str]:
    return file.kind, file.series


def _unusable_rows(files: list[TreeFile]) -> list[dict]:
    """Files that cannot be read, and files named as DICOM that are not: ingest would refuse their folder."""
    return [
        series_row("", [file], False, file.problem)
        for file in files
        if file.kind == "unreadable" or (file.kind == "not DICOM" and Path(file.path).suffix.lower() in DICOM_SUFFIXES)
    ]


def _first_date(files: list[TreeFile]) -> str:
    dates = [file.elements["StudyDate"] for file in files if file.elements and file.elements["StudyDate"]]
    return min(dates, default="99999999")


def _time(file: TreeFile) -> tuple[str, str]:
    elements = file.elements or {}
    return elements["AcquisitionDate"] or elements["StudyDate"], elements["ContentTime"] or elements["StudyTime"]
