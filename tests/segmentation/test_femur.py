"""Landmarks of femurs: closed forms, shapes with known landmarks, and real anatomy."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation.femur import femur_frame, locate_femur
from osteoray.segmentation.proximal_femur import proximal_femur
from osteoray.segmentation.shaft import Axis, fit_line, refine_shaft
from osteoray.segmentation.sphere import fit_head, fit_sphere
from osteoray.segmentation.surface import BoneSurface, cross_sections
from osteoray.store.nifti import read_volume

CUT_MM = 20.0


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


def directions(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cylinder(axis: np.ndarray, radius_mm: float) -> Volume:
    grid = VoxelGrid.axial((60, 60, 60), (2.0, 1.5, 1.5), (-44.0, -44.0, -60.0))
    points = grid.coordinates_mm()
    across = points - (points @ axis)[..., None] * axis
    return Volume((np.linalg.norm(across, axis=-1) < radius_mm) & (np.abs(points @ axis) < 45), grid)


def test_sphere_through_its_own_points_is_exact():
    centre, radius = fit_sphere(np.array([3.0, -7.0, 40.0]) + 23.5 * directions(50))
    np.testing.assert_allclose(centre, [3.0, -7.0, 40.0], atol=1e-9)
    assert radius == pytest.approx(23.5, abs=1e-9)


def test_sphere_of_points_in_a_plane_is_refused():
    flat = directions(20) * [1, 1, 0]
    with pytest.raises(ValueError, match="span space"):
        fit_sphere(flat)


def test_head_fit_ignores_the_neck_and_a_rim_of_osteophytes():
    points = 24.0 * directions(3000)
    neck = np.array([-1.0, 0, 0]) * np.linspace(24, 60, 300)[:, None] + 14.0 * directions(300, 1) * [0, 1, 1]
    rim = 27.0 * directions(300, 2) * [0.2, 1, 1]
    head = fit_head(np.concatenate([points, neck, rim]), np.array([3.0, 2.0, -2.0]), 21.0, np.array([-60.0, 0, 0]))
    assert np.linalg.norm(head.centre_mm) < 0.2
    assert head.radius_mm == pytest.approx(24.0, abs=0.2)
    assert 0.6 < head.coverage <= 1.0


def test_sections_of_a_cylinder_have_its_area_and_lie_on_its_axis():
    axis = np.array([0.2, 0.1, 1.0]) / np.linalg.norm([0.2, 0.1, 1.0])
    sections = cross_sections(BoneSurface.of(cylinder(axis, 14.0)), np.zeros(3), axis, np.arange(-20.0, 21.0, 5.0))
    np.testing.assert_allclose(sections.area_mm2, np.pi * 14.0**2, rtol=0.02)
    across = sections.centroid_mm - (sections.centroid_mm @ axis)[:, None] * axis
    assert np.abs(across).max() < 0.15


def test_shaft_axis_of_a_cylinder_is_recovered_from_a_guess_8_degrees_off():
    axis = np.array([0.1, 0.25, 1.0]) / np.linalg.norm([0.1, 0.25, 1.0])
    surface = BoneSurface.of(cylinder(axis, 14.0))
    guess = np.array([0.2, 0.15, 1.0]) / np.linalg.norm([0.2, 0.15, 1.0])
    shaft = refine_shaft(surface, Axis(np.zeros(3), guess), -30.0, 30.0)
    assert angle_deg(shaft.direction, axis) < 0.2


def test_fitted_lines_point_upwards():
    assert fit_line(np.array([[0.0, 0, 5], [0, 1, 0], [0, 2, -5]])).direction[2] > 0


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("spacing_mm", [(1.3, 1.3, 1.3), (2.5, 1.8, 1.8)])
@pytest.mark.parametrize("rotation_deg", [(0.0, 0.0, 0.0), (15.0, 6.0, 20.0), (-30.0, 12.0, 0.0)])
def test_landmarks_of_a_known_femur(femur_of, side, spacing_mm, rotation_deg):
    known = femur_of(side, spacing_mm, rotation_deg)
    femur = locate_femur(known.mask, side, CUT_MM)
    assert np.linalg.norm(femur.head.centre_mm - known.head_centre_mm) < 0.5
    assert femur.head.radius_mm == pytest.approx(24.0, abs=0.4)
    assert angle_deg(femur.neck.axis, known.neck_axis) < 2.0
    assert angle_deg(femur.shaft.direction, known.shaft_axis) < 0.5
    assert femur.neck_shaft_angle_deg == pytest.approx(128.0, abs=1.0)
    tip = femur.lesser_trochanter.tip_mm - known.trochanter_mm
    assert abs(tip @ known.shaft_axis) < 3.0
    below = (known.trochanter_mm - femur.lesser_trochanter.lower_edge_mm) @ known.shaft_axis
    assert 3.0 < below < 12.0


def test_the_frame_points_medially_posteriorly_and_up_on_both_sides():
    neck, shaft = np.array([0.8, 0.0, 0.6]), np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(femur_frame(neck, shaft, Side.RIGHT), np.eye(3), atol=1e-12)
    left = femur_frame(neck * [-1, 1, 1], shaft, Side.LEFT)
    np.testing.assert_allclose(left, np.diag([-1.0, 1, 1]), atol=1e-12)


@pytest.mark.parametrize("shaft_below_mm", [4.0, 14.0, 19.0])
def test_a_femur_that_ends_below_the_trochanter_is_cropped(femur_of, shaft_below_mm):
    known = femur_of(Side.LEFT, shaft_below_mm=shaft_below_mm)
    with pytest.raises(Withheld, match="SEG-CROPPED") as raised:
        locate_femur(known.mask, Side.LEFT, CUT_MM)
    assert raised.value.finding.side == "left"


def test_a_shaft_without_a_head_has_no_landmarks():
    axis = np.array([0.0, 0.0, 1.0])
    with pytest.raises(Withheld, match="SEG-LANDMARK"):
        locate_femur(cylinder(axis, 14.0), Side.LEFT, CUT_MM)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.3, 0.5])
def test_any_piece_of_a_femur_is_measured_or_withheld(femur_of, kept):
    mask = femur_of(Side.LEFT, (2.5, 1.8, 1.8)).mask
    piece = mask.array.copy()
    piece[: round(len(piece) * (1 - kept))] = False
    with pytest.raises(Withheld, match=r"SEG-LANDMARK|SEG-CROPPED"):
        locate_femur(Volume(piece, mask.grid), Side.LEFT, CUT_MM)


def test_the_wrong_side_has_no_head(femur_of):
    with pytest.raises(Withheld, match="SEG-LANDMARK"):
        locate_femur(femur_of(Side.RIGHT).mask, Side.LEFT, CUT_MM)


def test_proximal_femur_is_one_part_between_its_two_planes(femur_of):
    known = femur_of(Side.RIGHT, (1.5, 1.2, 1.2), (10.0, 5.0, 0.0))
    femur = locate_femur(known.mask, Side.RIGHT, CUT_MM)
    region = proximal_femur(known.mask, femur, CUT_MM, 0.75)
    points = known.mask.grid.coordinates_mm()[region]
    assert ((points - known.head_centre_mm) @ known.neck_axis).max() < -0.75 * 24.0 + 1.5
    edge = femur.lesser_trochanter.lower_edge_mm
    assert ((points - edge) @ known.shaft_axis).min() == pytest.approx(-CUT_MM, abs=1.5)
    assert ndimage.label(region)[1] == 1
    assert not (region & ~known.mask.array).any()


def test_a_longer_cut_adds_a_cylinder_of_shaft(femur_of):
    known = femur_of(Side.RIGHT)
    femur = locate_femur(known.mask, Side.RIGHT, CUT_MM)
    more, less = (proximal_femur(known.mask, femur, cut, 0.75).sum() for cut in (50.0, 20.0))
    assert (more - less) * known.mask.grid.voxel_mm3 == pytest.approx(np.pi * 14**2 * 30, rel=0.06)


def is_plausible(femur) -> bool:
    neck_mm = np.linalg.norm(femur.head.centre_mm - femur.neck.centre_mm)
    below_mm = (femur.head.centre_mm - femur.lesser_trochanter.lower_edge_mm) @ femur.shaft.direction
    return (
        18 < femur.head.radius_mm < 30
        and femur.head.residual_mm < 1.0
        and 110 < femur.neck_shaft_angle_deg < 150
        and 15 < neck_mm < 45
        and 50 < below_mm < 100
    )


@pytest.mark.parametrize("name", ["Pelvic-Ref-001", "Pelvic-Ref-002"])
def test_landmarks_of_labelled_real_femurs_are_plausible_and_alike(shared_data, name):
    labels = read_volume(shared_data / "anatomy" / f"{name}_label.nii.gz")
    parts, _ = ndimage.label(labels.array == 2)
    sizes = np.bincount(parts.ravel())
    two = np.argsort(sizes[1:])[-2:] + 1
    masks = sorted(
        (Volume(parts == number, labels.grid) for number in two),
        key=lambda mask: np.nonzero(mask.array)[2].mean() * labels.grid.world_from_index[0, 2],
    )
    right, left = (locate_femur(mask, side, CUT_MM) for mask, side in zip(masks, (Side.RIGHT, Side.LEFT), strict=True))
    assert is_plausible(right)
    assert is_plausible(left)
    assert abs(right.head.radius_mm - left.head.radius_mm) < 1.0
    assert abs(right.neck_shaft_angle_deg - left.neck_shaft_angle_deg) < 8.0


def read_surface(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a binary PLY with float x, y, z and (uchar, 3 int, ushort) faces."""
    header, body = gzip.decompress(path.read_bytes()).split(b"end_header\n", 1)
    counts = [int(line.split()[2]) for line in header.decode().splitlines() if line.startswith("element")]
    vertices = np.frombuffer(body, "<f4", counts[0] * 3).reshape(-1, 3)
    face = np.dtype([("n", "u1"), ("corners", "<i4", 3), ("stl", "<u2")])
    return vertices.astype(float), np.frombuffer(body, face, counts[1], offset=vertices.nbytes)["corners"]


