"""From a CT with a phantom to the line that turns HU into mg/cm³ of hydroxyapatite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float

from osteoray.calibration.equations import as_hydroxyapatite, k2hpo4_per_ha, phantom_line
from osteoray.calibration.field import Field, field_across
from osteoray.calibration.finding import blocks_of, follow
from osteoray.calibration.gates import Gates, drift_findings, field_findings, line_findings, order_finding
from osteoray.calibration.line import Drift, Line, LineFit, leave_one_out, line_drift
from osteoray.calibration.metal import metal_slices
from osteoray.calibration.pattern import Plane
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.physics import kvp_factor
from osteoray.calibration.recognising import recognise
from osteoray.calibration.rods import RodPaths, trace_rods
from osteoray.calibration.sampling import Levels, sample_levels
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding, Verdict
from osteoray.imaging.volume import Volume

FEWEST_SHARE = 0.8
"""Part of a phantom's levels that must be read whatever the configuration says: 4 of 5, 6 of 7."""


@dataclass(frozen=True)
class Settings:
    """How a phantom is read; meaning and units as in the configuration section of the same names."""

    min_likeness: float
    core_fraction: float
    end_margin_mm: float
    min_length_mm: float
    min_levels: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """A phantom calibration of one CT.

    Attributes:
        phantom: that was recognised.
        line: in hydroxyapatite, over the usable levels.
        own_line: in the phantom's own unit.
        k2hpo4_per_ha: what converted the line; None for a phantom of hydroxyapatite.
        is_used: levels that the line was fitted to.
        levels: HU of all levels.
        paths: centres of all levels in all slices.
        leave_one_out_slopes: without each usable level in turn, in the phantom's own unit.
        drift: along the phantom, in its own unit.
        field: across the phantom.
        likeness: of every table that was looked for, by name.
        findings: what is wrong or doubtful.
    """

    phantom: Phantom
    line: Line
    own_line: Line
    k2hpo4_per_ha: float | None
    is_used: np.ndarray
    levels: Levels
    paths: RodPaths
    leave_one_out_slopes: Float[np.ndarray, " usable"]
    drift: Drift
    field: Field
    likeness: dict[str, float]
    findings: list[Finding]


def calibrate(
    volume: Volume, phantoms: Sequence[Phantom], gates: Gates, settings: Settings, kvp: float | None = None
) -> Calibration:
    """Recognise the phantom, find its rods, read its levels and fit the line.

    Args:
        volume: HU on an axial grid (k to superior, j to posterior, i to left).
        phantoms: what may lie under the patient.
        gates: limits of the line.
        settings: how the phantom is read.
        kvp: tube voltage, if known.

    Raises:
        Withheld: no phantom, too few rods, too short, or a unit that cannot be converted; a poor line is returned
            with its findings.
    """
    is_metal = metal_slices(volume)
    plane, blocks = Plane.of(volume), blocks_of(volume, is_metal)
    sights = recognise(blocks, plane, phantoms, settings.min_likeness)
    phantom = sights[0].phantom
    ratio = k2hpo4_per_ha(phantom.conversion, kvp) if phantom.conversion else None
    track = follow(blocks, plane, sights[0], settings.min_likeness)
    paths = trace_rods(volume, plane, phantom, track, is_metal)
    reading = {"core_fraction": settings.core_fraction, "end_margin_mm": settings.end_margin_mm}
    levels = sample_levels(volume, plane, paths, is_metal, **reading)
    is_used = levels.is_usable & phantom.is_certified
    lost = _lost_levels(phantom, is_used, levels, settings)
    fit, hu = _fit(phantom, is_used), levels.mean_hu[is_used]
    own_line = fit(hu, np.arange(hu.size))
    slopes = leave_one_out(hu, fit)
    drift = line_drift(levels.slice_hu[is_used][:, levels.used_slices], fit, float(volume.grid.spacing_mm[0]))
    turn = -1.0 if paths.is_turned else 1.0
    field = field_across(turn * phantom.body_offsets_mm, levels.spots_hu)
    misplaced = order_finding(hu, phantom.expected_hu[is_used], paths.is_turned)
    doubts = [*lost, *line_findings(own_line, slopes, gates, kvp_factor(kvp))]
    doubts += [*drift_findings(drift, gates), *field_findings(field, gates)]
    # A line that may not be used needs no warnings beside the reason.
    findings = [misplaced] if misplaced else [f for f in doubts if f.verdict is Verdict.WITHHELD] or doubts
    return Calibration(
        phantom, own_line if ratio is None else as_hydroxyapatite(own_line, ratio), own_line, ratio, is_used, levels,
        paths, slopes, drift, field, {seen.phantom.name: seen.likeness for seen in sights}, findings,
    )  # fmt: skip


def _fit(phantom: Phantom, is_used: np.ndarray) -> LineFit:
    density, water = phantom.levels_mg_cm3[is_used], phantom.levels_water_mg_cm3[is_used]
    return lambda hu, kept: phantom_line(hu, density[kept], water[kept], phantom.unit)


def _lost_levels(phantom: Phantom, is_used: np.ndarray, levels: Levels, settings: Settings) -> list[Finding]:
    """CAL-PARTIAL for a certified level that could not be read; too short a phantom or too few levels are refused."""
    _long_enough(levels.shown_mm, settings.min_length_mm)
    wanted = int(phantom.is_certified.sum())
    fewest = max(min(settings.min_levels, wanted), ceil(FEWEST_SHARE * wanted))
    if is_used.sum() < fewest:
        raise Withheld("CAL-RODS", f"density levels: expected at least {fewest} of {wanted}, got {is_used.sum()}")
    _long_enough(levels.length_mm, settings.min_length_mm)
    lost = phantom.levels_mg_cm3[phantom.is_certified & ~is_used]
    if not lost.size:
        return []
    told = ", ".join(f"{value:g}" for value in lost)
    return [Finding("CAL-PARTIAL", f"not read: {told} mg/cm3; line through the other {is_used.sum()} levels")]


def _long_enough(length_mm: float, min_length_mm: float) -> None:
    if length_mm < min_length_mm:
        raise Withheld("CAL-LENGTH", f"usable length: expected at least {min_length_mm:g} mm, got {length_mm:.0f} mm")
