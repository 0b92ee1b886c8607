"""Medial meshes, mineral shells and random fields against closed forms."""

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.composition import Composition, add_bone, add_soft_tissue, occupied
from osteoray.simulation.density import mineral
from osteoray.simulation.medial_mesh import MedialMesh, crop_around, distance_mm, rods
from osteoray.simulation.posing import PatientPose, pose_bones
from osteoray.simulation.soft_posing import pose_soft_tissue
from osteoray.simulation.texture import Wobble, random_field


def grid_of(edge_mm: float, spacing_mm: float) -> VoxelGrid:
    n = int(edge_mm / spacing_mm) + 1
    return VoxelGrid.axial((n, n, n), (spacing_mm,) * 3, (-edge_mm / 2,) * 3)


def volume_mm3(mesh: MedialMesh, spacing_mm: float = 1.0) -> float:
    grid = grid_of(80.0, spacing_mm)
    return float(occupied(distance_mm(mesh, grid, 5.0), spacing_mm).sum() * grid.voxel_mm3)


def test_a_ball_has_the_volume_of_a_ball():
    assert volume_mm3(rods([[(1.3, 0.4, -2.1, 20.0)]])) == pytest.approx(4 / 3 * np.pi * 20.0**3, rel=2e-3)


def test_a_rod_has_the_volume_of_a_capsule():
    mesh = rods([[(-15.0, 0.0, 3.0, 8.0), (15.0, 0.0, 3.0, 8.0)]])
    assert volume_mm3(mesh) == pytest.approx(np.pi * 64 * 30 + 4 / 3 * np.pi * 8**3, rel=3e-3)


def test_a_thick_triangle_has_steiners_volume():
    corners = np.array([[-20.0, -15.0, 0.0], [22.0, -10.0, 4.0], [0.0, 21.0, -6.0]])
    mesh = MedialMesh(corners, np.full(3, 5.0), np.array([[0, 1, 2]]))
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    area = 0.5 * np.linalg.norm(np.cross(corners[1] - corners[0], corners[2] - corners[0]))
    expected = 2 * 5 * area + np.pi * 25 / 2 * sides.sum() + 4 / 3 * np.pi * 125
    assert volume_mm3(mesh) == pytest.approx(expected, rel=5e-3)


def test_distances_to_a_triangle_are_those_to_its_nearest_sampled_point():
    rng = np.random.default_rng(0)
    mesh = MedialMesh(rng.uniform(-15, 15, (3, 3)), np.full(3, 3.0), np.array([[0, 1, 2]]))
    grid = grid_of(40.0, 8.0)
    weights = rng.dirichlet((0.6, 0.6, 0.6), 60000)
    samples = weights @ mesh.vertices_mm
    nearest = np.linalg.norm(grid.coordinates_mm()[..., None, :] - samples, axis=-1).min(axis=-1) - 3.0
    np.testing.assert_allclose(distance_mm(mesh, grid, 60.0), nearest, atol=0.35)


def test_a_mirrored_solid_is_the_mirror_image():
    mesh = rods([[(5.0, 1.0, 2.0, 4.0), (14.0, -6.0, 8.0, 6.0)]])
    grid = grid_of(60.0, 3.0)
    np.testing.assert_allclose(
        distance_mm(mesh.mirrored(), grid, 60.0), distance_mm(mesh, grid, 60.0)[:, :, ::-1], atol=1e-4
    )


def test_the_box_of_a_solid_holds_it():
    mesh = rods([[(5.0, 1.0, 2.0, 4.0), (14.0, -6.0, 8.0, 6.0)]])
    grid = grid_of(60.0, 1.5)
    inside = np.argwhere(distance_mm(mesh, grid, 5.0) < 0)
    for axis, part in enumerate(crop_around(grid, mesh.box(0.0))):
        assert part.start <= inside[:, axis].min()
        assert inside[:, axis].max() < part.stop


