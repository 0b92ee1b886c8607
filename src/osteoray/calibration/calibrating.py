"""From a CT with a phantom to the line that turns HU into mg/cm³ of hydroxyapatite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.calibration.finding import find_phantom
from osteoray.calibration.gates import Gates, line_findings, order_finding
from osteoray.calibration.line import Drift, Line, fit_line, leave_one_out, line_drift
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.rods import RodPaths, trace_rods
from osteoray.calibration.sampling import Levels, sample_levels
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.imaging.volume import Volume

MAX_DENSITY_MG_CM3 = 3276.7
"""Largest density kept in a QCT volume (int16 in steps of 0.1): above any bone, reached by metal alone."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A phantom calibration of one CT.

    Attributes:
        line: over the usable levels.
        density_mg_cm3: of the usable levels.
        levels: HU of all levels.
        paths: centres of all levels in all slices.
        leave_one_out_slopes: without each usable level in turn.
        drift: along the phantom.
        findings: what is wrong or doubtful.
    """

    line: Line
    density_mg_cm3: Float[np.ndarray, " usable"]
    levels: Levels
    paths: RodPaths
    leave_one_out_slopes: Float[np.ndarray, " usable"]
    drift: Drift
    findings: list[Finding]


def calibrate(
    volume: Volume,
    phantom: Phantom,
    gates: Gates,
    *,
    min_likeness: float,
    core_fraction: float,
    end_margin_mm: float,
    min_length_mm: float,
    min_levels: int,
) -> Calibration:
    """Find the phantom, read its levels and fit the line.

    Args:
        volume: HU on an axial grid (k to superior, j to posterior, i to left).
        phantom: what lies under the patient.
        gates: limits of the line.
        min_likeness: smallest correlation of the CT with the phantom's pattern.
        core_fraction: part of a rod's radius that is averaged.
        end_margin_mm: length left out at the phantom's ends.
        min_length_mm: shortest usable length.
        min_levels: fewest usable levels.

    Raises:
        Withheld: no phantom, too few rods or too short; a poor line is returned with its findings.
    """
    paths = trace_rods(volume, phantom, find_phantom(volume, phantom, min_likeness))
    levels = sample_levels(volume, paths, core_fraction=core_fraction, end_margin_mm=end_margin_mm)
    usable = levels.is_usable
    if usable.sum() < min_levels or not usable[-1]:
        raise Withheld(
            "CAL-RODS", f"density levels: expected at least {min_levels} with the slab itself, got {usable.sum()}"
        )
    if levels.length_mm < min_length_mm:
        raise Withheld(
            "CAL-LENGTH", f"usable length: expected at least {min_length_mm:g} mm, got {levels.length_mm:.0f} mm"
        )
    hu, density = levels.mean_hu[usable], phantom.levels_mg_cm3[usable]
    line = fit_line(hu, density)
    spacing_mm = float(volume.grid.spacing_mm[0])
    drift = line_drift(levels.slice_hu[usable][:, levels.used_slices], density, spacing_mm)
    misplaced = order_finding(hu, density)
    findings = [misplaced] if misplaced else line_findings(line, drift, gates)
    return Calibration(line, density, levels, paths, leave_one_out(hu, density), drift, findings)


def density_volume(volume: Volume, line: Line) -> Volume:
    """Density in mg/cm³ HA: linear in HU, not clipped at 0, saturated at ±3276.7 (metal)."""
    density = volume.array.astype(np.float32)
    density *= np.float32(line.slope_mg_cm3_per_hu)
    density += np.float32(line.intercept_mg_cm3)
    np.clip(density, -MAX_DENSITY_MG_CM3, MAX_DENSITY_MG_CM3, out=density)
    return Volume(density, volume.grid)


def calibration_facts(calibration: Calibration, phantom: Phantom, volume: Volume) -> dict:
    """The calibration as JSON values, for the manifest."""
    line, levels, paths, drift = calibration.line, calibration.levels, calibration.paths, calibration.drift
    usable = np.flatnonzero(levels.is_usable)
    used = np.flatnonzero(levels.used_slices)
    middle = int(used[used.size // 2])
    z_mm = volume.grid.world_from_index[2, 3] + volume.grid.spacing_mm[0] * used[[0, used.size // 2, -1]]
    rods = [
        {
            "density_mg_cm3": float(phantom.levels_mg_cm3[level]),
            "mean_hu": round(float(levels.mean_hu[level]), 3),
            "sd_hu": round(float(levels.sd_hu[level]), 2),
            "residual_mg_cm3": round(float(residual), 3),
            "centre_mm": [round(float(v), 2) for v in (*paths.centres_mm[level, middle, ::-1], z_mm[1])],
            "is_slab": bool(level == phantom.levels_mg_cm3.size - 1),
        }
        for level, residual in zip(usable, line.residuals_mg_cm3, strict=True)
    ]
    change = np.abs(calibration.leave_one_out_slopes / line.slope_mg_cm3_per_hu - 1).max()
    return {
        "level": "phantom",
        "phantom": phantom.name,
        "unit": "mg/cm3 HA",
        "slope_mg_cm3_per_hu": round(line.slope_mg_cm3_per_hu, 6),
        "intercept_mg_cm3": round(line.intercept_mg_cm3, 4),
        "r2": round(line.r2, 7),
        "max_residual_mg_cm3": round(float(np.abs(line.residuals_mg_cm3).max()), 3),
        "leave_one_out_slope_change": round(float(change), 5),
        "rods": rods,
        "likeness": round(paths.likeness, 4),
        "size_of_table": round(paths.scale, 4),
        "used_length_mm": round(levels.length_mm, 2),
        "used_z_mm": [round(float(z_mm[0]), 2), round(float(z_mm[2]), 2)],
        "drift": {
            "blocks": drift.blocks,
            "slope_fraction": round(drift.slope_fraction, 5),
            "offset_mg_cm3": round(drift.offset_mg_cm3, 3),
        },
    }