def voxelise(vertices: np.ndarray, triangles: np.ndarray, spacing_mm: float) -> Volume:
    """Mark the surface, then fill every axial layer."""
    corners = vertices[triangles]
    middles = (corners + np.roll(corners, 1, axis=1)) / 2
    samples = np.concatenate([vertices, corners.mean(axis=1), middles.reshape(-1, 3)])
    low = vertices.min(axis=0) - 5
    shape = tuple(int(n) for n in np.ceil((vertices.max(axis=0) + 5 - low)[::-1] / spacing_mm))
    grid = VoxelGrid.axial(shape, (spacing_mm,) * 3, tuple(low))
    shell = np.zeros(shape, bool)
    shell[tuple(np.rint((samples - low) / spacing_mm).astype(int)[:, ::-1].T)] = True
    return Volume(np.stack([ndimage.binary_fill_holes(layer) for layer in shell]), grid)


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("name", ["m3_lfemur", "m3_rfemur", "m4_lfemur", "m4_rfemur"])
def test_landmarks_of_real_femur_surfaces_are_plausible(shared_data, name, is_mirrored):
    vertices, triangles = read_surface(shared_data / "femurs" / f"{name}_mm.ply.gz")
    vertices = vertices * [-1.0 if is_mirrored else 1.0, 1.0, 1.0]
    side = Side.LEFT if ("_l" in name) != is_mirrored else Side.RIGHT
    femur = locate_femur(voxelise(vertices, triangles, 1.5), side, CUT_MM)
    assert is_plausible(femur)
    # Independent check of the head: the mesh's own vertices lie on the sphere.
    distance = np.linalg.norm(vertices - femur.head.centre_mm, axis=1)
    assert (np.abs(distance - femur.head.radius_mm) < 1.5).sum() > 0.1 * len(vertices)