@pytest.mark.parametrize("spacing_mm", [0.8, 1.7, 2.5])
def test_the_mass_of_a_thin_shell_does_not_depend_on_the_voxel_size(spacing_mm):
    grid = grid_of(60.0, spacing_mm)
    depth = 24.0 - np.linalg.norm(grid.coordinates_mm(), axis=-1).ravel()
    shell = mineral(depth, np.full(depth.shape, 1.5), np.zeros(depth.shape), 1.0, spacing_mm)
    expected = 980.0 * 4 / 3 * np.pi * (24.0**3 - 22.5**3)
    assert shell.sum() * grid.voxel_mm3 == pytest.approx(expected, rel=0.01)


def test_bone_and_soft_tissue_fill_the_body_and_nothing_else():
    grid = grid_of(60.0, 2.0)
    composition = Composition.empty(grid)
    radius = np.linalg.norm(grid.coordinates_mm(), axis=-1).astype(np.float32)
    box = tuple(slice(0, n) for n in grid.shape)

    def fields(points_mm, texture):
        return np.full(len(points_mm), 2.0), 200.0 * (1 + 0.3 * texture)

    add_bone(composition, box, radius - 12.0, 3, fields, 1.0, 0.8, np.random.default_rng(0))
    # A second bone that overlaps the first takes only the room that is left.
    add_bone(composition, box, radius - 14.0, 1, fields, 1.0, 0.8, np.random.default_rng(1))
    inside = occupied(radius - 25.0, 2.0).astype(np.float32)
    add_soft_tissue(composition, inside, np.full(grid.shape, 0.3, np.float32))
    total = composition.adipose + composition.lean + composition.ha_mg_cm3 / 3160.0
    np.testing.assert_allclose(total, inside, atol=1e-5)
    assert (composition.bones[radius < 12.0] == 3).all()
    assert (composition.bones[(radius > 12.0) & (radius < 14.0)] == 1).all()


def test_random_fields_are_smooth_and_centred():
    field = random_field(grid_of(120.0, 2.0), 10.0, np.random.default_rng(0))
    assert abs(field.mean()) < 0.05
    assert 0.4 < field.std() < 0.7
    assert np.abs(np.diff(field, axis=2)).max() < 0.2 * 8


def test_a_wobble_of_no_amplitude_moves_nothing():
    points = np.random.default_rng(0).normal(0, 50, (20, 3))
    np.testing.assert_array_equal(Wobble(np.random.default_rng(1), 40.0, 0.0)(points), points)


@pytest.mark.parametrize("fine_mm", [1.0, 1.2, 1.8])
def test_the_shadow_of_a_wedge_of_tissue_has_no_terraces(fine_mm):
    # Sampled at 3 mm without a filter its thickness goes up and down by 0.3 to 0.8 mm (standard deviation).
    shape = tuple(round(edge_mm / fine_mm) for edge_mm in (120.0, 195.0, 240.0))
    grid = VoxelGrid.axial(shape, (fine_mm,) * 3, (-119.5, -97.0, -60.0))
    x, y, z = np.moveaxis(grid.coordinates_mm(), -1, 0)
    depth = np.maximum(-70.0 + 0.25 * x + 0.1 * z - y, y - 60.0 - 0.11 * x + 0.17 * z)
    wedge = occupied(depth.astype(np.float32), fine_mm)[..., None]
    heads_mm = {side: np.array([88.0 if side == Side.LEFT else -88.0, 0.0, 0.0]) for side in Side}
    still = dict.fromkeys(Side, dict.fromkeys(("flexion", "abduction", "rotation"), 0.0))
    posed = pose_bones(PatientPose("supine", 0.0, still, 0.0, 0.0), heads_mm)
    moved, target = pose_soft_tissue(np.repeat(wedge, 2, axis=3), grid, posed, heads_mm, 3.0)
    x, _, z = np.moveaxis(target.coordinates_mm()[:, 0], -1, 0)
    error = 3.0 * moved[..., 0].sum(axis=1) - (130.0 - 0.14 * x - 0.27 * z)
    inner = (np.abs(z) < 50.0) & (np.abs(x) > 12.0) & (np.abs(x) < 90.0)
    assert error[inner].std() < 0.12
