"""The body made from real label maps keeps their shapes and fits plausible landmarks."""

import nibabel
import numpy as np
import pytest

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, Bone, Side
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import Body
from osteoray.simulation.labelmaps import FEMUR_LABEL, PELVIS_LABEL, SACRUM_LABEL, labelmap_body, solid_spine


def read(path) -> Volume:
    image = nibabel.load(path)
    array = np.asarray(image.dataobj).transpose(2, 1, 0)
    affine = image.affine
    origin = (-affine[0, 3], -affine[1, 3], affine[2, 3])
    spacing = tuple(float(s) for s in image.header.get_zooms()[::-1])
    # Stored LPS-aligned: NIfTI's x and y run the other way.
    assert affine[0, 0] < 0
    assert affine[1, 1] < 0
    return Volume(np.ascontiguousarray(array), VoxelGrid.axial(array.shape, spacing, origin))


@pytest.fixture(scope="module", params=["001", "002"])
def real(request, shared_data) -> tuple[Volume, Volume, Body]:
    folder = shared_data / "anatomy"
    labels = read(folder / f"Pelvic-Ref-{request.param}_label.nii.gz")
    mask = read(folder / f"Pelvic-Ref-{request.param}_mask.nii.gz")
    return labels, mask, labelmap_body(labels, mask, 2.5, 1.0, 0.0, np.random.default_rng(0))


def test_undeformed_bones_are_those_of_the_label_map(real):
    labels, _, body = real
    found = resample(labels, body.grid, nearest=True).array
    pairs = (
        (PELVIS_LABEL, (Bone.LEFT_HIP, Bone.RIGHT_HIP), 0.86),
        (FEMUR_LABEL, (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR), 0.93),
        (SACRUM_LABEL, (Bone.SACRUM,), 0.82),
    )
    for label, bones, least in pairs:
        a, b = found == label, np.isin(body.bones, bones)
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > least


def test_left_bones_lie_left_of_right_ones(real):
    _, _, body = real
    for left, right in ((Bone.LEFT_HIP, Bone.RIGHT_HIP), (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR)):
        x_left, x_right = (
            apply_affine(body.grid.world_from_index, np.argwhere(body.bones == bone).astype(float))[:, 0]
            for bone in (left, right)
        )
        assert x_left.min() > x_right.max()


def test_landmarks_are_plausible_and_alike_on_both_sides(real):
    _, _, body = real
    left, right = body.femurs[Side.LEFT], body.femurs[Side.RIGHT]
    for femur in (left, right):
        assert 21 < femur.head_radius_mm < 28
        assert 105 < femur.neck_shaft_angle_deg < 145
        assert 15 < np.linalg.norm(femur.head_centre_mm - femur.neck_centre_mm) < 45
        assert 55 < (femur.head_centre_mm - femur.lesser_trochanter_mm) @ femur.shaft_axis < 95
        assert femur.anteversion_deg is None
    assert abs(left.head_radius_mm - right.head_radius_mm) < 1.0
    assert abs(left.neck_shaft_angle_deg - right.neck_shaft_angle_deg) < 8.0


def test_femur_and_hip_do_not_touch(real):
    _, _, body = real
    for side, hip in ((Side.LEFT, Bone.LEFT_HIP), (Side.RIGHT, Bone.RIGHT_HIP)):
        femur, hip_mask = body.bones == FEMUR[side], body.bones == hip
        for axis in range(3):
            shifted = np.roll(femur, 1, axis=axis)
            assert (shifted & hip_mask).sum() < 60


def test_volume_fractions_fill_the_body(real):
    _, _, body = real
    total = body.adipose_g_cm3 / 0.92 + body.lean_g_cm3 / 1.05 + body.ha_mg_cm3 / 3160.0
    assert total.max() < 1 + 1e-5
    assert (total[body.bones > 0] > 0.49).all()
    assert 0.2 < (total > 0.99).mean() < 0.8


def test_deformation_changes_the_shape_but_not_the_kind(real):
    labels, mask, plain = real
    warped = labelmap_body(labels, mask, 4.0, 0.8, 1.0, np.random.default_rng(2))
    shift = plain.femurs[Side.LEFT].head_centre_mm - warped.femurs[Side.LEFT].head_centre_mm
    assert 1.0 < np.linalg.norm(shift) < 25.0
    volumes = [(b.bones == Bone.LEFT_FEMUR).sum() * b.grid.voxel_mm3 for b in (plain, warped)]
    assert 0.75 < volumes[1] / volumes[0] < 1.33


def test_the_body_reaches_75_mm_above_the_crest_with_spine(real):
    _, _, body = real
    crest = int(np.flatnonzero(np.isin(body.bones, [Bone.LEFT_HIP, Bone.RIGHT_HIP]).any(axis=(1, 2))).max())
    above = body.ha_mg_cm3[crest + 1 :]
    assert len(above) * body.grid.spacing_mm[0] > 60.0
    assert ((above > 100).any(axis=(1, 2))).mean() > 0.95


def test_a_hollow_vertebral_body_is_filled_and_the_canal_stays_open():
    j, i = np.mgrid[:80, :80]
    body = np.hypot(j - 25, i - 40)
    canal = np.hypot(j - 50, i - 40)
    drawn = ((body < 16) & (body > 13)) | ((canal < 14) & (canal > 9))
    full = solid_spine(drawn[None])[0]
    assert full[25, 40]
    assert not full[50, 40]
    assert full[drawn].all()
