"""Internal calibration: air, subcutaneous fat and muscle of the patient against what physics says they should read.

Their HU as an ideal scanner would read them at the scan's tube voltage are regressed on those measured; this takes out
the scanner's gain and offset. The slope of hydroxyapatite itself then comes from physics alone: fat and muscle change
too little with photon energy to tell the beam's (5 HU of fat are 5 keV, a tenth of the slope). Published errors of
such calibrations are 5 to 10 % (Bartenschlager 2022): `CAL-LEVEL` warns of every one, and the clinic's report prints
beside the QCT value that it was calibrated internally.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped
from scipy import ndimage

from osteoray.calibration.line import Line, fit_line
from osteoray.calibration.pattern import field_of_view
from osteoray.calibration.physics import CT_KVP, Expected, expected
from osteoray.errors.unreadable import Withheld
from osteoray.imaging.volume import Volume

COARSE_MM = 4.0
PATIENT_HU, AIR_BELOW_HU = -300.0, -850.0
FAT_BAND_HU, MUSCLE_BAND_HU = (-160.0, -40.0), (5.0, 120.0)
SKIN_MM, SUBCUTANEOUS_MM = 6.0, 45.0
"""Fat is looked for between these depths below the skin."""
AROUND_MODE_HU = 25.0
FEWEST_CM3 = 20.0


@dataclass(frozen=True, eq=False)
class InternalLine:
    """A line from tissues.

    Attributes:
        line: density of hydroxyapatite on HU; residuals are those of the tissues.
        measured_hu: of air, fat and muscle.
        expected_hu: at the scan's tube voltage.
        residuals_hu: expected less the regression's.
    """

    line: Line
    measured_hu: dict[str, float]
    expected_hu: dict[str, float]
    residuals_hu: dict[str, float]


def internal_line(volume: Volume, kvp: float | None, max_residual_hu: float) -> InternalLine:
    """Calibrate a CT by air, fat and muscle.

    Args:
        volume: HU on an axial grid.
        kvp: tube voltage.
        max_residual_hu: largest distance of a tissue from the regression.

    Raises:
        Withheld: CAL-INTERNAL, an unknown voltage, or tissues that were not found or do not fit.
    """
    ideal = _ideal(kvp)
    measured = tissue_hu(volume)
    due = {"air": -1000.0, "fat": ideal.fat_hu, "muscle": ideal.muscle_hu}
    names = list(due)
    regression = fit_line(np.array([measured[n] for n in names]), np.array([due[n] for n in names]))
    worst = float(np.abs(regression.residuals_mg_cm3).max())
    if worst > max_residual_hu:
        told = ", ".join(f"{name} {value:.0f}" for name, value in measured.items())
        raise Withheld("CAL-INTERNAL", f"{told} HU: expected a line within {max_residual_hu:g} HU, got {worst:.0f} HU")
    slope = ideal.slope_mg_cm3_per_hu
    line = Line(
        slope * regression.slope_mg_cm3_per_hu,
        slope * regression.intercept_mg_cm3,
        regression.r2,
        slope * regression.residuals_mg_cm3,
    )
    residuals = {name: float(value) for name, value in zip(names, regression.residuals_mg_cm3, strict=True)}
    return InternalLine(line, measured, due, residuals)


def physical_line(kvp: float | None) -> Line:
    """The line of an ideal scanner at a tube voltage, 120 kV if it is unknown: no calibration at all."""
    known = kvp is not None and CT_KVP[0] <= kvp <= CT_KVP[-1]
    slope = expected(kvp if known and kvp is not None else 120.0).slope_mg_cm3_per_hu
    return Line(slope, 0.0, float("nan"), np.empty(0))


def _ideal(kvp: float | None) -> Expected:
    try:
        return expected(float("nan") if kvp is None else kvp)
    except ValueError as error:
        raise Withheld("CAL-INTERNAL", str(error)) from error


def tissue_hu(volume: Volume) -> dict[str, float]:
    """HU of air around the patient, of subcutaneous fat and of muscle.

    Raises:
        Withheld: CAL-INTERNAL, there is too little of a tissue.
    """
    coarse, seen, spacing_mm = coarsened(volume)
    patient = _largest(coarse > PATIENT_HU)
    depth_mm = ndimage.distance_transform_edt(patient, sampling=spacing_mm)
    away_mm = ndimage.distance_transform_edt(coarse < AIR_BELOW_HU, sampling=spacing_mm)
    fat = _pure(coarse, FAT_BAND_HU) & (depth_mm > SKIN_MM) & (depth_mm < SUBCUTANEOUS_MM)
    muscle = _pure(coarse, MUSCLE_BAND_HU) & (depth_mm > SKIN_MM)
    air = (away_mm > 2 * COARSE_MM) & seen & (coarse < AIR_BELOW_HU)
    voxel_cm3 = float(np.prod(spacing_mm)) * 1e-3
    found = {"air": air, "fat": fat, "muscle": muscle}
    for name, mask in found.items():
        if mask.sum() * voxel_cm3 < FEWEST_CM3:
            raise Withheld(
                "CAL-INTERNAL", f"{name}: expected at least {FEWEST_CM3:g} cm3, got {mask.sum() * voxel_cm3:.0f}"
            )
    return {name: _typical(coarse[mask]) for name, mask in found.items()}


def coarsened(volume: Volume) -> tuple[Float32[np.ndarray, "k j i"], Bool[np.ndarray, "#k j i"], tuple[float, ...]]:
    """Means over blocks of about `COARSE_MM`, which blocks lie in the field of view, and the blocks' size in mm."""
    factor = [max(1, round(COARSE_MM / float(mm))) for mm in volume.grid.spacing_mm]
    coarse = _block_means(volume.array, factor)
    seen = _block_means(field_of_view(volume.array)[None].astype(np.float32), [1, *factor[1:]]) > 0.99
    spacing_mm = tuple(float(f * mm) for f, mm in zip(factor, volume.grid.spacing_mm, strict=True))
    return coarse, seen, spacing_mm


