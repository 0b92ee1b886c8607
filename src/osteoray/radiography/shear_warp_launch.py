"""Launches of the search renderer's GPU kernels: tables of the poses, buffers, and what comes back to the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from osteoray.radiography import shear_warp_triton as kernels

TILE = 16, 64
"""Rows and columns of the plane image or of the detector that one program makes."""
BLOCK, BLOCKS = 64, 16
"""Pixels that the normal equations take at a time, and how often one program does so."""
MOST_PIXELS = 2**28
"""Pixels of one launch (1 GiB), of plane images and of what is stored per pose; more are launched in portions."""
LARGEST_PLANE = 16
"""A plane image of more times the pixels of a slice than this is not made: the focus all but touches the volume."""
SUMS = 8
"""Sums of a comparison, of which six are used: see `shear_warp_triton.compare`."""
FIELDS = 8
"""Images of the normal equations, of which seven are used: change per unit of six parameters, and the residual."""
DIFFERENCED = 13
"""Poses of a linearisation: the middle, a step forward and a step back in each of six parameters."""


@dataclass(frozen=True, eq=False)
class Views:
    """Poses of one bone over one picture; tensors lie on the device.

    Attributes:
        density: g/cm² per millimetre of path, (slices, rows, columns) with empty margins, float32.
        picture: (layers, rows, columns) float32: ray lengths, background; for comparisons also weights and the X-ray's
            normalised row and column gradients.
        mapping: as from `shear_warp.warps`, in voxels of the density: columns 0 to 2 times a pixel's (column, row, 1)
            are the direction of its ray, column 3 is the focus; rows are slice, row and column.
    """

    density: torch.Tensor
    picture: torch.Tensor
    mapping: Float[np.ndarray, "poses 3 4"]

    @property
    def pixels(self) -> int:
        """Pixels of the picture."""
        return self.picture.shape[1] * self.picture.shape[2]


@dataclass(frozen=True, eq=False)
class _Sheared:
    """Tables of all poses of some views, and their plane images."""

    tables: tuple[torch.Tensor, torch.Tensor]
    plane_images: torch.Tensor
    shapes: Int[np.ndarray, "poses 2"]

    def buffer(self, *shape: int) -> torch.Tensor:
        """A new float32 tensor on the device."""
        return torch.empty(shape, dtype=torch.float32, device=self.plane_images.device)


def _in_portions(stored: int, *, by_pose: bool) -> Callable[[Callable], Callable]:
    """Halve the views, and if `by_pose` the poses of a single one, until everything on the device fits.

    Args:
        stored: images of each pose that stay on the device beside its plane image.
        by_pose: whether a view's answer is one of its poses after the other, and only the views are asked for;
            otherwise further arguments go by view, and a view is never split, however large.
    """

    def decorated(answer: Callable) -> Callable:
        @wraps(answer)
        def whole(views: Sequence[Views], *others: Sequence) -> list:
            if sum(_plane_pixels(view) + stored * len(view.mapping) * view.pixels for view in views) <= MOST_PIXELS:
                return answer(views, *others)
            if len(views) > 1:
                middle = len(views) // 2
                first = whole(views[:middle], *(other[:middle] for other in others))
                return first + whole(views[middle:], *(other[middle:] for other in others))
            poses = views[0].mapping
            if not by_pose or len(poses) == 1:
                return answer(views, *others)
            middle = len(poses) // 2
            halves = [replace(views[0], mapping=half) for half in (poses[:middle], poses[middle:])]
            return [np.concatenate([whole([half])[0] for half in halves])]

        return whole

    return decorated


def try_launch(device: str) -> None:
    """Launch the smallest kernel and wait for it, to raise what keeps kernels from running on a device."""
    _totalled(torch.zeros((1, 1, SUMS), dtype=torch.float32, device=device), np.ones(1, np.int64)).cpu()


@_in_portions(stored=1, by_pose=True)
def images(views: Sequence[Views]) -> list[Float[np.ndarray, "_ _ _"]]:
    """Background plus areal density in g/cm² by view: (poses, rows, columns)."""
    sizes = [view.pixels for view in views]
    sheared = _sheared(views, sizes)
    ends = np.cumsum([len(view.mapping) * size for view, size in zip(views, sizes, strict=True)])
    result = sheared.buffer(int(ends[-1]))
    tiles = int(_tiles(sheared.shapes).max())
    kernels.draw[len(sheared.shapes) * tiles,](*sheared.tables, sheared.plane_images, result, tiles, *TILE)
    parts = np.split(result.cpu().numpy(), ends[:-1])
    return [part.reshape(-1, *view.picture.shape[1:]) for part, view in zip(parts, views, strict=True)]


@_in_portions(stored=0, by_pose=True)
def correlations(views: Sequence[Views]) -> list[Float[np.ndarray, "_"]]:
    """Weighted gradient correlation of each pose, by view; 0 for an image without gradients."""
    sheared = _sheared(views, [0] * len(views))
    sums = _compared(sheared, None)
    inverse_norms = _moments(sums, sheared)[:, 2:]
    scores = 0.5 * (sums[:, 4] * inverse_norms[:, 0] + sums[:, 5] * inverse_norms[:, 1])
    scores = scores * (inverse_norms > 0).all(dim=1)
    return np.split(scores.cpu().numpy(), np.cumsum([len(view.mapping) for view in views])[:-1])


@_in_portions(stored=2, by_pose=False)
def products(
    views: Sequence[Views], steps: Sequence[float], odd_rows: Sequence[Bool[np.ndarray, "_"]]
) -> list[Float[np.ndarray, "2 7 7"]]:
    """Products of the changes of the normalised gradient images per unit of six parameters, and of the residual.

    Args:
        views: `DIFFERENCED` poses each: the middle, a step forward in every parameter, a step back in every parameter.
        steps: their length in units, by view.
        odd_rows: by view, for each row of the picture, whether it counts in the second matrix or in the first.

    Returns:
        By view, for even and odd rows: 6 x 6 products of the changes, with those of the residual in row and column 6.

    Raises:
        ValueError: another number of poses.
    """
    for view in views:
        if len(view.mapping) != DIFFERENCED:
            raise ValueError(f"views: expected {DIFFERENCED} poses each, got {len(view.mapping)}")
    sizes = [2 * view.pixels for view in views]
    sheared = _sheared(views, sizes)
    begins = np.cumsum([0] + [len(view.mapping) * size for view, size in zip(views, sizes, strict=True)])
    gradients = sheared.buffer(int(begins[-1]))
    moments = _moments(_compared(sheared, gradients), sheared).to(torch.float32)
    rows = np.cumsum([0] + [len(flags) for flags in odd_rows])
    table = [
        [view.picture.data_ptr(), *view.picture.shape[1:], begin, row]
        for view, begin, row in zip(views, begins[:-1], rows[:-1], strict=True)
    ]
    per_step = 0.5 / np.asarray(steps, np.float64)
    flags = np.concatenate(odd_rows).astype(np.float32)
    parts = np.array([-(-view.pixels // (BLOCK * BLOCKS)) for view in views])
    partial = sheared.buffer(len(views), int(parts.max()), 2 * FIELDS * FIELDS)
    requests, odd, per_unit = (
        torch.from_numpy(array).to(partial.device)
        for array in (np.array(table, np.int64), flags, per_step.astype(np.float32))
    )
    kernels.multiply[len(views) * partial.shape[1],](
        requests, gradients, moments, odd, per_unit, partial, partial.shape[1], FIELDS, BLOCK, BLOCKS
    )
    total = _totalled(partial, parts).view(-1, 2, FIELDS, FIELDS)
    return list(total[:, :, :7, :7].cpu().numpy())


def plane_extents(
    mapping: Float[np.ndarray, "poses 3 4"], shape: Int[np.ndarray, "poses 3"]
) -> tuple[Int[np.ndarray, "poses 2"], Int[np.ndarray, "poses 2"]]:
    """First row and column of each plane image in voxels, and its rows and columns, so that every slice falls inside.

    No rows and no columns where the focus lies between the slices or all but touches the volume.
    """
    slices, focus = shape[:, 0], mapping[:, :, 3]
    is_between = (focus[:, 0] > -1) & (focus[:, 0] < slices)
    focus_slice = np.where(is_between, -1.0, focus[:, 0])[:, None]
    ends = np.stack([np.zeros_like(slices), slices - 1], axis=1)
    scale = ((ends - focus_slice) / (0.5 * (slices - 1)[:, None] - focus_slice))[:, :, None, None]
    edges = np.stack([np.zeros_like(shape[:, 1:]), shape[:, 1:] - 1], axis=1)[:, None]
    place = focus[:, None, None, 1:] + (edges - focus[:, None, None, 1:]) / scale
    first = np.floor(place.min(axis=(1, 2)))
    counts = np.ceil(place.max(axis=(1, 2))) - first + 2
    is_drawn = ~is_between & (counts.prod(axis=1) <= LARGEST_PLANE * shape[:, 1] * shape[:, 2])
    return first.astype(np.int64), np.where(is_drawn[:, None], counts, 0).astype(np.int64)


def _plane_pixels(view: Views) -> int:
    _, counts = plane_extents(view.mapping, np.tile(view.density.shape, (len(view.mapping), 1)))
    return int(counts.prod(axis=1).sum())


def _sheared(views: Sequence[Views], sizes: Sequence[int]) -> _Sheared:
    """Shear all poses; `sizes` is the length of one pose's result in each view."""
    device = views[0].density.device
    per_view = [
        [view.density.data_ptr(), *view.density.shape, view.picture.data_ptr(), *view.picture.shape[1:], size]
        for view, size in zip(views, sizes, strict=True)
    ]
    per_pose = np.repeat(np.array(per_view, np.int64), [len(view.mapping) for view in views], axis=0)
    mapping = np.ascontiguousarray(np.concatenate([view.mapping for view in views]), np.float64)
    first, counts = plane_extents(mapping, per_pose[:, 1:4])
    pixels = counts.prod(axis=1)
    begins = [np.cumsum(lengths) - lengths for lengths in (per_pose[:, 7], pixels)]
    integers = np.column_stack([per_pose[:, :7], begins[0], first, counts, begins[1]])
    tables = torch.from_numpy(integers).to(device), torch.from_numpy(mapping).to(device)
    plane_images = torch.empty(max(int(pixels.sum()), 1), dtype=torch.float32, device=device)
    tiles = max(int(_tiles(counts).max()), 1)
    kernels.shear[len(integers) * tiles,](*tables, plane_images, tiles, *TILE)
    return _Sheared(tables, plane_images, per_pose[:, 5:7])


