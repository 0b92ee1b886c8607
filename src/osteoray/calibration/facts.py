"""A calibration as JSON values, for the manifest."""

from __future__ import annotations

import numpy as np

from osteoray.calibration.calibrating import Calibration
from osteoray.imaging.volume import Volume


def calibration_facts(calibration: Calibration, volume: Volume) -> dict:
    """What the phantom told of this CT.

    `unit` is that of slope, intercept and of the QCT: always hydroxyapatite. Where the phantom has another unit,
    `own_line` and `conversion` say how it became that; rods, residuals and drift stay in the phantom's own unit.
    """
    line, own, levels, paths = calibration.line, calibration.own_line, calibration.levels, calibration.paths
    used = np.flatnonzero(levels.used_slices)
    z_mm = volume.grid.world_from_index[2, 3] + volume.grid.spacing_mm[0] * used[[0, -1]]
    change = np.abs(calibration.leave_one_out_slopes / own.slope_mg_cm3_per_hu - 1).max()
    facts = {
        "level": "phantom",
        "phantom": calibration.phantom.name,
        "unit": "mg/cm3 HA",
        "slope_mg_cm3_per_hu": round(line.slope_mg_cm3_per_hu, 6),
        "intercept_mg_cm3": round(line.intercept_mg_cm3, 4),
        "r2": round(line.r2, 7),
        "max_residual_mg_cm3": round(float(np.abs(own.residuals_mg_cm3).max()), 3),
        "leave_one_out_slope_change": round(float(change), 5),
        "rods": _rods(calibration, volume),
        "likeness": round(paths.likeness, 4),
        "likeness_of_tables": {name: round(value, 4) for name, value in calibration.likeness.items()},
        "is_turned": paths.is_turned,
        "size_of_table": round(paths.scale, 4),
        "used_length_mm": round(levels.length_mm, 2),
        "used_z_mm": [round(float(z), 2) for z in z_mm],
        "metal_slices": levels.metal_slices,
        "drift": {
            "blocks": calibration.drift.blocks,
            "slope_fraction": round(calibration.drift.slope_fraction, 5),
            "offset_mg_cm3": round(calibration.drift.offset_mg_cm3, 3),
        },
        "field": {
            "tilt_hu": _rounded(calibration.field.tilt_hu),
            "cupping_hu": _rounded(calibration.field.cupping_hu),
        },
    }
    conversion = calibration.phantom.conversion
    if calibration.k2hpo4_per_ha is not None and conversion is not None:
        facts["own_line"] = {
            "unit": calibration.phantom.unit,
            "slope_mg_cm3_per_hu": round(own.slope_mg_cm3_per_hu, 6),
            "intercept_mg_cm3": round(own.intercept_mg_cm3, 4),
        }
        facts["conversion"] = {"k2hpo4_per_ha": round(calibration.k2hpo4_per_ha, 4), "source": conversion.source}
    return facts


def _rods(calibration: Calibration, volume: Volume) -> list[dict]:
    """One entry per level that the line was fitted to, from patient right to left, then the slab."""
    phantom, levels = calibration.phantom, calibration.levels
    used = np.flatnonzero(levels.used_slices)
    middle = int(used[used.size // 2])
    z_mm = float(volume.grid.world_from_index[2, 3] + volume.grid.spacing_mm[0] * middle)
    slab = phantom.levels_mg_cm3.size - 1
    return [
        {
            "density_mg_cm3": float(phantom.levels_mg_cm3[level]),
            "water_mg_cm3": round(float(phantom.levels_water_mg_cm3[level]), 2),
            "unit": phantom.unit,
            "mean_hu": round(float(levels.mean_hu[level]), 3),
            "sd_hu": round(float(levels.sd_hu[level]), 2),
            "residual_mg_cm3": round(float(residual), 3),
            "centre_mm": [round(float(v), 2) for v in (*calibration.paths.centres_mm[level, middle, ::-1], z_mm)],
            "is_slab": bool(level == slab),
        }
        for level, residual in zip(
            np.flatnonzero(calibration.is_used), calibration.own_line.residuals_mg_cm3, strict=True
        )
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
