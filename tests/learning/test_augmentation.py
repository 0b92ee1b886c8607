"""Geometry is an affine map shared by X-ray and map; brightness touches the X-ray only."""

from __future__ import annotations

import math

import pytest
import torch

from osteoray.learning.augmentation import (
    NO_BONE,
    Augmentation,
    augment,
    draw_geometry,
    draw_photometry,
    warp,
    warp_xrays,
)

NONE = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0)
STRONG = Augmentation(25, 9, 0.2, 0.3, 0.5, 0.5, 0.3, 0.3, 0.2)
SHAPE = (64, 32)


def smooth_images(count: int) -> torch.Tensor:
    r, c = torch.meshgrid(torch.linspace(-2, 2, SHAPE[0]), torch.linspace(-1, 1, SHAPE[1]), indexing="ij")
    return torch.exp(-4 * ((r - 0.2) ** 2 + (c + 0.1) ** 2)).expand(count, 1, *SHAPE) - 1


def test_no_augmentation_is_the_identity() -> None:
    xrays, maps = torch.rand(2, 3, 1, *SHAPE).unbind()
    rng = torch.Generator().manual_seed(0)
    out_xrays, out_maps = augment(xrays, maps, NONE, rng)
    torch.testing.assert_close(out_xrays, xrays, atol=1e-5, rtol=0)
    torch.testing.assert_close(out_maps, maps, atol=1e-5, rtol=0)


def test_a_certain_flip_reverses_columns() -> None:
    images = torch.rand(2, 1, *SHAPE)
    geometry = draw_geometry(2, SHAPE, Augmentation(0, 0, 0, 0, 1, 0, 0, 0, 0), torch.Generator())
    torch.testing.assert_close(warp(images, geometry, -1.0), images.flip(-1), atol=1e-5, rtol=0)


def test_the_inverse_map_brings_the_image_back() -> None:
    images = smooth_images(8)
    gentle = Augmentation(20, 5, 0.05, 0.1, 0.5, 0.5, 0, 0, 0)
    geometry = draw_geometry(8, SHAPE, gentle, torch.Generator().manual_seed(1))
    full = torch.cat([geometry, torch.tensor([0.0, 0, 1]).expand(8, 1, 3)], dim=1)
    back = warp(warp(images, geometry, -1.0), torch.linalg.inv(full)[:, :2], -1.0)
    assert (back - images).abs().max() < 0.1


def test_a_rotation_keeps_shapes_in_images_that_are_not_square() -> None:
    """A quarter turn maps a pixel 8 rows below the centre to 8 columns beside it."""
    images = torch.zeros(1, 1, *SHAPE)
    images[0, 0, 40, 16] = 1
    turn = torch.tensor([[[0.0, -1, 0], [1, 0, 0]]])
    row, column = (warp(images, turn, 0.0)[0, 0] > 0.5).nonzero()[0].tolist()
    assert (row, column) in {(31, 24), (32, 24), (31, 23)} or abs(column - 16) == pytest.approx(8, abs=1)
    assert abs(row - 32) <= 1


def test_xray_and_map_share_the_geometry() -> None:
    images = smooth_images(16)
    geometric = Augmentation(25, 9, 0.1, 0.3, 0.5, 0.5, 0, 0, 0)
    xrays, maps = augment(images, images.clone(), geometric, torch.Generator().manual_seed(2))
    # They differ beyond the image only, where the X-ray's edge is continued; there the blob has faded.
    torch.testing.assert_close(xrays, maps, atol=0.06, rtol=0)
    assert not torch.allclose(xrays, images, atol=0.1)


def test_brightness_leaves_the_map_as_it_is() -> None:
    images = smooth_images(4)
    bright = Augmentation(0, 0, 0, 0, 0, 0, 0.3, 0.3, 0.2)
    xrays, maps = augment(images, images.clone(), bright, torch.Generator().manual_seed(3))
    torch.testing.assert_close(maps, images, atol=1e-5, rtol=0)
    assert (xrays - images).abs().max() > 0.1


def test_outside_a_map_is_no_bone() -> None:
    shift = torch.tensor([[[1.0, 0, 20], [0, 1, 0]]])
    assert (warp(torch.zeros(1, 1, *SHAPE), shift, NO_BONE)[0, 0, :, -10:] == -1).all()


def test_outside_an_xray_its_edge_goes_on() -> None:
    shift = torch.tensor([[[1.0, 0, 20], [0, 1, 0]]])
    ramp = torch.linspace(0, 1, SHAPE[1]).expand(1, 1, *SHAPE)
    assert (warp_xrays(ramp, shift)[0, 0, :, -10:] == 1).all()


def test_the_same_generator_draws_the_same_parameters() -> None:
    first, second = (draw_geometry(5, SHAPE, STRONG, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    first, second = (draw_photometry(5, SHAPE, STRONG, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first.layer, second.layer)


def test_parameters_stay_inside_their_ranges() -> None:
    ranges = Augmentation(25, 0, 0.2, 0, 0, 0, 0.3, 0, 0)
    geometry = draw_geometry(500, SHAPE, ranges, torch.Generator().manual_seed(0))
    angles = torch.atan2(geometry[:, 1, 0], geometry[:, 0, 0])
    assert 20 < math.degrees(angles.abs().max()) <= 25.001
    assert geometry[:, 0, 2].abs().max() <= 0.2 * SHAPE[1]
    assert 0.18 * SHAPE[0] < geometry[:, 1, 2].abs().max() <= 0.2 * SHAPE[0]