def _block_means(array: Shaped[np.ndarray, "k j i"], factor: list[int]) -> Float32[np.ndarray, "c r s"]:
    counts = [n // f for n, f in zip(array.shape, factor, strict=True)]
    means = np.empty(counts, np.float32)
    for k in range(counts[0]):
        slab = array[k * factor[0] : (k + 1) * factor[0], : counts[1] * factor[1], : counts[2] * factor[2]]
        image = slab.sum(axis=0, dtype=np.float32).reshape(counts[1], factor[1], counts[2], factor[2])
        means[k] = image.sum(axis=(1, 3)) / np.prod(factor)
    return means


def _largest(mask: Bool[np.ndarray, "k j i"]) -> Bool[np.ndarray, "k j i"]:
    labels, count = ndimage.label(ndimage.binary_opening(mask))
    if not count:
        raise Withheld("CAL-INTERNAL", "patient: expected a body, got air")
    return labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))


def _pure(coarse: Float[np.ndarray, "k j i"], band_hu: tuple[float, float]) -> Bool[np.ndarray, "k j i"]:
    """Voxels of a tissue all of whose neighbours are that tissue: no partial volume."""
    return ndimage.binary_erosion((coarse > band_hu[0]) & (coarse < band_hu[1]))


def _typical(hu: Float[np.ndarray, " n"]) -> float:
    """Median around the mode: stray voxels of another tissue do not pull it."""
    counts, edges = np.histogram(hu, bins=np.arange(hu.min() - 4, hu.max() + 8, 4.0))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.5)
    mode = float(edges[int(smooth.argmax())] + 2.0)
    return float(np.median(hu[np.abs(hu - mode) <= AROUND_MODE_HU]))
