"""What calibrates a CT when its phantom does not: the ladder from phantom to reference scans, tissues and physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osteoray.calibration.calibrating import Calibration, Settings, calibrate
from osteoray.calibration.facts import calibration_facts
from osteoray.calibration.gates import Gates
from osteoray.calibration.internal import internal_line, physical_line
from osteoray.calibration.line import Line
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.reference import ReferenceScan, reference_line
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding, Verdict, worst
from osteoray.imaging.volume import Volume

IN_WORDS = {
    "asynchronous": "reference scans of the same scanner and protocol",
    "internal": "air, fat and muscle of the patient",
    "none": "physics alone, without any calibration",
}


@dataclass(frozen=True)
class Fallback:
    """What may stand in for a phantom; meaning and units as in the configuration section of the same names."""

    reference_scans: int
    min_reference_scans: int
    max_tissue_residual_hu: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """A calibrated CT.

    Attributes:
        line: in hydroxyapatite.
        facts: JSON values; `level` says what calibrated it.
        findings: what is wrong or doubtful.
        calibration: that of the phantom, if it gave one.
    """

    line: Line
    facts: dict
    findings: list[Finding]
    calibration: Calibration | None


def calibrate_by_ladder(
    volume: Volume,
    levels: Sequence[str],
    *,
    phantoms: Sequence[Phantom],
    protocol: Protocol,
    reference: Sequence[ReferenceScan],
    gates: Gates,
    settings: Settings,
    fallback: Fallback,
) -> Outcome:
    """The first level that gives a line that may be used.

    A phantom in the wrong order is never stepped over: the image may be mirrored, and then left is right.

    Args:
        volume: HU on an axial grid.
        levels: of `osteoray.config.calibration.Level`, in order of trust.
        phantoms: tables to choose from.
        protocol: of this CT.
        reference: reference scans in order of enrolment.
        gates: limits of the phantom's line.
        settings: how the phantom is read.
        fallback: limits of the other levels.

    Raises:
        Withheld: no level gives a line; the reason is that of the first.
    """
    refused: list[Finding] = []
    poor: Outcome | None = None
    for level in levels:
        try:
            if level == "phantom":
                outcome = _by_phantom(volume, phantoms, gates, settings, protocol)
                if worst(outcome.findings) is not Verdict.WITHHELD or _has_wrong_order(outcome):
                    return outcome
                poor = outcome
                refused += outcome.findings[:1]
            else:
                return _by_other(volume, level, protocol, reference, fallback, refused)
        except Withheld as error:
            refused.append(error.finding)
    if poor is not None:
        return poor
    first, *others = refused
    tried = "".join(f"; {finding.code}: {finding.detail}" for finding in others)
    raise Withheld(first.code, f"{first.detail}{tried}")


def _has_wrong_order(outcome: Outcome) -> bool:
    return any(finding.code == "CAL-ORDER" for finding in outcome.findings)


def _by_phantom(
    volume: Volume, phantoms: Sequence[Phantom], gates: Gates, settings: Settings, protocol: Protocol
) -> Outcome:
    calibration = calibrate(volume, phantoms, gates, settings, protocol.kvp)
    facts = calibration_facts(calibration, volume) | {"protocol": protocol.facts()}
    return Outcome(calibration.line, facts, calibration.findings, calibration)


def _by_other(
    volume: Volume,
    level: str,
    protocol: Protocol,
    reference: Sequence[ReferenceScan],
    fallback: Fallback,
    refused: list[Finding],
) -> Outcome:
    line, told = _line_of(volume, level, protocol, reference, fallback)
    facts = {
        "level": level,
        "unit": "mg/cm3 HA",
        "slope_mg_cm3_per_hu": round(line.slope_mg_cm3_per_hu, 6),
        "intercept_mg_cm3": round(line.intercept_mg_cm3, 4),
        "protocol": protocol.facts(),
        "refused": [f"{finding.code}: {finding.detail}" for finding in refused],
        **told,
    }
    why = "".join(f"; {finding.code}: {finding.detail}" for finding in refused)
    return Outcome(line, facts, [Finding("CAL-LEVEL", f"calibrated by {IN_WORDS[level]}{why}")], None)


def _line_of(
    volume: Volume, level: str, protocol: Protocol, reference: Sequence[ReferenceScan], fallback: Fallback
) -> tuple[Line, dict]:
    """The line of a level, and what the manifest says of it beside."""
    if level == "asynchronous":
        limits = {"latest": fallback.reference_scans, "fewest": fallback.min_reference_scans}
        found = reference_line(reference, protocol, **limits)
        spread = {"slope_sd": found.slope_sd, "intercept_sd": found.intercept_sd}
        return found.line, {
            "reference": {"scans": found.scans}
            | {name: round(value, 6) if np.isfinite(value) else None for name, value in spread.items()}
        }
    if level == "internal":
        tissues = internal_line(volume, protocol.kvp, fallback.max_tissue_residual_hu)
        told = {
            name: {"measured_hu": round(hu, 2), "expected_hu": round(tissues.expected_hu[name], 2)}
            for name, hu in tissues.measured_hu.items()
        }
        return tissues.line, {"tissues": told}
    return physical_line(protocol.kvp), {}
