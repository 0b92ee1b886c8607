"""What one file of a DICOM tree says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from osteoray.ingest.ct_slices import CtSlice


@dataclass(frozen=True, eq=False)
class TreeFile:
    """One file of the tree.

    Attributes:
        path: relative to the tree.
        kind: CT, DX, CR, another object's name, "unreadable" or "not DICOM".
        patient: PatientID as stored; empty if absent.
        study: StudyInstanceUID.
        elements: the other elements as text.
        age_years: at the examination.
        size_m: body height.
        weight_kg: body weight.
        series: SeriesInstanceUID.
        series_number: within the study.
        slices: headers of its CT images.
        problem: why it cannot be used.
    """

    path: str
    kind: str
    patient: str = ""
    study: str = ""
    elements: dict[str, str] | None = None
    age_years: float | None = None
    size_m: float | None = None
    weight_kg: float | None = None
    series: str = ""
    series_number: str = ""
    slices: tuple[CtSlice, ...] = ()
    problem: str = ""
