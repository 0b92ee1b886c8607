"""Random views of labelled slices: sample the parameters, then apply a pure function."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Views:
    """Parameters of one random view per slice.

    Attributes:
        output_from_input: affine in normalised image coordinates, as `torch.nn.functional.affine_grid` takes it.
        gain: factor on the image.
        offset: added to the image.
        noise: added to the image, one value per pixel.
    """

    output_from_input: Float[Tensor, "n 2 3"]
    gain: Float[Tensor, "n 1 1 1"]
    offset: Float[Tensor, "n 1 1 1"]
    noise: Float[Tensor, "n 1 rows columns"]


def sample_views(count: int, shape: tuple[int, int], generator: torch.Generator) -> Views:
    """Draw views: mirror images, rotation within 12 degrees, size within 12 %, shift within 8 %, gain, offset, noise.

    Args:
        count: how many.
        shape: rows and columns of the images.
        generator: source of randomness.
    """

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(size, generator=generator)

    angle = torch.deg2rad(uniform(-12.0, 12.0, count))
    scale = uniform(0.88, 1.12, count)
    mirror = torch.where(uniform(0.0, 1.0, count) < 0.5, -1.0, 1.0)
    aspect = shape[0] / shape[1]
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = scale * torch.cos(angle) * mirror
    matrix[:, 0, 1] = -scale * torch.sin(angle) * aspect
    matrix[:, 1, 0] = scale * torch.sin(angle) * mirror / aspect
    matrix[:, 1, 1] = scale * torch.cos(angle)
    matrix[:, :, 2] = uniform(-0.16, 0.16, count, 2)
    sigma = uniform(0.0, 0.05, count, 1, 1, 1)
    return Views(
        output_from_input=matrix,
        gain=uniform(0.85, 1.15, count, 1, 1, 1),
        offset=uniform(-0.04, 0.04, count, 1, 1, 1),
        noise=sigma * torch.randn(count, 1, *shape, generator=generator),
    )


def apply_views(
    images: Float[Tensor, "n 1 rows columns"], targets: Float[Tensor, "n classes rows columns"], views: Views
) -> tuple[Float[Tensor, "n 1 rows columns"], Float[Tensor, "n classes rows columns"]]:
    """Show images and class shares in their views, both by linear interpolation.

    Shares between 0 and 1 at a boundary say where it lies within the pixel. Beyond the slice all is background.
    """
    grid = functional.affine_grid(views.output_from_input, list(images.shape), align_corners=False)
    both = functional.grid_sample(torch.cat([images, targets], dim=1), grid, mode="bilinear", align_corners=False)
    moved, shares = both[:, :1], both[:, 1:]
    background = 1 - shares[:, 1:].sum(dim=1, keepdim=True)
    return moved * views.gain + views.offset + views.noise, torch.cat([background, shares[:, 1:]], dim=1)
