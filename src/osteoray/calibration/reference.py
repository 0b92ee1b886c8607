"""Asynchronous calibration: the line of earlier phantom scans on the same scanner with the same protocol.

The scans are a table that was made once, by the control chart of an earlier run, and kept: a patient's calibration
never depends on who else is in the cohort.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from osteoray.calibration.line import Line
from osteoray.calibration.protocol import Protocol
from osteoray.errors.unreadable import Withheld

IN_CONTROL = "yes"
NOTHING, WATER, BONE = "nothing", "water", "water and bone"
"""Whose beam hardening was taken out of a CT before its line was fitted."""


@dataclass(frozen=True)
class ReferenceScan:
    """One row of the table.

    Attributes:
        protocol: of the scan.
        phantom: name of the phantom that gave its line.
        slope_mg_cm3_per_hu, intercept_mg_cm3: its line.
        taken_out: whose beam hardening had been taken out of the scan.
    """

    protocol: Protocol
    phantom: str
    slope_mg_cm3_per_hu: float
    intercept_mg_cm3: float
    taken_out: str = NOTHING


@dataclass(frozen=True)
class ReferenceLine:
    """The mean line of some reference scans.

    Attributes:
        line: without residuals.
        scans: how many were averaged.
        slope_sd, intercept_sd: from scan to scan: how far this patient's own line may lie.
    """

    line: Line
    scans: int
    slope_sd: float
    intercept_sd: float


def taken_out(facts: Mapping) -> str:
    """Whose beam hardening was taken out of a CT, by the facts of its calibration."""
    if facts.get("quadratic_per_cm") is None:
        return NOTHING
    return WATER if facts.get("bone_share") is None else BONE


def reference_scans(rows: Iterable[Mapping[str, str]]) -> list[ReferenceScan]:
    """The scans of a table that were in control, in the table's order."""
    return [
        ReferenceScan(
            Protocol(row["scanner"], float(row["kvp"]) if row["kvp"] else None, row["kernel"]),
            row["phantom"],
            float(row["slope_mg_cm3_per_hu"]),
            float(row["intercept_mg_cm3"]),
            row.get("taken_out") or NOTHING,
        )
        for row in rows
        if row["in_control"] == IN_CONTROL
    ]


def reference_line(scans: Iterable[ReferenceScan], protocol: Protocol, *, latest: int, fewest: int) -> ReferenceLine:
    """The mean line of the latest scans with a protocol, all by one phantom.

    Phantoms of two makers differ by up to a sixth in slope, so their mean would belong to neither.

    Args:
        scans: in order of enrolment; scans carry no dates.
        protocol: of the CT to calibrate.
        latest: how many are averaged at most.
        fewest: how many there must be.

    Raises:
        Withheld: CAL-REFERENCE, too few scans, scans of several phantoms, or a protocol that is not recorded.
    """
    every = [scan for scan in scans if protocol.is_known and scan.protocol == protocol]
    phantoms = sorted({scan.phantom for scan in every})
    if len(phantoms) > 1:
        raise Withheld(
            "CAL-REFERENCE",
            f"{protocol}: expected reference scans of one phantom, got {', '.join(phantoms)}; keep the rows of one",
        )
    same = every[-latest:]
    if len(same) < fewest:
        raise Withheld("CAL-REFERENCE", f"{protocol}: expected at least {fewest} reference scans, got {len(same)}")
    slopes = np.array([scan.slope_mg_cm3_per_hu for scan in same])
    intercepts = np.array([scan.intercept_mg_cm3 for scan in same])
    line = Line(float(slopes.mean()), float(intercepts.mean()), float("nan"), np.empty(0))
    spread = [float(values.std(ddof=1)) if values.size > 1 else float("nan") for values in (slopes, intercepts)]
    return ReferenceLine(line, len(same), *spread)
