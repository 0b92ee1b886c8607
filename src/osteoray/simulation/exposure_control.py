"""Automatic exposure control: three measuring fields behind the pelvis end the exposure at a set signal."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

REFERENCE_SIGNAL_KEV_MM2 = 2.0e6
"""Signal that exposure control aims at and that stored values are relative to."""
GRID_PRIMARY_TRANSMISSION = 0.7
MAX_MAS = 500.0
"""The backup timer ends an exposure here, whatever the fields have seen."""
SIGNAL_PER_UGY_KEV_MM2 = 1.2e6
"""Absorbed energy per µGy of air kerma at the detector: 30 174 photons/mm² of about 52 keV (RQA 5, IEC 62220-1), three
quarters of them absorbed."""
FIELDS_MM = ((-30.0, -85.0), (-30.0, 0.0), (-30.0, 85.0))
"""Middle of the fields from the middle of the detector: down and right."""
FIELD_MM = 50.0
"""Side of a field."""


def tube_load_mas(
    signal_per_mas: Float[np.ndarray, "rows columns"], pitch_mm: float, aim_kev_mm2: float = REFERENCE_SIGNAL_KEV_MM2
) -> float:
    """Tube load that brings the mean signal in the fields to the aim, if the backup timer allows.

    Args:
        signal_per_mas: absorbed energy in keV/mm² and mAs.
        pitch_mm: pixel size.
        aim_kev_mm2: wanted signal.
    """
    return min(aim_kev_mm2 / float(in_fields(signal_per_mas, pitch_mm).mean()), MAX_MAS)


def in_fields(image: Float[np.ndarray, "rows columns"], pitch_mm: float) -> Float[np.ndarray, "n"]:
    """Values of an image in the three fields."""
    half = FIELD_MM / 2 / pitch_mm
    values = []
    for down_mm, right_mm in FIELDS_MM:
        row, column = image.shape[0] / 2 + down_mm / pitch_mm, image.shape[1] / 2 + right_mm / pitch_mm
        rows, columns = (slice(max(int(middle - half), 0), int(middle + half) + 1) for middle in (row, column))
        values.append(image[rows, columns].ravel())
    return np.concatenate(values)


def exposure_index(signal_kev_mm2: Float[np.ndarray, "rows columns"], pitch_mm: float) -> float:
    """Exposure index (IEC 62494-1): 100 per µGy at the detector, from the median in the fields."""
    return float(100.0 * np.median(in_fields(signal_kev_mm2, pitch_mm)) / SIGNAL_PER_UGY_KEV_MM2)
