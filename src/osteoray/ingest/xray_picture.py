"""What the picture of an X-ray says against its tags, and the picture without its lead marker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from osteoray.errors.unreadable import UnreadableInput
from osteoray.errors.verdict import Finding
from osteoray.ingest.xray_marker import Marker, find_marker, without_marker
from osteoray.ingest.xray_metal import find_metal
from osteoray.ingest.xray_polarity import is_inverted

MIDDLE = (0.4, 0.6)
"""Share of the width within which a marker says nothing about the side."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that agrees with its tags.

    Attributes:
        attenuation: without the lead marker.
        facts: marker, the exposed rows and columns, and those of metal; JSON values.
        findings: sides that show metal.
    """

    attenuation: Float32[np.ndarray, "rows columns"]
    facts: dict
    findings: list[Finding]


def judge(
    attenuation: Float32[np.ndarray, "rows columns"],
    field: Bool[np.ndarray, "rows columns"] | None,
    pitch_mm: tuple[float, float],
    name: str,
) -> Picture:
    """Check polarity, side and metal by the picture.

    Args:
        attenuation: log attenuation, as the tags say: patient left on the image right, head up.
        field: pixels inside the collimated field; None if all are.
        pitch_mm: pixel size along rows and columns.
        name: how messages call the X-ray.

    Raises:
        UnreadableInput: ING-POLARITY if the values fall with attenuation; ING-SIDE if the marker lies on the other side
            or reads from behind.
    """
    if is_inverted(attenuation, field):
        raise UnreadableInput(
            name, "PhotometricInterpretation (0028,0004)", "the middle of the body to attenuate most",
            "its sides do: the picture is inverted", "ING-POLARITY",
        )  # fmt: skip
    marker, covered = find_marker(attenuation, pitch_mm)
    if marker:
        check_side(marker, attenuation.shape[1], name)
    clean = without_marker(attenuation, covered)
    middle = (attenuation.shape[1] - 1) / 2
    metals = find_metal(clean, pitch_mm, field)
    findings = [
        Finding(
            "ING-METAL",
            f"{metal.area_cm2:.0f} cm2 at the detector, its edge a step of {metal.edge:.2f} of the image's range",
            name,
            "left" if metal.column > middle else "right",
        )
        for metal in metals
    ]
    facts = {
        "marker": marker.facts() if marker else None,
        "field": None if field is None else exposed_box(field),
        "metal": [list(metal.box) for metal in metals],
    }
    return Picture(clean, facts, list({finding.side: finding for finding in findings}.values()))


def check_side(marker: Marker, columns: int, name: str) -> None:
    """Refuse a picture whose marker lies on the other side or reads from behind."""
    share = marker.column / columns
    expected = "left" if marker.letter == "R" else "right"
    got = "left" if share < MIDDLE[0] else "right" if share > MIDDLE[1] else expected
    if marker.is_mirrored or got != expected:
        backwards = ", reading from behind" if marker.is_mirrored else ""
        raise UnreadableInput(
            name, "lead marker", f"{marker.letter} on the image's {expected}", f"on the {got}{backwards}", "ING-SIDE"
        )


def exposed_box(field: Bool[np.ndarray, "rows columns"]) -> list[int]:
    """First row, end row, first column and end column of what is exposed over most of the field's extent."""
    rows, columns = field.any(axis=1), field.any(axis=0)
    full_rows = np.flatnonzero(field[:, columns].mean(axis=1) > 0.5)
    full_columns = np.flatnonzero(field[rows].mean(axis=0) > 0.5)
    return [int(full_rows[0]), int(full_rows[-1]) + 1, int(full_columns[0]), int(full_columns[-1]) + 1]
