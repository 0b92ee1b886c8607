"""Which of the CT series in a folder is used, by stated rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.ct_slices import NEVER_MEASURED, CtSlice
from osteoray.ingest.dicom import label
from osteoray.ingest.kernels import sharpness

SAME_ORIENTATION = 1e-3
NEARLY_AXIAL_DEG = 45.0
"""Up to here a series counts as axial when choosing, so that a tilted one is refused as tilted, not as absent."""


_HIP_WORDS = re.compile(
    r"HIP(?!PO)|PELVI|BASSIN|BECKEN|CADERA|ANCA\b|BACINO|FEM[OU]R|H(?:Ü|UE)FT|股関節|骨盤|大腿", re.I
)
_OTHER_WORDS = re.compile(
    r"HEAD|BRAIN|SKULL|NECK|CHEST|THORA|LUNG|HEART|CARDIA|SHOULDER|ELBOW|WRIST|HAND|KNEE|ANKLE|FOOT|FEET|C-?SPINE", re.I
)


class Region(IntEnum):
    """What descriptions say of the part of the body; smaller is better."""

    HIPS = 0
    UNKNOWN = 1
    OTHER = 2


def region_named(words: str) -> Region:
    """The region by words alone: hips or pelvis if they are named, another if only that is."""
    if _HIP_WORDS.search(words):
        return Region.HIPS
    return Region.OTHER if _OTHER_WORDS.search(words) else Region.UNKNOWN


@dataclass(frozen=True, eq=False)
class Series:
    """CT images of one reconstruction: all that `group` compares is the same."""

    slices: tuple[CtSlice, ...]

    @property
    def normal(self) -> Float[np.ndarray, 3]:
        """Unit normal of the slices: columns' direction times rows' direction."""
        return np.cross(*self.slices[0].orientation)

    @property
    def coverage_mm(self) -> float:
        """Distance between the outermost slices along the normal."""
        depths = [float(self.normal @ item.position_mm) for item in self.slices]
        return max(depths) - min(depths)

    @property
    def obliqueness_deg(self) -> float:
        """Angle between the normal and the patient's long axis."""
        return float(np.degrees(np.arccos(min(abs(self.normal[2]), 1.0))))

    @property
    def thickness_mm(self) -> float:
        """Largest nominal thickness, or the mean distance between slices where none is recorded."""
        recorded = [item.thickness_mm for item in self.slices if item.thickness_mm is not None]
        return max(recorded) if recorded else self.coverage_mm / max(len(self.slices) - 1, 1)

    @property
    def region(self) -> Region:
        """What its descriptions say of the part of the body."""
        return region_named(self.slices[0].words)

    def facts(self) -> dict:
        """What can be said of the series without identifying anyone."""
        first = self.slices[0]
        return {
            "series_number": int(first.series_number) if first.series_number.isdigit() else None,
            "slices": len(self.slices),
            "coverage_mm": round(self.coverage_mm, 2),
            "thickness_mm": round(self.thickness_mm, 3),
            "kernel": label(first.kernel),
            "region_named": self.region.name.lower(),
            "image_type": [label(value) for value in first.image_type[:4]],
        }


def group(slices: list[CtSlice]) -> list[Series]:
    """Sort images into series, in a stable order.

    A change of frame of reference or of tube voltage begins another series: positions in two frames, and bone in HU at
    two voltages, do not compare.
    """
    groups: dict[tuple, list[list[CtSlice]]] = {}
    for item in slices:
        key = (
            item.series, item.image_type[:3], item.kernel, item.shape, item.spacing_mm, item.is_lossy, item.stack,
            item.frame_of_reference, item.kvp,
        )  # fmt: skip
        for members in groups.setdefault(key, []):
            if np.abs(members[0].orientation - item.orientation).max() < SAME_ORIENTATION:
                members.append(item)
                break
        else:
            groups[key].append([item])
    found = [Series(tuple(members)) for lists in groups.values() for members in lists]
    return sorted(found, key=lambda s: (s.slices[0].series_number.zfill(8), -len(s.slices)))


def objection(series: Series, min_coverage_mm: float) -> str | None:
    """Why a series cannot be measured, or None."""
    first = series.slices[0]
    for value in NEVER_MEASURED:
        if value in first.image_type:
            return f"image type {value}"
    if first.is_lossy:
        return "lossy compression"
    if series.obliqueness_deg > NEARLY_AXIAL_DEG:
        return f"not axial: normal {series.obliqueness_deg:.0f} degrees from the long axis"
    if len(series.slices) < 3 or series.coverage_mm < min_coverage_mm:
        return f"covers {series.coverage_mm:.0f} mm in {len(series.slices)} slices, {min_coverage_mm:g} mm needed"
    return None


def choose(found: list[Series], *, min_coverage_mm: float, max_thickness_mm: float) -> tuple[Series, list[dict]]:
    """The series to measure, and the facts of the others with the reason why not.

    Among original axial series that cover enough of the body: those whose descriptions name the hips, before those
    that name nothing, before those that name another part only; then those that cover at least nine tenths of the
    longest of these; then slices not too thick; then a soft kernel; then thinner slices; then more slices; then the
    lower series number. Where the hips lie is not in any header, so length stands for it.

    Raises:
        Withheld: no series can be measured.
    """
    objections = [objection(series, min_coverage_mm) for series in found]
    usable = [series for series, reason in zip(found, objections, strict=True) if reason is None]
    if not usable:
        told = "; ".join(f"{len(s.slices)} images: {r}" for s, r in zip(found, objections, strict=True))
        raise Withheld("ING-SERIES", f"expected an original axial CT series, got {told}"[:400])
    region = min(series.region for series in usable)
    longest_mm = max(series.coverage_mm for series in usable if series.region == region)

    def rank(series: Series) -> tuple:
        return (
            series.region,
            series.coverage_mm < 0.9 * longest_mm,
            series.thickness_mm > max_thickness_mm,
            sharpness(series.slices[0].kernel),
            round(series.thickness_mm, 2),
            -len(series.slices),
        )

    chosen = min(usable, key=rank)
    alternatives = [
        series.facts() | {"not_chosen": reason or _lost(rank(chosen), rank(series))}
        for series, reason in zip(found, objections, strict=True)
        if series is not chosen
    ]
    return chosen, alternatives


def _lost(best: tuple, other: tuple) -> str:
    rules = (
        "descriptions name the hips less", "shorter coverage", "slices too thick", "sharper kernel", "thicker slices",
        "fewer slices",
    )  # fmt: skip
    lost = [rule for rule, a, b in zip(rules, best, other, strict=True) if a != b]
    return lost[0] if lost else "equal; higher series number"
