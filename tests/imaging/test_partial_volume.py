"""Partial volume: blur hides no mass, and a mask that is too large or too small gives the same bone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.partial_volume import bone_density, depth_below, nearest_part
from osteoray.imaging.volume import Volume

CORTEX, MARROW, FAT, MUSCLE = 700.0, 100.0, -60.0, 50.0
FINE_MM, BLUR_MM = 0.5, 0.7


def averaged(array: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    k, j, i = (n // factor for n, factor in zip(array.shape, factors, strict=True))
    blocks = array[: k * factors[0], : j * factors[1], : i * factors[2]]
    return blocks.reshape(k, factors[0], j, factors[1], i, factors[2]).mean(axis=(1, 3, 5)).astype(np.float32)


def shell_in_tissue(factors: tuple[int, int, int], soft: float = MUSCLE, centre_mm=(0.3, -0.2, 0.1)):
    """A ball of marrow in a cortex of 3.5 mm, blurred and averaged; its true content in mg, and its mask."""
    grid = VoxelGrid.axial((112, 112, 112), (FINE_MM,) * 3, (-28.0 + FINE_MM / 2,) * 3)
    radius_mm = np.linalg.norm(grid.coordinates_mm() - np.array(centre_mm), axis=-1)
    inner, outer = (np.clip((edge - radius_mm) / FINE_MM + 0.5, 0, 1) for edge in (10.5, 14.0))
    sharp = soft + (CORTEX - soft) * (outer - inner) + (MARROW - soft) * inner
    blurred = ndimage.gaussian_filter(sharp, BLUR_MM / FINE_MM)
    spacing_mm = tuple(FINE_MM * factor for factor in factors)
    qct = averaged(blurred, factors)
    first_mm = tuple(-28.0 + size / 2 for size in reversed(spacing_mm))
    coarse = VoxelGrid.axial(qct.shape, spacing_mm, first_mm)
    content = 4 / 3 * np.pi * (CORTEX * (14.0**3 - 10.5**3) + MARROW * 10.5**3)
    return Volume(qct, coarse), averaged(outer, factors) >= 0.5, content


def content_of(bone) -> float:
    return float(bone.density_mg_cm3.array.sum(dtype=float)) * bone.density_mg_cm3.grid.voxel_mm3


@pytest.mark.parametrize(("factors", "rel"), [((2, 2, 2), 0.001), ((4, 3, 3), 0.004), ((6, 2, 2), 0.003)])
@pytest.mark.parametrize("soft", [FAT, MUSCLE])
def test_the_mass_of_a_blurred_bone_is_recovered(factors, rel, soft):
    qct, mask, content = shell_in_tissue(factors, soft)
    assert content_of(bone_density(qct, mask, mask)) == pytest.approx(content, rel=rel)
    lost = 1 - float(qct.array[mask].sum(dtype=float)) * qct.grid.voxel_mm3 / content
    assert lost > 0.04


@pytest.mark.parametrize("grow", [ndimage.binary_dilation, ndimage.binary_erosion])
@pytest.mark.parametrize("soft", [FAT, MUSCLE])
def test_a_mask_wrong_by_a_voxel_all_around_gives_the_same_bone(grow, soft):
    qct, mask, content = shell_in_tissue((2, 2, 2), soft)
    bone = bone_density(qct, grow(mask), grow(mask))
    assert content_of(bone) == pytest.approx(content, rel=0.002)
    volume_mm3 = float(bone.share.sum(dtype=float)) * qct.grid.voxel_mm3
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * 14.0**3, rel=0.01)


@pytest.mark.parametrize("soft", [FAT, MUSCLE])
def test_the_plain_sum_depends_on_the_mask_ten_times_as_much(soft):
    qct, mask, _ = shell_in_tissue((2, 2, 2), soft)
    masks = [ndimage.binary_erosion(mask), ndimage.binary_dilation(mask)]
    ours = [content_of(bone_density(qct, m, m)) for m in masks]
    plain = [float(qct.array[m].sum(dtype=float)) * qct.grid.voxel_mm3 for m in masks]
    assert abs(plain[1] - plain[0]) > 10 * abs(ours[1] - ours[0])


def test_the_right_mask_is_left_where_it_is():
    qct, mask, _ = shell_in_tissue((2, 2, 2))
    assert abs(bone_density(qct, mask, mask).shift_mm) < 0.08


def test_a_mask_wrong_by_less_than_a_third_of_a_voxel_is_left_where_it_is():
    qct = shell_in_tissue((4, 4, 4))[0]
    larger = shell_in_tissue((4, 4, 4), centre_mm=(0.3, -0.2, 0.6))[1]
    bone = bone_density(qct, larger, larger)
    assert 0 < abs(bone.shift_mm) < 0.3 * 2
    np.testing.assert_array_equal(bone.depth_mm, depth_below(Volume(larger[bone.window], bone.density_mg_cm3.grid)))


def test_a_neighbouring_bone_keeps_its_own_rim():
    left, mask, content = shell_in_tissue((2, 2, 2), centre_mm=(-0.1, 0.0, 0.0))
    other = np.zeros_like(mask)
    other[:, :, mask.any(axis=(0, 1)).nonzero()[0][-1] + 3 :] = True
    qct = Volume(np.where(other, np.float32(CORTEX), left.array), left.grid)
    bone = bone_density(qct, mask + 2 * other, mask)
    assert content_of(bone) == pytest.approx(content, rel=0.005)
    assert not bone.density_mg_cm3.array[other[bone.window]].any()


def test_outside_the_rim_the_density_is_exactly_zero():
    qct, mask, _ = shell_in_tissue((2, 2, 2))
    bone = bone_density(qct, mask, mask)
    beyond = ndimage.distance_transform_edt(~mask[bone.window], sampling=qct.grid.spacing_mm) > 4.5
    assert beyond.any() and not bone.density_mg_cm3.array[beyond].any()


def test_parts_of_a_bone_share_its_rim_without_loss():
    qct, mask, _ = shell_in_tissue((2, 2, 2))  # Voxels of 1 mm³: sums are contents.
    upper = mask.copy()
    upper[:26] = False
    bone = bone_density(qct, mask, mask)
    parts = [bone.of_part(mask, part).array.sum(dtype=float) for part in (upper, mask & ~upper)]
    whole = bone.density_mg_cm3.array.sum(dtype=float)
    assert sum(parts) == pytest.approx(whole, rel=0.002)
    below_mm = 2.1  # The cut lies so far below the middle of the ball.
    caps = [np.pi * (radius - below_mm) ** 2 * (2 * radius + below_mm) / 3 for radius in (14.0, 10.5)]
    lower = CORTEX * (caps[0] - caps[1]) + MARROW * caps[1]
    assert parts[1] == pytest.approx(lower, rel=0.01)


def test_depth_is_the_distance_below_the_surface():
    grid = VoxelGrid.axial((30, 60, 60), (2.0, 1.0, 1.0), (-29.5, -29.5, -29.0))
    radius_mm = np.linalg.norm(grid.coordinates_mm(), axis=-1)
    depth_mm = depth_below(Volume(radius_mm < 20, grid))
    near = np.abs(radius_mm - 20) < 1
    error_mm = (depth_mm - (20 - radius_mm))[near]
    assert abs(error_mm.mean()) < 0.1 and error_mm.std() < 0.3


def test_a_part_that_is_the_whole_bone_owns_everything():
    grid = VoxelGrid.axial((6, 6, 6), (1.0, 1.0, 1.0))
    mask = np.zeros(grid.shape, bool)
    mask[2:4, 2:4, 2:4] = True
    assert nearest_part(Volume(mask, grid), mask).all()
    assert not nearest_part(Volume(mask, grid), np.zeros_like(mask)).any()


def test_an_empty_bone_is_refused():
    grid = VoxelGrid.axial((6, 6, 6), (1.0, 1.0, 1.0))
    empty = np.zeros(grid.shape, bool)
    with pytest.raises(ValueError, match="mask: expected at least one voxel"):
        bone_density(Volume(np.zeros(grid.shape, np.float32), grid), empty, empty)