def _tiles(shapes: Int[np.ndarray, "poses 2"]) -> Int[np.ndarray, "poses"]:
    return (-(-shapes // np.array(TILE))).prod(axis=1)


def _compared(sheared: _Sheared, gradients: torch.Tensor | None) -> torch.Tensor:
    """The sums of every pose in float64; the gradients are kept if there is a buffer for them."""
    counts = _tiles(sheared.shapes)
    partial = sheared.buffer(len(counts), int(counts.max()), SUMS)
    buffers = sheared.plane_images, partial if gradients is None else gradients, partial
    is_kept = gradients is not None
    tiles = partial.shape[1]
    kernels.compare[len(counts) * tiles,](*sheared.tables, *buffers, tiles, is_kept, SUMS, *TILE)
    return _totalled(partial, counts)


def _totalled(partial: torch.Tensor, counts: Int[np.ndarray, "rows"]) -> torch.Tensor:
    """Sum of the first `counts` parts (axis 1) of each row in float64."""
    rows, parts, lanes = partial.shape
    totals = torch.empty((rows, lanes), dtype=torch.float64, device=partial.device)
    kernels.total[rows,](partial, torch.from_numpy(counts).to(partial.device), totals, parts, lanes)
    return totals


def _moments(sums: torch.Tensor, sheared: _Sheared) -> torch.Tensor:
    """Mean of either gradient image of every pose, then inverse of its norm about the mean: 0 where that is 0."""
    pixels = torch.from_numpy(sheared.shapes.prod(axis=1)).to(sums.device)
    means = sums[:, 0:2] / pixels[:, None]
    squares = sums[:, 2:4] - sums[:, 0:2] * means
    inverse_norms = torch.where(squares > 0, squares.clamp_min(1e-300).rsqrt(), torch.zeros_like(squares))
    return torch.cat([means, inverse_norms], dim=1)
