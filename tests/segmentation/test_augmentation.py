"""Views: the identity changes nothing, brightness does what it says, and a seed repeats."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from scipy import ndimage

from osteoray.segmentation.augmentation import blurred, cut, sample_views, with_brightness

EXTENT_MM = (48.0, 72.0)


def smooth(channels: int, rows: int, columns: int) -> torch.Tensor:
    noise = torch.randn(channels, rows, columns, generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(ndimage.gaussian_filter(noise.numpy(), (0, 3, 3)))


def test_the_identity_view_changes_nothing():
    source = smooth(2, 24, 36)
    same = cut(source, EXTENT_MM, torch.tensor([36.0, 24.0]), torch.eye(2), (24, 36), 2.0)
    torch.testing.assert_close(same, source, atol=1e-5, rtol=0)


def test_a_window_lies_where_its_centre_says_at_its_own_pixel_size():
    source = smooth(1, 48, 72)
    window = cut(source, EXTENT_MM, torch.tensor([30.0, 16.0]), torch.eye(2), (10, 12), 1.0)
    torch.testing.assert_close(window, source[:, 11:21, 24:36], atol=1e-5, rtol=0)


def test_a_mirrored_view_is_the_mirror_image():
    source = smooth(1, 24, 36)
    mirror = torch.tensor([[-1.0, 0], [0, 1]])
    seen = cut(source, EXTENT_MM, torch.tensor([36.0, 24.0]), mirror, (24, 36), 2.0)
    torch.testing.assert_close(seen, source.flip(-1), atol=1e-5, rtol=0)


def test_a_quarter_turn_in_millimetres_is_one_whatever_the_aspect():
    source = smooth(1, 24, 36)
    quarter = torch.tensor([[0.0, -1], [1, 0]])
    seen = cut(source, EXTENT_MM, torch.tensor([36.0, 24.0]), quarter, (20, 20), 2.0)
    torch.testing.assert_close(seen, source[:, 2:22, 8:28].rot90(1, (1, 2)).flip(-1).flip(-1), atol=1e-5, rtol=0)


def test_views_repeat_with_their_seed_and_keep_angles():
    first, again = (sample_views(5, torch.Generator().manual_seed(1)) for _ in range(2))
    for field in fields(first):
        torch.testing.assert_close(getattr(first, field.name), getattr(again, field.name), rtol=0, atol=0)
    linear = first.source_from_view
    gram = linear.transpose(1, 2) @ linear
    assert gram[:, 0, 1].abs().max() < 1e-5
    torch.testing.assert_close(gram[:, 0, 0], gram[:, 1, 1])


def test_brightness_is_gain_and_offset_when_there_is_no_noise_nor_blur():
    views = replace(sample_views(2, torch.Generator().manual_seed(1)), noise=torch.zeros(2), blur_px=torch.zeros(2))
    images = torch.rand(2, 3, 8, 8)
    seen = with_brightness(images, views, torch.Generator().manual_seed(0))
    wanted = images * views.gain[:, None, None, None] + views.offset[:, None, None, None]
    torch.testing.assert_close(seen, wanted)


@pytest.mark.parametrize("sigma_px", [0.4, 0.8])
def test_blur_is_gaussian(sigma_px):
    image = torch.from_numpy(ndimage.gaussian_filter(torch.randn(32, 32).double().numpy(), 1.0))
    wanted = ndimage.gaussian_filter(image.numpy(), sigma_px, mode="nearest", radius=2)
    seen = blurred(image[None, None].float(), torch.tensor([sigma_px]))[0, 0]
    torch.testing.assert_close(seen, torch.from_numpy(wanted).float(), atol=1e-5, rtol=0)
