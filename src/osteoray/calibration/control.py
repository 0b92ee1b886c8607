"""Control chart of a scanner: whether the line of each scan lies within what the scanner usually does.

Individual values (Shewhart): the mean and three standard deviations either side, the deviation taken from the changes
from scan to scan (median moving range / 0.954), so that neither a slow drift nor a few wild scans widen their own
limits (Montgomery 2009, section 6.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float

from osteoray.calibration.protocol import Protocol
from osteoray.calibration.reference import IN_CONTROL, taken_out

FEWEST_SCANS = 8
"""Fewer scans of a protocol and phantom give no limits."""
RANGE_PER_SD = 0.954
"""Median distance of two consecutive normal values over their standard deviation."""
SIGMAS = 3.0
QUANTITIES = ("slope_mg_cm3_per_hu", "intercept_mg_cm3")
COLUMNS = (
    "scanner", "kvp", "kernel", "scan", "patient_id", "level", "phantom", *QUANTITIES, "r2", "taken_out",
    "field_tilt_hu", "verdict",
    *(f"{name}_{limit}" for name in QUANTITIES for limit in ("low", "mean", "high")), "in_control",
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Control limits.

    Attributes:
        mean: of the scans in control.
        low: mean less three standard deviations.
        high: mean and three standard deviations.
    """

    mean: float
    low: float
    high: float

    def hold(self, values: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which values lie within."""
        return (values >= self.low) & (values <= self.high)


def control_limits(values: Float[np.ndarray, " n"]) -> Limits | None:
    """Limits of consecutive values; those far from the median do not move the mean. None for few values."""
    if values.size < FEWEST_SCANS:
        return None
    reach = SIGMAS * float(np.median(np.abs(np.diff(values)))) / RANGE_PER_SD
    mean = float(values[np.abs(values - np.median(values)) <= reach].mean())
    return Limits(mean, mean - reach, mean + reach)


def control_rows(scans: Iterable[tuple[str, str, Mapping]]) -> list[dict]:
    """One row per scan whose phantom gave a line, by protocol and phantom, in order of enrolment.

    Two phantoms on one scanner do not read the same line, so each has its own limits and its own count of scans.

    Args:
        scans: patient, verdict and facts of the calibration, in order of enrolment.
    """
    groups: dict[tuple[Protocol, str], list[dict]] = {}
    for patient_id, verdict, facts in scans:
        if facts.get("level") == "phantom":
            protocol = Protocol(**facts["protocol"])
            group = groups.setdefault((protocol, facts["phantom"]), [])
            group.append(_row(protocol, patient_id, verdict, facts))
    ordered = [groups[key] for key in sorted(groups, key=lambda key: (str(key[0]), key[1]))]
    for rows in ordered:
        _judge(rows)
    return [row | {"scan": number} for rows in ordered for number, row in enumerate(rows, 1)]


def _row(protocol: Protocol, patient_id: str, verdict: str, facts: Mapping) -> dict:
    names = ("level", "phantom", *QUANTITIES, "r2")
    added = {"field_tilt_hu": facts["field"]["tilt_hu"], "taken_out": taken_out(facts)}
    return protocol.facts() | {"patient_id": patient_id, "verdict": verdict} | {n: facts[n] for n in names} | added


def _judge(rows: list[dict]) -> None:
    """Add limits and whether each scan is in control; a withheld line is not, and does not move the limits."""
    trusted = [row for row in rows if row["verdict"] != "withheld"]
    for row in rows:
        row["in_control"] = IN_CONTROL if row["verdict"] != "withheld" else "no"
    for name in QUANTITIES:
        values = np.array([row[name] for row in trusted], float)
        limits = control_limits(values)
        if limits is None:
            continue
        for row in rows:
            row |= {f"{name}_{limit}": value for limit, value in asdict(limits).items()}
        for row, inside in zip(trusted, limits.hold(values), strict=True):
            if not inside:
                row["in_control"] = "no"
