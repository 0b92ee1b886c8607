"""Random views of labelled slices: sample the parameters, then apply a pure function."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Views:
    """Parameters of one random view per example.

    Attributes:
        source_from_view: rotation, size and mirror of the view, acting on (x, y).
        shift_mm: of the view's centre (x, y).
        context_shift_mm: of the coarse network's answer against the image (x, y).
        gain: factor on the image.
        offset: added to the image.
        blur_px: standard deviation of a Gaussian that blurs image and noise.
        noise: standard deviation of the noise before the blur.
    """

    source_from_view: Float[Tensor, "n 2 2"]
    shift_mm: Float[Tensor, "n 2"]
    context_shift_mm: Float[Tensor, "n 2"]
    gain: Float[Tensor, " n"]
    offset: Float[Tensor, " n"]
    blur_px: Float[Tensor, " n"]
    noise: Float[Tensor, " n"]


def sample_views(count: int, generator: torch.Generator) -> Views:
    """Draw views: mirror images, rotation within 15 degrees, size within 15 %, shift within 20 mm, brightness, blur.

    Args:
        count: how many.
        generator: source of randomness.
    """

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *size, generator=generator)

    angle = torch.deg2rad(uniform(-15.0, 15.0))
    mirror = torch.where(uniform(0.0, 1.0) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cosine * mirror, -sine], 1), torch.stack([sine * mirror, cosine], 1)], 1)
    return Views(
        source_from_view=turn * uniform(0.85, 1.15)[:, None, None],
        shift_mm=uniform(-20.0, 20.0, 2),
        context_shift_mm=1.5 * torch.randn(count, 2, generator=generator),
        gain=uniform(0.85, 1.15),
        offset=uniform(-0.04, 0.04),
        blur_px=uniform(0.0, 0.8),
        noise=0.06 * uniform(0.0, 1.0) ** 2,
    )


def cut(
    source: Float[Tensor, "channels h w"],
    extent_mm: tuple[float, float],
    centre_mm: Float[Tensor, "2"],
    source_from_view: Float[Tensor, "2 2"],
    shape: tuple[int, int],
    pixel_mm: float,
) -> Float[Tensor, "channels rows columns"]:
    """Sample a turned window of a slice by linear interpolation, 0 beyond it.

    Args:
        source: channels of the slice.
        extent_mm: height and width of the slice.
        centre_mm: of the window, (x, y) from the slice's outer corner.
        source_from_view: turns and scales offsets from the window's centre.
        shape: rows and columns of the window.
        pixel_mm: its pixel size.
    """
    half_mm = torch.tensor([shape[1], shape[0]]) * pixel_mm / 2
    to_unit = 2 / torch.tensor([extent_mm[1], extent_mm[0]])
    linear = to_unit[:, None] * source_from_view * half_mm
    theta = torch.cat([linear, (to_unit * centre_mm - 1)[:, None]], dim=1)
    grid = functional.affine_grid(theta[None], [1, 1, *shape], align_corners=False)
    return functional.grid_sample(source[None], grid, mode="bilinear", align_corners=False)[0]


def with_brightness(
    images: Float[Tensor, "n slices rows columns"], views: Views, generator: torch.Generator
) -> Float[Tensor, "n slices rows columns"]:
    """Images with the views' gain, offset, noise and blur."""

    def each(values: Tensor) -> Tensor:
        return values[:, None, None, None]

    noise = each(views.noise) * torch.randn(images.shape, generator=generator)
    return blurred(images * each(views.gain) + each(views.offset) + noise, views.blur_px)


def blurred(
    images: Float[Tensor, "n slices rows columns"], sigma_px: Float[Tensor, " n"]
) -> Float[Tensor, "n slices rows columns"]:
    """Images blurred in the plane by a five-point Gaussian each."""
    count, slices, rows, columns = images.shape
    offsets = torch.arange(-2.0, 3.0)
    weights = torch.exp(-0.5 * (offsets / sigma_px.clamp(min=0.05)[:, None]) ** 2)
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(slices, dim=0)
    rolled = functional.pad(images.reshape(1, count * slices, rows, columns), (2, 2, 2, 2), mode="replicate")
    rolled = functional.conv2d(rolled, weights[:, None, :, None], groups=count * slices)
    rolled = functional.conv2d(rolled, weights[:, None, None, :], groups=count * slices)
    return rolled.reshape(images.shape)
