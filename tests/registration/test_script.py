"""What the script makes of an X-ray's facts."""

from __future__ import annotations

import pytest
from scripts import register_xrays
from scripts.register_xrays import depth_range_mm, registered

from osteoray.config.registration import RegistrationConfig
from osteoray.radiography.search_renderer import PROCESSOR, ProcessorRenderer

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


class StandIn:
    """A view that tells who was to render it."""

    def register(self, limits, renderer):
        return renderer


def renderers(device, count=3):
    return [
        renderer for _, renderer in registered((StandIn() for _ in range(count)), RegistrationConfig(device=device))
    ]


def test_the_processor_registers_one_after_the_other():
    assert renderers("cpu") == [PROCESSOR] * 3


def test_a_gpu_registers_all_of_a_patient_in_lock_step(monkeypatch):
    monkeypatch.setattr(register_xrays, "gpu_problem", lambda: None)
    monkeypatch.setattr(register_xrays, "GpuRenderer", ProcessorRenderer)
    found = renderers("cuda")
    assert len(found) == 3
    assert found[0] is found[1] is found[2]
    assert found[0] is not PROCESSOR


def test_without_a_gpu_the_processor_registers_and_the_log_says_so(monkeypatch, capsys):
    monkeypatch.setattr(register_xrays, "gpu_problem", lambda: "no CUDA device")
    assert renderers("cuda") == [PROCESSOR] * 3
    said = capsys.readouterr().out
    assert said.startswith("registration.device: expected a GPU")
    assert said.count("\n") == 1
