"""The picture of a segmentation shows what is there, where it is, and works with whatever is missing."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from osteoray.errors.verdict import Finding
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import PROXIMAL_FEMUR, Bone, Side
from osteoray.imaging.volume import Volume
from osteoray.report.body_planes import Plane, coronal_plane
from osteoray.report.segmentation_picture import message_picture, segmentation_picture, small_png
from osteoray.report.segmented import Segmented, focus
from osteoray.report.wording import in_words

HEAD = {Side.LEFT: np.array([90.0, 10.0, 20.0]), Side.RIGHT: np.array([-90.0, 0.0, 20.0])}
X, _, Z = np.eye(3)


def femur_facts(side):
    medial = -1.0 if side is Side.LEFT else 1.0
    head = HEAD[side]
    neck = np.array([medial, 0, 1.0]) / np.sqrt(2)
    shaft_point = head + np.array([-medial * 40.0, 0, -60])
    return {
        "head_centre_mm": head.tolist(),
        "head_radius_mm": 23.0,
        "neck_axis": neck.tolist(),
        "shaft_axis": [0.0, 0.0, 1.0],
        "shaft_point_mm": shaft_point.tolist(),
        "lesser_trochanter_mm": (shaft_point + np.array([medial * 15, 12, 0])).tolist(),
        "lesser_trochanter_tip_mm": (shaft_point + np.array([medial * 18, 12, 8])).tolist(),
        "neck_shaft_angle_deg": 135.0,
    }


@pytest.fixture(scope="module")
def seen() -> Segmented:
    grid = VoxelGrid.axial((60, 60, 90), (4.0, 4.0, 4.0), (-178.0, -118.0, -110.0))
    points = grid.coordinates_mm()
    bones, region = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
    for side, bone, hip in (
        (Side.LEFT, Bone.LEFT_FEMUR, Bone.LEFT_HIP),
        (Side.RIGHT, Bone.RIGHT_FEMUR, Bone.RIGHT_HIP),
    ):
        shaft = np.array(femur_facts(side)["shaft_point_mm"])
        on_shaft = (np.linalg.norm(points[..., :2] - shaft[:2], axis=-1) < 15) & (points[..., 2] < 10)
        bones[on_shaft] = bone
        region[on_shaft & (points[..., 2] > -60)] = PROXIMAL_FEMUR[side]
        bones[np.linalg.norm(points - HEAD[side] - 35 * Z, axis=-1) < 15] = hip
        bones[np.linalg.norm(points - HEAD[side], axis=-1) < 23] = bone
    hu = np.where(bones > 0, 400, 0).astype(np.int16)
    uncertainty = Volume(np.where(bones == Bone.LEFT_FEMUR, np.float32(0.1), np.float32(0)), grid)
    facts = {side.value: femur_facts(side) for side in Side}
    return Segmented(Volume(hu, grid), Volume(bones, grid), Volume(region, grid), uncertainty, facts)


def pixels(figure):
    return np.asarray(Image.open(BytesIO(small_png(figure))).convert("RGB")).astype(int)


def panels(figure):
    return {ax.get_title(loc="left"): ax for ax in figure.axes}


def test_every_panel_is_there_and_the_file_is_small(seen):
    figure = segmentation_picture(seen, "P1: warning", "Left: uncertain.")
    names = ["Axial, femoral heads", "Axial, lesser trochanters", "Coronal, femoral heads", "Anterior"]
    for side in ("right", "left"):
        names += [f"Sagittal, {side} head", f"Neck and shaft, {side}"]
    assert set(panels(figure)) == {*names, "Posterior oblique"}
    first, second = small_png(figure), small_png(segmentation_picture(seen, "P1: warning", "Left: uncertain."))
    assert first == second
    assert len(first) < 400_000


def test_the_coronal_plane_goes_through_both_heads_and_shows_left_on_the_right(seen):
    plane = coronal_plane(focus(seen), 130.0)
    places = {side: apply_affine(plane.grid().index_from_world, centre) for side, centre in HEAD.items()}
    assert all(abs(place[0]) < 1e-6 for place in places.values())
    assert places[Side.LEFT][2] > places[Side.RIGHT][2]
    assert plane.grid().shape[0] == 1


def test_the_middle_of_a_plane_is_its_centre():
    grid = Plane("", np.array([1.0, 2.0, 3.0]), X, -Z, (40.0, 60.0), ("R", "L")).grid()
    np.testing.assert_allclose(grid.centre_mm, [1.0, 2.0, 3.0])
    assert apply_affine(grid.index_from_world, np.array([1.0, 2.0, 13.0]))[1] < grid.shape[1] / 2


def test_a_contour_runs_around_the_head(seen):
    axes = panels(segmentation_picture(seen, "P1", ""))["Axial, femoral heads"]
    lines = [path.vertices for found in axes.collections for path in found.get_paths() if len(path.vertices)]
    size_mm = sorted(np.ptp(line[:, 0]) * 0.8 for line in lines if len(line) > 10)
    assert size_mm[-2:] == pytest.approx([46, 46], abs=5)


def test_doubt_is_painted_where_it_is(seen):
    axes = panels(segmentation_picture(seen, "P1", ""))["Axial, femoral heads"]
    alpha = axes.images[1].get_array()[..., 3]
    middle = alpha.shape[1] // 2
    assert alpha[:, middle:].max() > 0.5
    assert alpha[:, :middle].max() == 0


def test_without_landmarks_and_doubt_there_are_still_contours(seen):
    bare = Segmented(seen.ct_hu, seen.bones, seen.region, None, {})
    axes = panels(segmentation_picture(bare, "P1", ""))
    assert "Neck and shaft, left" not in axes
    assert axes["Coronal, femoral heads"].collections
    assert focus(bare)[Side.LEFT][0, 2] == pytest.approx(20, abs=12)


def test_one_femur_or_none_is_no_error(seen):
    array = np.where(seen.bones.array == Bone.RIGHT_FEMUR, seen.bones.array, 0).astype(np.uint8)
    facts = {"right": seen.femurs["right"]}
    one = Segmented(seen.ct_hu, Volume(array, seen.bones.grid), seen.region, None, facts)
    assert "Sagittal, left head" not in panels(segmentation_picture(one, "P1", ""))
    nothing = Volume(np.zeros_like(array), seen.bones.grid)
    assert panels(segmentation_picture(Segmented(seen.ct_hu, nothing, nothing, None, {}), "P1", ""))


def test_a_withheld_patient_gets_a_sentence():
    assert (pixels(message_picture("P1: withheld", "No phantom.")) < 128).any()


def test_findings_are_told_once_each_with_side_and_code():
    findings = [Finding("SEG-UNCERTAIN", "left_femur", side="left"), Finding("SEG-UNCERTAIN", "again", side="left")]
    assert in_words(findings) == "Left: The segmentation is uncertain. (SEG-UNCERTAIN)"
    assert in_words([]) == "No findings."
