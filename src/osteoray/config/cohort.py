"""The cohort tables: who is enrolled, in which order, with which X-rays.

Read at the start of every run with the standard library alone. A table that cannot be understood stops the run with
all its errors at once; a row that cannot be used becomes a problem with a reason code, and the rest goes on.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from osteoray.errors.codes import REASONS

POSES = ("standing", "supine", "rest", "abduction", "adduction", "unknown")
SEXES = ("F", "M")
TARGET_SIDES = ("left", "right", "both")
PATIENT_COLUMNS = ("patient_id", "sex", "age", "height_cm", "weight_kg", "ct")
OPTIONAL_PATIENT_COLUMNS = ("bone_labels", "proximal_femur", "target_side", "dxa_bmd", "exclude")
XRAY_COLUMNS = ("patient_id", "xray_id", "pose", "path")

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]+")


class CohortTableError(ValueError):
    """A cohort table that cannot be understood; the message has one line per error."""


@dataclass(frozen=True)
class Xray:
    """A row of xrays.tsv; `path` is relative to the raw folder."""

    xray_id: str
    pose: str
    path: str


@dataclass(frozen=True)
class Patient:
    """A row of patients.tsv with its X-rays; paths are relative to the raw folder.

    Attributes:
        dxa_bmd_g_cm2: total-hip areal density by DXA of the target side, if measured.
    """

    patient_id: str
    sex: str
    age_years: float
    height_cm: float
    weight_kg: float
    ct: str
    bone_labels: str = ""
    proximal_femur: str = ""
    target_side: str = "both"
    dxa_bmd_g_cm2: float | None = None
    xrays: tuple[Xray, ...] = ()


@dataclass(frozen=True)
class TableProblem:
    """A row that is not used, with the reason code of `osteoray.errors.codes`."""

    patient_id: str
    xray_id: str
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.detail}. {REASONS[self.code].fix}"


@dataclass(frozen=True)
class Cohort:
    """Usable patients in enrolment order, everyone's enrolment order, and the rows that are not used.

    Attributes:
        patients: the usable ones.
        enrolled: patient_id and sex of every row, used or not, so that excluding one moves nobody to another fold.
        problems: the rows that are not used.
    """

    patients: tuple[Patient, ...]
    enrolled: tuple[tuple[str, str], ...]
    problems: tuple[TableProblem, ...] = ()

    def __getitem__(self, patient_id: str) -> Patient:
        return next(p for p in self.patients if p.patient_id == patient_id)


@dataclass
class _Row:
    """A table row that collects what is wrong with it."""

    place: str
    values: dict[str, str]
    errors: list[str] = field(default_factory=list)

    def text(self, column: str, accepts: Callable[[str], bool], expected: str, default: str | None = None) -> str:
        value = (self.values.get(column) or "").strip()
        if not value and default is not None:
            return default
        if not accepts(value):
            self.errors.append(f"{self.place}: {column}: expected {expected}, got {value!r}")
        return value

    def choice(self, column: str, choices: Sequence[str], default: str | None = None) -> str:
        return self.text(column, choices.__contains__, f"one of {', '.join(choices)}", default)

    def number(self, column: str, low: float, high: float, unit: str) -> float:
        value = self.text(column, lambda text: _is_within(text, low, high), f"{low:g} to {high:g} {unit}")
        return float(value) if _is_within(value, low, high) else float("nan")


def read_cohort(patients_path: str | Path, xrays_path: str | Path) -> Cohort:
    """Read both tables.

    Args:
        patients_path: patients.tsv.
        xrays_path: xrays.tsv.

    Raises:
        CohortTableError: a table is missing or lacks a column; every such error in one message.
    """
    structural: list[str] = []
    patient_rows = _read_rows(Path(patients_path), PATIENT_COLUMNS, OPTIONAL_PATIENT_COLUMNS, structural)
    xray_rows = _read_rows(Path(xrays_path), XRAY_COLUMNS, (), structural)
    if structural:
        raise CohortTableError("\n".join(structural))
    problems: list[TableProblem] = []
    xrays = _xrays_by_patient(xray_rows, {row.values["patient_id"].strip() for row in patient_rows}, problems)
    times = Counter(row.values["patient_id"].strip() for row in patient_rows)
    enrolled: dict[str, str] = {}
    patients = []
    for row in patient_rows:
        patient_id = row.values["patient_id"].strip()
        enrolled.setdefault(patient_id, (row.values["sex"] or "").strip())
        patient = _patient(row, xrays.get(patient_id, ()))
        if times[patient_id] > 1:
            detail = f"{row.place}: patient_id: expected once, got {patient_id!r} {times[patient_id]} times"
            problems.append(TableProblem(patient_id, "", "TAB-DUPLICATE", detail))
        elif reason := (row.values.get("exclude") or "").strip():
            problems.append(TableProblem(patient_id, "", "TAB-EXCLUDED", f"{row.place}: exclude: {reason}"))
        elif row.errors:
            problems += [TableProblem(patient_id, "", "TAB-VALUE", error) for error in row.errors]
        else:
            patients.append(patient)
    return Cohort(tuple(patients), tuple(enrolled.items()), tuple(problems))


def _read_rows(path: Path, required: Sequence[str], optional: Sequence[str], errors: list[str]) -> list[_Row]:
    if not path.is_file():
        errors.append(f"{path}: expected a tab-separated table, got no such file. Fix: correct cohort: in config.yaml")
        return []
    try:
        path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        errors.append(f"{path}: expected UTF-8 text, got {error.reason} at byte {error.start}. Fix: save it as UTF-8")
        return []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, delimiter="\t", restval="")
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        got = ", ".join(header) or "an empty file"
        errors += [f"{path}:1: expected a column {name!r}, got {got}" for name in required if name not in header]
        for name in set(header) - {*required, *optional}:
            near = difflib.get_close_matches(name, [*required, *optional], n=1, cutoff=0.8)
            errors += [f"{path}:1: expected a known column, got {name!r}; did you mean {near[0]!r}?"] if near else []
        twice = sorted({name for name in header if header.count(name) > 1})
        errors += [f"{path}:1: expected each column once, got {name!r} {header.count(name)} times" for name in twice]
        return [_Row(f"{path}:{reader.line_num}", row) for row in reader if any((v or "") for v in _texts(row))]


def _texts(row: dict) -> list[str]:
    return [value for value in row.values() if isinstance(value, str)]


def _xrays_by_patient(rows: list[_Row], known: set[str], problems: list[TableProblem]) -> dict[str, tuple[Xray, ...]]:
    xrays: dict[str, list[Xray]] = {}
    for row in rows:
        patient_id = row.text("patient_id", known.__contains__, "a patient_id of patients.tsv")
        taken = {xray.xray_id for xray in xrays.get(patient_id, [])}
        xray_id = row.text("xray_id", _is_identifier, "letters, digits, - and _")
        if xray_id in taken:
            row.errors.append(f"{row.place}: xray_id: expected a new name, got {xray_id!r} again")
        pose = row.choice("pose", POSES, default="unknown")
        path = row.text("path", bool, "a DICOM file")
        if row.errors:
            # Without a name of its own the row is told by its line, so that it is not taken for all X-rays.
            name = xray_id or f"line-{row.place.rpartition(':')[2]}"
            problems += [TableProblem(patient_id, name, "TAB-XRAY", error) for error in row.errors]
        else:
            xrays.setdefault(patient_id, []).append(Xray(xray_id, pose, path))
    return {patient_id: tuple(found) for patient_id, found in xrays.items()}


def _patient(row: _Row, xrays: tuple[Xray, ...]) -> Patient:
    dxa = (row.values.get("dxa_bmd") or "").strip()
    return Patient(
        patient_id=row.text("patient_id", _is_identifier, "letters, digits, - and _"),
        sex=row.choice("sex", SEXES),
        age_years=row.number("age", 0, 120, "years"),
        height_cm=row.number("height_cm", 50, 250, "cm"),
        weight_kg=row.number("weight_kg", 10, 400, "kg"),
        ct=row.text("ct", bool, "a folder of DICOM"),
        bone_labels=(row.values.get("bone_labels") or "").strip(),
        proximal_femur=(row.values.get("proximal_femur") or "").strip(),
        target_side=row.choice("target_side", TARGET_SIDES, default="both"),
        dxa_bmd_g_cm2=row.number("dxa_bmd", 0.1, 3, "g/cm²") if dxa else None,
        xrays=xrays,
    )


def _is_identifier(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None


def _is_within(text: str, low: float, high: float) -> bool:
    try:
        return low <= float(text) <= high
    except ValueError:
        return False
