"""The search renderer's kernels for a GPU: the mathematics of `shear_warp_kernels`, many bones and X-rays at once.

A program is one pose and one tile (`shear_warp_launch` has the tables). Poses may belong to bones, X-rays and detectors
of any size. A program reads nothing of other poses (`multiply`: nothing of other linearisations) and adds in a fixed
order, without atomics: a result is the same bits whatever else is in the launch. What is rendered for a score is never
stored: each pixel looks up its four neighbours in the plane image, which stays in cache.

Positions within a tile are float32, relative to the tile's corner, whose own position is a float64 scalar: nothing
large is subtracted in float32. The kernels also run in Triton's interpreter (TRITON_INTERPRET=1 while this module is
imported), on tensors in the processor's memory. They sum with `tl.reduce`, because `tl.sum` is itself a kernel,
compiled or interpreted as the environment was when Triton was first imported. `tl.standard._sum_combine` is private to
Triton, whose version the locks pin.
"""

from __future__ import annotations

from typing import no_type_check

import triton
import triton.language as tl

# Columns of `integers`, one row per pose. `reals` is the 3 x 4 float64 mapping of `shear_warp.warps`.
DENSITY, SLICES, ROWS, COLUMNS = (tl.constexpr(n) for n in range(4))
"""Address of the volume; its shape."""
PICTURE, HEIGHT, WIDTH, RESULT = (tl.constexpr(n) for n in range(4, 8))
"""Address of the picture (see `shear_warp_launch.Views`); its rows and columns; where the pose's result begins."""
FIRST_ROW, FIRST_COLUMN, PLANE_ROWS, PLANE_COLUMNS, PLANE = (tl.constexpr(n) for n in range(8, 13))
"""The plane image: its first row and column in voxels, its shape, where it begins."""
INTEGERS, REALS = tl.constexpr(13), tl.constexpr(12)
FAR = tl.constexpr(1e6)
"""Positions beyond so many voxels are outside every plane image; keeps conversions to integers in range."""


