"""The procedural body: composition, sides, joints, landmarks and the spread of its density."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Bone, Side
from osteoray.simulation.anatomy import draw_anatomy
from osteoray.simulation.body import Body
from osteoray.simulation.femur_fit import fit_femur
from osteoray.simulation.medial_mesh import distance_mm, rods
from osteoray.simulation.procedural import procedural_body

SPACING_MM = 2.0


def areal_g_cm2(body: Body, side: Side) -> float:
    """Mean line integral of mineral along y over the proximal femur's shadow."""
    region = body.proximal_femur == PROXIMAL_FEMUR[side]
    areal = np.where(region, body.ha_mg_cm3, 0).sum(axis=1) * body.grid.spacing_mm[1] * 1e-4
    return float(areal[region.any(axis=1)].mean())


def femur_distance_mm(body: Body, side: Side) -> np.ndarray:
    mask = body.bones == FEMUR[side]
    spacing = body.grid.spacing_mm
    inside = ndimage.distance_transform_edt(mask, sampling=spacing) - spacing[0] / 2
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing) - spacing[0] / 2
    return ndimage.gaussian_filter(np.where(mask, -inside, outside), 0.7)


@pytest.fixture(scope="module")
def body() -> Body:
    rng = np.random.default_rng(11)
    return procedural_body(draw_anatomy("F", 66.0, 157.0, 56.0, rng), SPACING_MM, rng)


def voxels_mm(body: Body, label: int) -> np.ndarray:
    return apply_affine(body.grid.world_from_index, np.argwhere(body.bones == label).astype(float))


def test_volume_fractions_fill_the_body_and_leave_air_empty(body):
    total = body.adipose_g_cm3 / 0.92 + body.lean_g_cm3 / 1.05 + body.ha_mg_cm3 / 3160.0
    assert total.max() < 1 + 1e-5
    partial = (total > 1e-6) & (total < 1 - 1e-5)
    # Only the skin and the surface of gas are partly filled.
    assert partial.mean() < 0.03
    # Bowel gas may touch a bone.
    assert (total[body.bones > 0] > 1 - 1e-5).mean() > 0.999
    assert min(a.min() for a in (body.adipose_g_cm3, body.lean_g_cm3, body.ha_mg_cm3)) >= 0
    assert (total[:, :, 0] == 0).all()
    assert (total[:, 0] == 0).all()


def test_arrays_lie_on_the_grid_in_their_types(body):
    for array, kind in ((body.bones, np.uint8), (body.proximal_femur, np.uint8), (body.ha_mg_cm3, np.float32)):
        assert array.shape == body.grid.shape
        assert array.dtype == kind


def test_left_bones_lie_at_positive_x(body):
    for left, right in ((Bone.LEFT_HIP, Bone.RIGHT_HIP), (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR)):
        assert voxels_mm(body, left)[:, 0].min() > 0
        assert voxels_mm(body, right)[:, 0].max() < 0
    assert body.femurs[Side.LEFT].head_centre_mm[0] > 60
    assert body.femurs[Side.RIGHT].head_centre_mm[0] < -60


def test_sacrum_lies_behind_and_above_the_hip_joints(body):
    centre = voxels_mm(body, Bone.SACRUM).mean(axis=0)
    assert abs(centre[0]) < 3
    assert centre[1] > 25
    assert centre[2] > 20


def test_every_bone_has_a_plausible_volume(body):
    limits_cm3 = {Bone.LEFT_HIP: (180, 480), Bone.LEFT_FEMUR: (110, 380), Bone.SACRUM: (100, 300)}
    for bone, (low, high) in limits_cm3.items():
        assert low < (body.bones == bone).sum() * body.grid.voxel_mm3 / 1e3 < high


@pytest.mark.parametrize("side", list(Side))
def test_the_head_in_the_labels_is_the_true_sphere(body, side):
    truth = body.femurs[side]
    ball = distance_mm(rods([[(*truth.head_centre_mm.tolist(), truth.head_radius_mm)]]), body.grid, 9.0)
    medial = (body.grid.coordinates_mm() - truth.head_centre_mm) @ truth.neck_axis > 0.2 * truth.head_radius_mm
    femur = body.bones == FEMUR[side]
    # The pit of the ligament is the only place where the sphere is not full.
    missing = (ball < -0.5) & medial & ~femur
    assert missing.sum() * body.grid.voxel_mm3 < 250
    assert not (missing & (ball < -2.6)).any()
    assert not femur[(ball > 0.5) & (ball < 9.0) & medial].any()


@pytest.mark.parametrize("side", list(Side))
def test_landmarks_fitted_to_the_surface_are_the_true_ones(body, side):
    truth = body.femurs[side]
    fitted = fit_femur(femur_distance_mm(body, side), body.grid, side, np.random.default_rng(0))
    assert np.linalg.norm(fitted.head_centre_mm - truth.head_centre_mm) < 0.5
    assert abs(fitted.head_radius_mm - truth.head_radius_mm) < 0.3
    assert np.degrees(np.arccos(fitted.neck_axis @ truth.neck_axis)) < 5.0
    assert np.degrees(np.arccos(fitted.shaft_axis @ truth.shaft_axis)) < 2.0
    assert abs((fitted.lesser_trochanter_mm - truth.lesser_trochanter_mm) @ truth.shaft_axis) < 4.0
    assert abs(fitted.neck_shaft_angle_deg - truth.neck_shaft_angle_deg) < 5.0