def test_landmarks_turn_with_the_femur(shared_data):
    vertices, triangles = read_surface(shared_data / "femurs" / "m4_rfemur_mm.ply.gz")
    c, s = np.cos(np.radians(15)), np.sin(np.radians(15))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    plain = locate_femur(voxelise(vertices, triangles, 1.5), Side.RIGHT, CUT_MM)
    turned = locate_femur(voxelise(vertices @ turn.T, triangles, 1.5), Side.RIGHT, CUT_MM)
    assert np.linalg.norm(turned.head.centre_mm - turn @ plain.head.centre_mm) < 0.5
    assert angle_deg(turned.shaft.direction, turn @ plain.shaft.direction) < 1.0
    assert turned.neck_shaft_angle_deg == pytest.approx(plain.neck_shaft_angle_deg, abs=1.5)
    edge = turned.lesser_trochanter.lower_edge_mm - turn @ plain.lesser_trochanter.lower_edge_mm
    assert abs(edge @ turned.shaft.direction) < 2.0


def ball(known, radius_mm: float, low_mm: float, share: float) -> np.ndarray:
    """Voxels around the head between two distances and within a cone upwards."""
    offset = known.mask.grid.coordinates_mm() - known.head_centre_mm
    distance = np.linalg.norm(offset, axis=-1)
    return (distance < radius_mm) & (distance >= low_mm) & (offset @ known.shaft_axis > share * distance)