@triton.jit(do_not_specialize=["tiles"])
@no_type_check
def shear(integers, reals, plane_images, tiles, TALL: tl.constexpr, WIDE: tl.constexpr):
    """Sum all slices on one tile of the plane slice, scaled about the focus."""
    pose, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    integers += pose * INTEGERS
    reals += pose * REALS
    density = tl.load(integers + DENSITY).to(tl.pointer_type(tl.float32))
    rows, columns = tl.load(integers + ROWS).to(tl.int32), tl.load(integers + COLUMNS).to(tl.int32)
    plane_rows = tl.load(integers + PLANE_ROWS).to(tl.int32)
    plane_columns = tl.load(integers + PLANE_COLUMNS).to(tl.int32)
    across = tl.maximum((plane_columns + WIDE - 1) // WIDE, 1)
    top, left = tile // across * TALL, tile % across * WIDE
    slices = tl.load(integers + SLICES).to(tl.int32)
    focus_slice, focus_row, focus_column = tl.load(reals + 3), tl.load(reals + 7), tl.load(reals + 11)
    to_plane = 0.5 * (slices - 1) - focus_slice
    first_row, first_column = tl.load(integers + FIRST_ROW) + top, tl.load(integers + FIRST_COLUMN) + left
    down, along = tl.arange(0, TALL), tl.arange(0, WIDE)
    total = tl.full((TALL, WIDE), 0.0, tl.float32)
    n = 0
    # `range` of a loaded number fails in the interpreter. A tile below the plane image has nothing to add.
    while (n < slices) & (top < plane_rows):
        scale = (n - focus_slice) / to_plane
        row_start = focus_row * (1 - scale) + scale * first_row
        column_start = focus_column * (1 - scale) + scale * first_column
        whole_row, whole_column = tl.floor(row_start), tl.floor(column_start)
        row = (row_start - whole_row).to(tl.float32) + scale.to(tl.float32) * down
        column = (column_start - whole_column).to(tl.float32) + scale.to(tl.float32) * along
        i, j = tl.floor(row), tl.floor(column)
        v, u = (row - i)[:, None], (column - j)[None, :]
        i = (i.to(tl.int32) + whole_row.to(tl.int32))[:, None]
        j = (j.to(tl.int32) + whole_column.to(tl.int32))[None, :]
        at = density + (n * rows + i) * columns + j
        above, below = (i >= 0) & (i < rows), (i >= -1) & (i < rows - 1)
        before, behind = (j >= 0) & (j < columns), (j >= -1) & (j < columns - 1)
        a = tl.load(at, mask=above & before, other=0.0)
        b = tl.load(at + 1, mask=above & behind, other=0.0)
        c = tl.load(at + columns, mask=below & before, other=0.0)
        d = tl.load(at + columns + 1, mask=below & behind, other=0.0)
        upper, lower = a + u * (b - a), c + u * (d - c)
        total += upper + v * (lower - upper)
        n += 1
    row, column = top + down[:, None], left + along[None, :]
    at = plane_images + tl.load(integers + PLANE) + row * plane_columns + column
    tl.store(at, total, mask=(row < plane_rows) & (column < plane_columns))


@triton.jit
@no_type_check
def _image(integers, reals, plane_images, top, left, down, across, shown):
    """Areal density at pixels (top + down, left + across), background included; 0 where not `shown`."""
    plane_rows = tl.load(integers + PLANE_ROWS).to(tl.int32)
    plane_columns = tl.load(integers + PLANE_COLUMNS).to(tl.int32)
    slice_x, slice_y, slice_1 = tl.load(reals), tl.load(reals + 1), tl.load(reals + 2)
    row_x, row_y, row_1 = tl.load(reals + 4), tl.load(reals + 5), tl.load(reals + 6)
    column_x, column_y, column_1 = tl.load(reals + 8), tl.load(reals + 9), tl.load(reals + 10)
    to_plane = 0.5 * (tl.load(integers + SLICES) - 1) - tl.load(reals + 3)
    # With n / s at the tile's corner: (n + a) / (s + b) - n / s = (a - b n / s) / (s + b), and a, b are small.
    slope = slice_x * left + slice_y * top + slice_1
    row_slope = (row_x * left + row_y * top + row_1) / slope
    column_slope = (column_x * left + column_y * top + column_1) / slope
    corner_row = tl.load(reals + 7) - tl.load(integers + FIRST_ROW) + to_plane * row_slope
    corner_column = tl.load(reals + 11) - tl.load(integers + FIRST_COLUMN) + to_plane * column_slope
    whole_row = tl.floor(tl.minimum(tl.maximum(corner_row, -FAR), FAR))
    whole_column = tl.floor(tl.minimum(tl.maximum(corner_column, -FAR), FAR))
    y, x = down.to(tl.float32)[:, None], across.to(tl.float32)[None, :]
    slope = slope.to(tl.float32) + slice_x.to(tl.float32) * x + slice_y.to(tl.float32) * y
    row = (to_plane * (row_x - row_slope * slice_x)).to(tl.float32) * x
    row += (to_plane * (row_y - row_slope * slice_y)).to(tl.float32) * y
    column = (to_plane * (column_x - column_slope * slice_x)).to(tl.float32) * x
    column += (to_plane * (column_y - column_slope * slice_y)).to(tl.float32) * y
    row = (corner_row - whole_row).to(tl.float32) + row / slope
    column = (corner_column - whole_column).to(tl.float32) + column / slope
    row, column = tl.minimum(tl.maximum(row, -FAR), FAR), tl.minimum(tl.maximum(column, -FAR), FAR)
    i, j = tl.floor(row), tl.floor(column)
    v, u = row - i, column - j
    i, j = i.to(tl.int32) + whole_row.to(tl.int32), j.to(tl.int32) + whole_column.to(tl.int32)
    inside = shown & (to_plane.to(tl.float32) * slope > 0)
    inside = inside & (i >= 0) & (i < plane_rows - 1) & (j >= 0) & (j < plane_columns - 1)
    at = plane_images + tl.load(integers + PLANE) + i * plane_columns + j
    a, b = tl.load(at, mask=inside, other=0.0), tl.load(at + 1, mask=inside, other=0.0)
    upper = a + u * (b - a)
    a = tl.load(at + plane_columns, mask=inside, other=0.0)
    b = tl.load(at + plane_columns + 1, mask=inside, other=0.0)
    lower = a + u * (b - a)
    height, width = tl.load(integers + HEIGHT).to(tl.int32), tl.load(integers + WIDTH).to(tl.int32)
    pixel = tl.load(integers + PICTURE).to(tl.pointer_type(tl.float32))
    pixel += (top + down[:, None]) * width + left + across[None, :]
    ray_length = tl.load(pixel, mask=shown, other=0.0)
    background = tl.load(pixel + height * width, mask=shown, other=0.0)
    seen = (upper + v * (lower - upper)) * ray_length / tl.abs(slope)
    return background + tl.where(inside, seen, 0.0)


@triton.jit(do_not_specialize=["tiles"])
@no_type_check
def draw(integers, reals, plane_images, images, tiles, TALL: tl.constexpr, WIDE: tl.constexpr):
    """Write one tile of an image."""
    pose, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    integers += pose * INTEGERS
    reals += pose * REALS
    height, width = tl.load(integers + HEIGHT).to(tl.int32), tl.load(integers + WIDTH).to(tl.int32)
    tiles_across = (width + WIDE - 1) // WIDE
    top, left = tile // tiles_across * TALL, tile % tiles_across * WIDE
    down, across = tl.arange(0, TALL), tl.arange(0, WIDE)
    row, column = top + down[:, None], left + across[None, :]
    shown = (row < height) & (column < width)
    image = _image(integers, reals, plane_images, top, left, down, across, shown)
    tl.store(images + tl.load(integers + RESULT) + row * width + column, image, mask=shown)


@triton.jit(do_not_specialize=["tiles"])
@no_type_check
def compare(
    integers,
    reals,
    plane_images,
    gradients,
    sums,
    tiles,
    KEEP: tl.constexpr,
    LANES: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Write the six sums of one tile's weighted gradients, and if KEEP the gradients themselves, not normalised."""
    pose, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    integers += pose * INTEGERS
    reals += pose * REALS
    height, width = tl.load(integers + HEIGHT).to(tl.int32), tl.load(integers + WIDTH).to(tl.int32)
    tiles_across = (width + WIDE - 1) // WIDE
    top, left = tile // tiles_across * TALL, tile % tiles_across * WIDE
    down, across = tl.arange(0, TALL), tl.arange(0, WIDE)
    row, column = top + down[:, None], left + across[None, :]
    inner = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    above = _image(integers, reals, plane_images, top, left, down - 1, across, inner)
    below = _image(integers, reals, plane_images, top, left, down + 1, across, inner)
    before = _image(integers, reals, plane_images, top, left, down, across - 1, inner)
    behind = _image(integers, reals, plane_images, top, left, down, across + 1, inner)
    count, pixel = height * width, row * width + column
    picture = tl.load(integers + PICTURE).to(tl.pointer_type(tl.float32)) + pixel
    weight = tl.load(picture + 2 * count, mask=inner, other=0.0)
    g, h = weight * (below - above), weight * (behind - before)
    wanted_g = tl.load(picture + 3 * count, mask=inner, other=0.0)
    wanted_h = tl.load(picture + 4 * count, mask=inner, other=0.0)
    sums += (pose.to(tl.int64) * tiles + tile) * LANES
    tl.store(sums, tl.reduce(g, None, tl.standard._sum_combine))
    tl.store(sums + 1, tl.reduce(h, None, tl.standard._sum_combine))
    tl.store(sums + 2, tl.reduce(g * g, None, tl.standard._sum_combine))
    tl.store(sums + 3, tl.reduce(h * h, None, tl.standard._sum_combine))
    tl.store(sums + 4, tl.reduce(g * wanted_g, None, tl.standard._sum_combine))
    tl.store(sums + 5, tl.reduce(h * wanted_h, None, tl.standard._sum_combine))
    if KEEP:
        shown = (row < height) & (column < width)
        at = gradients + tl.load(integers + RESULT) + pixel
        tl.store(at, g, mask=shown)
        tl.store(at + count, h, mask=shown)


@triton.jit(do_not_specialize=["parts"])
@no_type_check
def total(partial, counts, totals, parts, LANES: tl.constexpr):
    """Add the partial sums of one pose or request in float64, in order."""
    row = tl.program_id(0)
    lanes = tl.arange(0, LANES)
    total = tl.full((LANES,), 0.0, tl.float64)
    partial += row.to(tl.int64) * parts * LANES
    count, part = tl.load(counts + row).to(tl.int32), 0
    while part < count:
        total += tl.load(partial + part * LANES + lanes).to(tl.float64)
        part += 1
    tl.store(totals + row * LANES + lanes, total)


@triton.jit(do_not_specialize=["parts"])
@no_type_check
def multiply(
    requests,
    gradients,
    moments,
    odd_rows,
    per_step,
    products,
    parts,
    COUNT: tl.constexpr,
    SIZE: tl.constexpr,
    TIMES: tl.constexpr,
):
    """Write the products of the change images and the residual, in even and in odd rows, summed over one run of pixels.

    A row of `requests`: address of the picture, rows, columns, where its gradients and its flags of odd rows begin.
    `moments`: mean and inverse norm of either gradient of each pose.
    """
    request, part = tl.program_id(0) // parts, tl.program_id(0) % parts
    requests += request * 5
    height, width = tl.load(requests + 1).to(tl.int32), tl.load(requests + 2).to(tl.int32)
    pixels = height * width
    picture = tl.load(requests).to(tl.pointer_type(tl.float32))
    gradients += tl.load(requests + 3)
    odd_rows += tl.load(requests + 4)
    moments += request * 52
    per_unit = tl.load(per_step + request)
    field = tl.arange(0, COUNT)[:, None]
    is_change, is_residual = field < 6, field == 6
    # The residual is the X-ray's gradient less that of pose 0.
    forward, back = tl.where(is_change, 1 + field, 0), tl.where(is_change, 7 + field, 0)
    even = tl.full((COUNT, COUNT), 0.0, tl.float32)
    odd = tl.full((COUNT, COUNT), 0.0, tl.float32)
    for number in range(2 * TIMES):
        direction = number % 2
        pixel = (part * TIMES + number // 2) * SIZE + tl.arange(0, SIZE)
        known = (pixel < pixels)[None, :]
        at = gradients + direction * pixels + pixel[None, :]
        plus = tl.load(at + forward.to(tl.int64) * 2 * pixels, mask=known & is_change, other=0.0)
        minus = tl.load(at + back.to(tl.int64) * 2 * pixels, mask=known & (is_change | is_residual), other=0.0)
        wanted = tl.load(picture + (3 + direction) * pixels + pixel[None, :], mask=known & is_residual, other=0.0)
        plus = (plus - tl.load(moments + 4 * forward + direction)) * tl.load(moments + 4 * forward + 2 + direction)
        minus = (minus - tl.load(moments + 4 * back + direction)) * tl.load(moments + 4 * back + 2 + direction)
        image = tl.where(is_change, (plus - minus) * per_unit, tl.where(is_residual, wanted - minus, 0.0))
        image = tl.where(known, image, 0.0)
        in_odd = tl.load(odd_rows + pixel // width, mask=pixel < pixels, other=0.0)[None, :]
        odd_image = image * in_odd
        even_image = image - odd_image
        even += tl.reduce(even_image[:, None, :] * even_image[None, :, :], 2, tl.standard._sum_combine)
        odd += tl.reduce(odd_image[:, None, :] * odd_image[None, :, :], 2, tl.standard._sum_combine)
    products += (request.to(tl.int64) * parts + part) * 2 * COUNT * COUNT
    cell = field * COUNT + tl.arange(0, COUNT)[None, :]
    tl.store(products + cell, even)
    tl.store(products + COUNT * COUNT + cell, odd)
