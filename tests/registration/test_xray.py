"""Registration of whole X-rays: known poses are recovered, and what is wrong is withheld."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scripts.register_xrays import limits_of

from osteoray.config.registration import RegistrationConfig
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.rigid import angle_between_deg
from osteoray.imaging.radiograph import Radiograph
from osteoray.registration.articulated import place_pelvis, scene
from osteoray.registration.parametrisation import mean_distance_mm, mean_image_distance_mm, unit_ranges
from osteoray.registration.search import Effort
from osteoray.registration.verdict import findings, quality
from osteoray.registration.xray import Plan, register_xray, start_camera

CONFIG = RegistrationConfig()
LIMITS = limits_of(CONFIG)
PLAN = Plan(
    CONFIG.pixel_mm,
    unit_ranges(20.0, 60.0, 100.0),
    unit_ranges(30.0, 6.0, 6.0),
    Effort(24, 25, 4, 4.0),
    Effort(24, 15, 4, 4.0),
)


def start(phantom, models):
    camera = phantom.camera
    geometry = (camera.sid_mm, camera.pitch_mm, (99.5, 119.5), camera.shape)
    return start_camera(*geometry, 850.0, models["pelvis"].centre_mm)


def register(phantom, models, image, seed=1, limits=LIMITS, **hidden):
    camera, rng = start(phantom, models), np.random.default_rng(seed)
    return register_xray("X1", image, camera, models, PLAN, limits, rng, **hidden)


@pytest.fixture(scope="module")
def result(phantom, models, xray):
    return register(phantom, models, xray)


def test_every_bone_is_found_and_trusted(result):
    assert set(result.placed) == {"pelvis", "left_femur", "right_femur"}
    assert result.findings == []


def test_pelvis_is_found_to_a_fraction_of_a_voxel(result, models, true_poses):
    pose = result.placed["pelvis"].camera_from_world
    assert mean_image_distance_mm(pose, true_poses["pelvis"], models["pelvis"].landmarks_mm) < 0.3
    assert angle_between_deg(pose[:3, :3], true_poses["pelvis"][:3, :3]) < 0.3


@pytest.mark.parametrize("name", ["left_femur", "right_femur"])
def test_turned_femur_is_found(result, models, true_poses, name):
    pose = result.placed[name].camera_from_world
    assert mean_image_distance_mm(pose, true_poses[name], models[name].landmarks_mm) < 0.6
    assert angle_between_deg(pose[:3, :3], true_poses[name][:3, :3]) < 3.0


def test_depth_is_found_to_the_error_that_thin_shafts_cost(result, models, true_poses):
    # The phantom's voxels of 2.2 to 2.5 mm make its bones look 2 to 4 mm too near or far; a lost scale would cost 20.
    for name, limit_mm in (("pelvis", 3.5), ("left_femur", 5.5), ("right_femur", 5.5)):
        pose = result.placed[name].camera_from_world
        assert mean_distance_mm(pose, true_poses[name], models[name].landmarks_mm) < limit_mm


def test_a_found_bone_has_settled_and_one_held_3_mm_off_has_not(result, phantom, models, xray):
    assert all(score.unsettled_mm < LIMITS.most_unsettled_mm for score in result.quality.values())
    view = scene(xray, start(phantom, models), models, PLAN.pixel_mm)
    for name in models:
        bone = result.placed[name]
        held = replace(bone, units=bone.units + np.array([0, 0, 0, 3.0, 0, 0]))
        score = quality(
            view, name, {**result.placed, name: held}, PLAN.pelvis_ranges, np.random.default_rng(0), field=1.0
        )
        side = None if name == "pelvis" else name.split("_")[0]
        assert "REG-UNSETTLED" in {finding.code for finding in findings(score, LIMITS, "X1", side)}, name


def test_a_femur_seen_from_the_side_has_no_lead_over_rivals_and_fails(result, phantom, models, xray):
    view = scene(xray, start(phantom, models), models, PLAN.pixel_mm)
    bone = result.placed["left_femur"]
    side_on = replace(bone, units=bone.units + np.radians([52.0, 0, 0, 0, 0, 0]) / 0.01)
    placed = {**result.placed, "left_femur": side_on}
    score = quality(view, "left_femur", placed, PLAN.pelvis_ranges, np.random.default_rng(0), field=1.0)
    assert score.rival_lead == -np.inf
    assert "REG-RIVAL" in {finding.code for finding in findings(score, LIMITS, "X1", "left")}
    assert result.quality["left_femur"].rival_lead > -LIMITS.most_rival_lead


def test_a_pixel_that_is_no_number_withholds_the_xray(phantom, models, xray):
    image = xray.array.copy()
    image[100, 100] = np.nan
    result = register(phantom, models, Radiograph(image, xray.spacing_mm))
    assert [(f.code, f.detail) for f in result.findings] == [
        ("ING-XRAY", "pixels: expected finite log attenuation, got infinity or NaN")
    ]
    assert not result.placed and not result.refused


def test_predicted_standard_deviations_cover_the_error_across_the_beam(result, true_poses):
    bone = result.placed["pelvis"]
    error = bone.units - bone.space.units(true_poses["pelvis"])
    assert np.all(np.abs(error[3:5]) < 4 * result.quality["pelvis"].sd[3:5])


def test_same_seed_gives_the_same_pose(phantom, models, xray):
    view = scene(xray, start(phantom, models), models, PLAN.pixel_mm)
    effort = Effort(12, 5, 2, 4.0)
    first, second = (
        place_pelvis(view, start(phantom, models).camera_from_world, PLAN.pelvis_ranges, effort, rng)
        for rng in (np.random.default_rng(7), np.random.default_rng(7))
    )
    assert np.array_equal(first.camera_from_world, second.camera_from_world)


def test_xray_without_bone_is_withheld(phantom, models):
    blank = phantom.xray({"pelvis": phantom.camera.camera_from_world}, seed=3)
    smooth = ndimage.gaussian_filter(blank.array, 40)
    noise = np.random.default_rng(0).normal(0, 0.02, smooth.shape)
    result = register(phantom, models, Radiograph((smooth + noise).astype(np.float32), blank.spacing_mm))
    assert result.placed == {}
    assert {finding.code for finding in result.findings} & {"REG-WEAK", "REG-DISAGREE"}


def test_a_search_that_fails_is_repeated_with_twice_the_effort(phantom, models, xray, monkeypatch):
    efforts = []

    def watched(view, camera_from_world, ranges, effort, rng):
        efforts.append(effort)
        return place_pelvis(view, camera_from_world, ranges, effort, rng)

    monkeypatch.setattr("osteoray.registration.xray.place_pelvis", watched)
    register(phantom, models, xray)
    assert efforts == [PLAN.pelvis_effort]
    register(phantom, models, Radiograph(np.ascontiguousarray(xray.array[::-1, ::-1]), xray.spacing_mm))
    assert efforts[1:] == [PLAN.pelvis_effort, Effort(48, 50, 4, 4.0)]


def test_upside_down_xray_is_withheld(phantom, models, xray):
    turned = Radiograph(np.ascontiguousarray(xray.array[::-1, ::-1]), xray.spacing_mm)
    result = register(phantom, models, turned)
    assert result.placed == {}
    assert all(finding.xray_id == "X1" and finding.side is None for finding in result.findings)


def test_mirrored_xray_is_withheld_as_such(phantom, models, xray):
    mirrored = Radiograph(np.ascontiguousarray(xray.array[:, ::-1]), xray.spacing_mm)
    result = register(phantom, models, mirrored)
    assert result.placed == {}
    # It is kept to be looked at, with its scores and without a pose.
    assert set(result.refused) == {"pelvis"}
    facts = result.refused_facts()
    assert facts["mirror_lead"]["pelvis"] < 0 and "camera_from_world" not in facts
    assert "REG-MIRRORED" in {finding.code for finding in result.findings}


def test_metal_that_is_boxed_moves_no_bone(phantom, models, xray, true_poses):
    box = (90, 190, 170, 205)
    image = xray.array.copy()
    image[box[0] : box[1], box[2] : box[3]] = image.max() + 3
    found = register(phantom, models, Radiograph(image, xray.spacing_mm), metal=(box,))
    pose = found.placed["pelvis"].camera_from_world
    assert mean_image_distance_mm(pose, true_poses["pelvis"], models["pelvis"].landmarks_mm) < 0.4
    # The femur behind the metal is not looked for.
    assert [(finding.code, finding.side) for finding in found.findings] == [("REG-FIELD", "left")]


@pytest.mark.parametrize("exposed", [(20, 185, 22, 218), (30, 175, 28, 212)])
def test_a_collimated_xray_keeps_all_bones(phantom, models, xray, true_poses, exposed):
    image = np.full_like(xray.array, xray.array.max() + 2)
    inside = slice(*exposed[:2]), slice(*exposed[2:])
    image[inside] = xray.array[inside]
    found = register(phantom, models, Radiograph(image, xray.spacing_mm), exposed=exposed)
    assert set(found.placed) == set(models)
    pose = found.placed["pelvis"].camera_from_world
    assert mean_image_distance_mm(pose, true_poses["pelvis"], models["pelvis"].landmarks_mm) < 0.4


@pytest.mark.parametrize("least_field", [0.8, 0.0])
def test_an_xray_that_shows_nothing_is_withheld_whatever_the_limit(phantom, models, xray, least_field):
    limits = replace(LIMITS, least_field=least_field)
    found = register(phantom, models, xray, limits=limits, exposed=(50, 51, 50, 51))
    assert found.placed == {}
    assert [finding.code for finding in found.findings] == ["REG-FIELD"]


def test_start_camera_looks_at_the_pelvis_through_the_middle_of_the_detector():
    centre_mm = np.array([10.0, 20.0, 30.0])
    camera = start_camera(1000.0, (0.5, 0.5), (10.0, 300.0), (400, 300), 800.0, centre_mm)
    assert camera.project(centre_mm) == pytest.approx([199.5, 149.5])
    assert apply_affine(camera.camera_from_world, centre_mm)[2] == pytest.approx(800.0)