def test_the_spine_reaches_the_top_of_the_body_without_a_label(body):
    heads = np.mean([truth.head_centre_mm for truth in body.femurs.values()], axis=0)
    top_mm = body.grid.world_from_index[2, 3] + (body.grid.shape[0] - 1) * body.grid.spacing_mm[0]
    # What an AP X-ray shows above its centre, 12 mm above the hips.
    assert top_mm - heads[2] > 165.0
    crest = int(np.flatnonzero(np.isin(body.bones, [Bone.LEFT_HIP, Bone.RIGHT_HIP]).any(axis=(1, 2))).max())
    above = body.ha_mg_cm3[crest + 3 :]
    assert (body.bones[crest + 3 :] == 0).all()
    assert ((above > 100).any(axis=(1, 2))).mean() > 0.95
    centre = np.argwhere(above > 100)[:, 2].mean() * body.grid.spacing_mm[2] + body.grid.world_from_index[0, 3]
    assert abs(centre) < 12.0


@pytest.mark.parametrize("side", list(Side))
def test_the_joint_keeps_its_gap(body, side):
    hip = {Side.LEFT: Bone.LEFT_HIP, Side.RIGHT: Bone.RIGHT_HIP}[side]
    truth = body.femurs[side]
    points = voxels_mm(body, hip)
    distance = np.linalg.norm(points - truth.head_centre_mm, axis=1) - truth.head_radius_mm
    assert distance.min() >= 2.9
    # The roof covers the head: bone above the joint within a centimetre.
    height = (points - truth.head_centre_mm)[:, 2] / (distance + truth.head_radius_mm)
    above = distance[height > 0.9]
    assert above.min() < 6.0


@pytest.mark.parametrize("side", list(Side))
def test_the_proximal_femur_lies_between_its_cuts(body, side):
    truth = body.femurs[side]
    region = body.proximal_femur == PROXIMAL_FEMUR[side]
    assert (body.bones[region] == FEMUR[side]).all()
    points = apply_affine(body.grid.world_from_index, np.argwhere(region).astype(float))
    assert ((points - truth.head_centre_mm) @ truth.neck_axis).max() <= -0.75 * truth.head_radius_mm
    below = (points - truth.lesser_trochanter_mm) @ truth.shaft_axis
    assert -20.0 <= below.min() < -17.0


def test_the_shaft_reaches_12_cm_below_the_lesser_trochanter(body):
    lowest = body.grid.world_from_index[2, 3]
    assert min(f.lesser_trochanter_mm[2] for f in body.femurs.values()) - lowest > 120
    for side in Side:
        assert (body.bones[0] == FEMUR[side]).any()


def test_the_shaft_is_a_tube_of_cortex_around_fatty_marrow(body):
    truth = body.femurs[Side.LEFT]
    slice_k = 12
    femur = body.bones[slice_k] == FEMUR[Side.LEFT]
    depth = ndimage.distance_transform_edt(femur) * SPACING_MM
    assert body.ha_mg_cm3[slice_k][depth >= depth.max() - 0.1].max() < 60
    assert 600 < np.percentile(body.ha_mg_cm3[slice_k][femur], 80) <= 1150
    assert truth.shaft_axis[2] > 0.95


def test_the_same_seed_makes_the_same_body_and_another_seed_another():
    def make(seed):
        rng = np.random.default_rng(seed)
        return procedural_body(draw_anatomy("M", 55.0, 170.0, 70.0, rng), 5.0, rng)

    first, again, other = make(3), make(3), make(4)
    for name in ("bones", "ha_mg_cm3", "adipose_g_cm3", "lean_g_cm3", "proximal_femur"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.description == again.description
    assert first.grid.shape != other.grid.shape or (first.bones != other.bones).any()


def test_density_follows_the_drawn_scale_at_unchanged_shape():
    values = []
    for scale in (0.7, 1.0, 1.3):
        rng = np.random.default_rng(5)
        parameters = draw_anatomy("F", 60.0, 158.0, 56.0, rng)
        femurs = {side: replace(femur, bmd_scale=scale) for side, femur in parameters.femurs.items()}
        body = procedural_body(replace(parameters, bmd_scale=scale, femurs=femurs), 3.0, rng)
        values.append(areal_g_cm2(body, Side.LEFT))
    assert values[0] < 0.8 * values[1]
    assert values[2] > 1.2 * values[1]
    assert values[1] == pytest.approx(0.76, abs=0.12)


def test_areal_density_over_a_cohort_is_that_of_patients():
    areal, expected = [], []
    for n in range(12):
        rng = np.random.default_rng(200 + n)
        sex = "M" if n % 4 == 0 else "F"
        height = rng.normal(168 if sex == "M" else 156, 6)
        parameters = draw_anatomy(sex, float(rng.uniform(35, 85)), height, rng.normal(23, 3) * (height / 100) ** 2, rng)
        body = procedural_body(parameters, 3.0, rng)
        areal.append([areal_g_cm2(body, side) for side in Side])
        expected.append(parameters.bmd_scale)
    areal = np.array(areal)
    assert 0.64 < areal.mean() < 0.88
    assert 0.09 < areal.mean(axis=1).std(ddof=1) < 0.22
    assert 0.003 < np.abs(np.diff(areal, axis=1)).mean() < 0.08
    assert np.corrcoef(areal.mean(axis=1), expected)[0, 1] > 0.9


def test_subcutaneous_fat_tells_nothing_about_density():
    drawn = [draw_anatomy("F", 60.0, 158.0, 56.0, np.random.default_rng(n)) for n in range(400)]
    fat = [sum(d.fat_mm) for d in drawn]
    assert abs(np.corrcoef(fat, [d.bmd_scale for d in drawn])[0, 1]) < 0.12