def voxel_thicker(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask)


def voxel_thinner(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_erosion(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1, 1:-1]


@pytest.fixture(scope="module")
def fine_femur(femur_of):
    return femur_of(Side.LEFT, (1.3, 1.3, 1.3))


@pytest.mark.parametrize(("change", "radius_mm"), [(voxel_thicker, 25.0), (voxel_thinner, 23.0)])
def test_a_mask_one_voxel_wrong_moves_no_landmark(fine_femur, change, radius_mm):
    true = locate_femur(fine_femur.mask, Side.LEFT, CUT_MM)
    femur = locate_femur(Volume(change(fine_femur.mask.array), fine_femur.mask.grid), Side.LEFT, CUT_MM)
    assert np.linalg.norm(femur.head.centre_mm - fine_femur.head_centre_mm) < 0.5
    assert femur.head.radius_mm == pytest.approx(radius_mm, abs=0.6)
    assert femur.neck_shaft_angle_deg == pytest.approx(true.neck_shaft_angle_deg, abs=0.7)
    edge = femur.lesser_trochanter.lower_edge_mm - true.lesser_trochanter.lower_edge_mm
    assert abs(edge @ fine_femur.shaft_axis) < 1.5


def test_a_leak_into_the_socket_does_not_move_the_head(fine_femur):
    leaking = Volume(fine_femur.mask.array | ball(fine_femur, 36.0, 20.0, 0.85), fine_femur.mask.grid)
    femur = locate_femur(leaking, Side.LEFT, CUT_MM)
    assert np.linalg.norm(femur.head.centre_mm - fine_femur.head_centre_mm) < 0.7
    assert femur.head.coverage < locate_femur(fine_femur.mask, Side.LEFT, CUT_MM).head.coverage - 0.03


def above_head_mm(known) -> np.ndarray:
    return (known.mask.grid.coordinates_mm() - known.head_centre_mm) @ known.shaft_axis


def test_a_head_that_misses_its_top_keeps_its_centre(fine_femur):
    topless = fine_femur.mask.array & (above_head_mm(fine_femur) < 17.0)
    femur = locate_femur(Volume(topless, fine_femur.mask.grid), Side.LEFT, CUT_MM)
    assert np.linalg.norm(femur.head.centre_mm - fine_femur.head_centre_mm) < 0.7


def socket(known, from_mm: float, cone_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance of all voxels from the head's centre, and which of them lie in a socket that begins at a radius."""
    offset = known.mask.grid.coordinates_mm() - known.head_centre_mm
    distance_mm = np.linalg.norm(offset, axis=-1)
    along = offset @ np.array([0.5, 0.0, 0.866]) / np.maximum(distance_mm, 1e-6)
    in_cone = along > np.cos(np.radians(cone_deg))
    return distance_mm, in_cone & (distance_mm > from_mm) & (distance_mm < 34.0)


@pytest.mark.parametrize("line_mm", [25.8, 21.5])
def test_where_the_hip_bone_touches_the_head_does_not_matter(fine_femur, line_mm):
    """The line between both is drawn 2 mm too far out, or too far in, over the socket's half of the head."""
    distance_mm, hip = socket(fine_femur, line_mm, 60.0)
    in_socket = socket(fine_femur, 0.0, 60.0)[1] & (distance_mm < line_mm)
    wrong = Volume((fine_femur.mask.array | in_socket) & ~hip, fine_femur.mask.grid)
    blind = locate_femur(wrong, Side.LEFT, CUT_MM).head
    seeing = locate_femur(wrong, Side.LEFT, CUT_MM, Volume(hip, wrong.grid)).head
    errors_mm = [np.linalg.norm(head.centre_mm - fine_femur.head_centre_mm) for head in (blind, seeing)]
    assert errors_mm[1] < 0.4 and errors_mm[0] > 2 * errors_mm[1]


def test_a_hip_bone_apart_from_the_head_changes_nothing(fine_femur):
    apart = Volume(socket(fine_femur, 28.0, 70.0)[1], fine_femur.mask.grid)
    known, alone = (locate_femur(fine_femur.mask, Side.LEFT, CUT_MM, hip) for hip in (apart, None))
    assert known.facts() == alone.facts()


def test_a_head_that_has_grown_into_its_socket_counts_as_a_whole(fine_femur):
    around = Volume(socket(fine_femur, 24.0, 179.0)[1] & ~fine_femur.mask.array, fine_femur.mask.grid)
    known, alone = (locate_femur(fine_femur.mask, Side.LEFT, CUT_MM, hip) for hip in (around, None))
    assert known.facts() == alone.facts()


def test_half_a_head_is_withheld(fine_femur):
    half = fine_femur.mask.array & (above_head_mm(fine_femur) < 0.0)
    with pytest.raises(Withheld, match="SEG-LANDMARK"):
        locate_femur(Volume(half, fine_femur.mask.grid), Side.LEFT, CUT_MM)


def test_a_flattened_head_is_withheld_or_warned_of(fine_femur):
    offset = fine_femur.mask.grid.coordinates_mm() - fine_femur.head_centre_mm
    flat = np.linalg.norm(offset * [1.0, 1.0, 1.7], axis=-1) < 24.0
    array = fine_femur.mask.array & (flat | (np.linalg.norm(offset, axis=-1) > 25.0))
    try:
        assert locate_femur(Volume(array, fine_femur.mask.grid), Side.LEFT, CUT_MM).findings()
    except Withheld as refusal:
        assert refusal.finding.code == "SEG-LANDMARK"


def test_a_round_head_gives_no_warning(fine_femur):
    assert not locate_femur(fine_femur.mask, Side.LEFT, CUT_MM).findings()


def test_an_empty_mask_has_no_landmarks(fine_femur):
    empty = Volume(np.zeros_like(fine_femur.mask.array), fine_femur.mask.grid)
    with pytest.raises(Withheld, match="SEG-LANDMARK"):
        locate_femur(empty, Side.LEFT, CUT_MM)


def test_facts_are_json_values(femur_of):
    known = femur_of(Side.LEFT)
    femur = locate_femur(known.mask, Side.LEFT, CUT_MM)
    facts = json.loads(json.dumps(femur.facts(), allow_nan=False))
    np.testing.assert_allclose(facts["head_centre_mm"], femur.head.centre_mm)


def test_a_real_scan_that_ends_at_the_heads_has_no_landmarks(shared_data):
    folder = shared_data / "scans" / "abdomen-pelvis-ct"
    labels = read_volume(folder / "bone_muscle_labels.nii.gz")
    right = Volume(labels.array == FEMUR[Side.RIGHT], labels.grid)
    with pytest.raises(Withheld, match=r"SEG-LANDMARK|SEG-CROPPED"):
        locate_femur(right, Side.RIGHT, CUT_MM)
