"""The conditions of one X-ray exposure: beam, field, marker, and whether the patient moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoray.config.simulation import XraySystemConfig
from osteoray.imaging.bones import Side
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.collimation import Collimator, draw_collimator, open_collimator
from osteoray.simulation.markers import Marker, draw_marker
from osteoray.simulation.xray_view import XrayView


@dataclass(frozen=True)
class Exposure:
    """What was drawn for one X-ray.

    Attributes:
        kvp: tube voltage, one of the tabulated spectra.
        scatter_ratio: scatter over primary behind the grid and 20 g/cm² of tissue.
        aec_factor: how far exposure control misses its aim.
        focal_spot_mm: width of the focal spot.
        shading: what flat-field correction leaves of heel effect and grid cut-off: relative slope of the primary down
            and right, per 100 mm.
        collimator: the field.
        marker: the lead marker.
        motion_mm: displacement of the patient during the exposure, down and right at the detector.
    """

    kvp: int
    scatter_ratio: float
    aec_factor: float
    focal_spot_mm: float
    shading: tuple[float, float]
    collimator: Collimator
    marker: Marker
    motion_mm: tuple[float, float] = (0.0, 0.0)


def draw_exposure(
    config: XraySystemConfig, view: XrayView, femurs: dict[Side, FemurTruth], rng: np.random.Generator
) -> Exposure:
    """Draw the conditions of one X-ray.

    Args:
        config: of the X-ray system.
        view: geometry of the X-ray.
        femurs: landmarks of what must lie in the field.
        rng: source of randomness.
    """
    scatter_ratio = float(np.clip(rng.lognormal(np.log(0.45), 0.1), 0.2, 0.9))
    aec_factor = float(rng.lognormal(0, 0.06))
    focal_spot_mm = float(rng.uniform(1.0, 1.4))
    shading = (float(rng.normal(0, 0.008)), float(rng.normal(0, 0.006)))
    marker = draw_marker(view.pose.name, config.pose_text, rng)
    if config.collimation:
        collimator = draw_collimator(view, femurs, focal_spot_mm, rng)
    else:
        collimator = open_collimator(view.camera, focal_spot_mm)
    return Exposure(config.kvp, scatter_ratio, aec_factor, focal_spot_mm, shading, collimator, marker)
