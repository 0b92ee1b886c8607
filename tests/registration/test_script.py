"""What the script makes of an X-ray's facts."""

from __future__ import annotations

import pytest
from scripts.register_xrays import depth_range_mm

from osteoray.config.registration import RegistrationConfig

CONFIG = RegistrationConfig()
RECORDED = {
    "source_patient_mm": 1000.0,
    "sources": {"sid_mm": "DistanceSourceToDetector", "pitch_mm": "ImagerPixelSpacing"},
}


def test_recorded_distances_are_searched_nearby():
    assert depth_range_mm(RECORDED, CONFIG) == CONFIG.depth_range_mm


@pytest.mark.parametrize(
    "unknown",
    [
        {"source_patient_mm": None},
        {"sources": RECORDED["sources"] | {"sid_mm": "assumed"}},
        {"sources": RECORDED["sources"] | {"pitch_mm": "assumed"}},
    ],
)
def test_what_is_not_recorded_widens_the_search(unknown):
    assert depth_range_mm(RECORDED | unknown, CONFIG) == CONFIG.unknown_depth_range_mm > CONFIG.depth_range_mm
