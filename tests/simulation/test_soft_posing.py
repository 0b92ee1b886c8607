"""Soft tissue follows the bones without seams, and its mass is kept."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.groin import thigh_shares
from osteoray.simulation.posing import POSE_MEAN_SD_DEG, PatientPose, pose_bones
from osteoray.simulation.soft_posing import pose_soft_tissue

HEADS_MM = {Side.RIGHT: np.array([-88.0, 0.0, 0.0]), Side.LEFT: np.array([88.0, 0.0, 0.0])}
SPACING_MM = 4.0
GRID = VoxelGrid.axial((100, 46, 100), (SPACING_MM,) * 3, (-198.0, -90.0, -200.0))


def posed(name: str, scale: float = 1.0):
    mean = {angle: scale * value for angle, (value, _) in POSE_MEAN_SD_DEG[name].items()}
    femur = {angle: mean[angle] for angle in ("flexion", "abduction", "rotation")}
    return pose_bones(PatientPose(name, mean["tilt"], dict.fromkeys(Side, femur), 0.0, 0.0), HEADS_MM)


def mannequin(gap_mm: float = 24.0) -> np.ndarray:
    """A trunk above and two round thighs below, closed at both ends, half fat and half lean."""
    x, y, z = np.moveaxis(GRID.coordinates_mm(), -1, 0)
    trunk = (np.hypot(x / 165.0, y / 80.0) < 1) & (z > -80.0) & (z < 150.0)
    radius = 80.0 - gap_mm / 2
    thighs = (np.hypot(np.abs(x) - 80.0, y) < radius) & (z <= -60.0) & (z > -170.0)
    tissue = (trunk | thighs).astype(np.float32)
    return np.stack([0.46 * tissue, 0.525 * tissue], axis=-1)


def shadow(channels: np.ndarray) -> np.ndarray:
    """Sum from front to back."""
    return channels.sum(axis=(1, 3))


@pytest.mark.parametrize("name", list(POSE_MEAN_SD_DEG))
def test_a_pose_keeps_the_mass(name):
    channels = mannequin()
    moved, grid = pose_soft_tissue(channels, GRID, posed(name), HEADS_MM, SPACING_MM)
    mass, before = moved.sum() * grid.voxel_mm3, channels.sum() * GRID.voxel_mm3
    assert mass == pytest.approx(before, rel=0.004)


def test_without_motion_nothing_changes():
    channels = mannequin()
    moved, grid = pose_soft_tissue(channels, GRID, posed("supine", 0.0), HEADS_MM, SPACING_MM)
    k, j, i = np.rint(grid.index_from_world @ GRID.world_from_index[:, 3])[:3].astype(int)
    inner = moved[k : k + 100, j : j + 46, i : i + 100]
    offset = GRID.world_from_index[:3, 3] - (grid.world_from_index @ [k, j, i, 1.0])[:3]
    assert np.abs(offset).max() < 1e-6
    np.testing.assert_allclose(inner[2:-2], channels[2:-2], atol=2e-3)


@pytest.mark.parametrize("name", list(POSE_MEAN_SD_DEG))
def test_no_pose_tears_the_shadow_of_the_body(name):
    # A slab without any edge: every step in its shadow would be a seam of the posing.
    channels = np.zeros((*GRID.shape, 2), np.float32)
    channels[:, 8:-8] = 0.5
    moved, grid = pose_soft_tissue(channels, GRID, posed(name), HEADS_MM, SPACING_MM)
    picture = shadow(moved)
    i_mm = grid.world_from_index[0, 3] + SPACING_MM * np.arange(grid.shape[2])
    k_mm = grid.world_from_index[2, 3] + SPACING_MM * np.arange(grid.shape[0])
    trunk = picture[np.ix_((k_mm > -20) & (k_mm < 150), np.abs(i_mm) < 120)]
    whole = picture[np.ix_((k_mm > -140) & (k_mm < 150), np.abs(i_mm) < 120)]
    level = picture[k_mm > 100].max()
    for axis in (0, 1):
        assert np.abs(np.diff(trunk, axis=axis)).max() < 0.06 * level
    # Along the body nothing steps anywhere; across it a gap may open between thighs moved apart.
    if name != "abduction":
        assert np.abs(np.diff(whole, axis=0)).max() < 0.20 * level


def test_adducted_thighs_press_each_other_and_do_not_overlap():
    channels = mannequin(gap_mm=0.0)
    moved, _ = pose_soft_tissue(channels, GRID, posed("adduction"), HEADS_MM, SPACING_MM)
    # Squeezed tissue is denser, but nowhere are there two bodies in one place.
    assert moved.sum(axis=-1).max() < 1.9 * channels.sum(axis=-1).max()


def test_abducted_thighs_leave_air_between_them():
    channels = mannequin(gap_mm=0.0)
    moved, grid = pose_soft_tissue(channels, GRID, posed("abduction"), HEADS_MM, SPACING_MM)
    picture = shadow(moved)
    k, _, i = (grid.index_from_world @ np.array([0.0, 0.0, -150.0, 1.0]))[:3].round().astype(int)
    assert picture[k, i - 2 : i + 3].max() < 0.05 * picture.max()


def test_the_body_goes_on_above_its_end_without_gas():
    channels = mannequin()
    channels[-1:, :] = 0.0
    full = mannequin()[60]
    channels[60:] = full
    channels[60:, 18:26, 40:60] = 0.0
    moved, grid = pose_soft_tissue(channels, GRID, posed("supine", 0.0), HEADS_MM, SPACING_MM)
    k, j, i = (grid.index_from_world @ np.array([0.0, 0.0, 225.0, 1.0]))[:3].round().astype(int)
    above, below = moved[k, j, i].sum(), moved[k - 12, j, i].sum()
    assert above == pytest.approx(0.985, rel=0.02)
    assert below < 0.05


def test_the_thigh_begins_at_the_groin_and_is_symmetric_in_depth():
    lateral, below = np.array([0.0, 0.0, -88.0, -88.0]), np.array([-150.0, 150.0, 0.0, 300.0])
    assert thigh_shares(lateral, below, 88.0).tolist() == [0.0, 1.0, 0.0, 1.0]
