"""What the script makes of an X-ray's facts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scripts import register_xrays
from scripts.register_xrays import View, depth_range_mm, limits_of, plan_of, record, registered

from osteoray.config.registration import RegistrationConfig
from osteoray.imaging.radiograph import Radiograph
from osteoray.radiography.search_renderer import PROCESSOR, ProcessorRenderer
from osteoray.registration.xray import start_camera
from osteoray.report.registration_picture import REFUSED
from osteoray.store.manifest import Manifest

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


def test_what_is_refused_is_drawn_and_scored_and_has_no_pose(tmp_path, phantom, models, xray):
    mirrored = Radiograph(np.ascontiguousarray(xray.array[:, ::-1]), xray.spacing_mm)
    camera = start_camera(1000.0, (1.8, 1.8), (99.5, 119.5), (200, 240), 850.0, models["pelvis"].centre_mm)
    view = View("X1", mirrored, camera, models, {}, plan_of(CONFIG, 120.0), None, (), (1, 0))
    manifest = Manifest("registration", "P1", tmp_path / "P1.json", facts={"xrays": {}, "refused": {}})
    record(manifest, view, view.register(limits_of(CONFIG), PROCESSOR), CONFIG)
    assert manifest.facts["xrays"] == {}
    assert "REG-MIRRORED" in {finding.code for finding in manifest.findings}
    assert manifest.facts["refused"]["X1"]["z"]["pelvis"] > 0
    with Image.open(manifest.file("outlines_X1")) as picture:
        is_red = (np.asarray(picture.convert("RGB")) == REFUSED).all(axis=2)
    assert 200 < np.count_nonzero(is_red) < 0.05 * is_red.size


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("voxel_mm", (0, 0, 0)),
        ("voxel_mm", (1.5, 2, 3)),
        ("pixel_mm", (3.0, -2.0, 1.0)),
        ("rotation_deg", (20, -25)),
        ("least_z", float("nan")),
        ("most_edge", float("inf")),
    ],
)
def test_senseless_limits_and_sizes_are_refused(key, value):
    with pytest.raises(ValueError, match=key):
        RegistrationConfig(**{key: value})
