"""What makes a readable CT less trustworthy: contrast agent, a body wider than the field, a patient who moved."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Int16
from scipy.ndimage import gaussian_filter, median_filter

from osteoray.errors.verdict import Finding
from osteoray.imaging.volume import Volume

BONE_HU = (200.0, 800.0)
"""Bone edges lie in this range; rods of a phantom hardly reach into it."""
COARSE_MM = 2.0
"""Pixel size at which slices are compared."""
BLUR_REACH = 4.0
"""Where SciPy ends a Gaussian, in standard deviations."""
WORKERS = 2
"""Threads that blur."""
TISSUE_HU = -250
"""Fat and everything denser."""
RIM_MM = 6.0
"""Width of the ring inside the edge of the reconstruction in which tissue counts as cut off."""
NEIGHBOURS = 9
"""Slice steps over which the usual shift from slice to slice is taken."""
EDGE_HU = 15.0
"""Smallest change from pixel to pixel of a bone edge, after blurring."""
ROBUST_STEPS = 4
"""Reweightings towards least absolute deviations: bones that begin or end in a slice are outliers."""


def ct_warnings(volume: Volume, *, has_contrast: bool, most_cut_mm: float, most_step_mm: float) -> list[Finding]:
    """Warnings about a CT.

    Args:
        volume: HU; k to superior, j to posterior, i to left.
        has_contrast: whether the header names a contrast agent.
        most_cut_mm: accepted length of skin line outside the field in one slice.
        most_step_mm: accepted step of the bones between two slices beyond their usual shift.
    """
    found = []
    if has_contrast:
        found.append(Finding("ING-CONTRAST", "ContrastBolusAgent (0018,0010) names a contrast agent"))
    cut_mm = cut_off_mm(volume)
    if cut_mm.max() > most_cut_mm:
        detail = f"{cut_mm.max():.0f} mm of tissue at the edge of the field, limit {most_cut_mm:g} mm"
        found.append(Finding("ING-TRUNCATED", f"{detail}, in {int((cut_mm > most_cut_mm).sum())} slices"))
    steps_mm = step_mm(volume)
    if len(steps_mm) and steps_mm.max() > most_step_mm:
        detail = f"bones step by {steps_mm.max():.1f} mm between slices {steps_mm.argmax()} and {steps_mm.argmax() + 1}"
        found.append(Finding("ING-MOTION", f"{detail}, limit {most_step_mm:g} mm"))
    return found


def cut_off_mm(volume: Volume) -> Float[np.ndarray, " k"]:
    """Length of the edge of the reconstructed field that lies in tissue, per slice.

    The field is the circle that fits the matrix, or the matrix itself where its corners hold tissue too.
    """
    _, rows, columns = volume.array.shape
    _, row_mm, column_mm = volume.grid.spacing_mm
    y, x = np.meshgrid(
        (np.arange(rows) - (rows - 1) / 2) * row_mm, (np.arange(columns) - (columns - 1) / 2) * column_mm, indexing="ij"
    )
    radius_mm = min(rows * row_mm, columns * column_mm) / 2
    distance_mm = np.hypot(x, y)
    ring = (distance_mm < radius_mm - 1.0) & (distance_mm > radius_mm - 1.0 - RIM_MM)
    # The couch reaches the lower edge of small fields.
    ring &= y < 0.6 * radius_mm
    return (volume.array[:, ring] > TISSUE_HU).sum(axis=1) * (row_mm * column_mm / RIM_MM)


def step_mm(volume: Volume) -> Float[np.ndarray, " steps"]:
    """How far the bones of each slice are displaced from the last one, beyond the usual shift around it.

    The shift of one slice to the next is the robust optical flow of bone edges (Lucas and Kanade 1981), small and
    slowly changing along straight or oblique bones. A moved patient moves both sides alike: of the left and the right
    half, the smaller shift counts, and none where they contradict each other.
    """
    if volume.array.shape[0] < NEIGHBOURS:
        return np.zeros(0)
    slices, pixel_mm = _coarse(volume.array, volume.grid.spacing_mm[1:])
    middle = slices.shape[2] // 2
    pairs = list(pairwise(slices))
    sides = np.array(
        [[_flow(a[:, half], b[:, half]) for a, b in pairs] for half in (slice(None, middle), slice(middle, None))]
    )
    flow_mm = sides * pixel_mm
    flow_mm -= median_filter(flow_mm, size=(1, NEIGHBOURS, 1), mode="nearest")
    agreed_mm = np.where(flow_mm[0] * flow_mm[1] > 0, np.abs(flow_mm).min(axis=0), 0.0)
    return np.hypot(*agreed_mm.T)


def _coarse(
    hu: Int16[np.ndarray, "k j i"], spacing_mm: Float[np.ndarray, "2"]
) -> tuple[Float32[np.ndarray, "k rows columns"], Float[np.ndarray, "2"]]:
    """Bone, blurred in plane, on every second or third pixel."""
    stride = [max(1, round(COARSE_MM / float(length))) for length in spacing_mm]
    sigma = [COARSE_MM / float(length) for length in spacing_mm]
    coarse = np.zeros(
        (len(hu), *(-(-size // step) for size, step in zip(hu.shape[1:], stride, strict=True))), np.float32
    )
    if (box := _bone_box(hu, sigma)) is None:
        return coarse, np.array(stride) * spacing_mm
    low, high = BONE_HU
    rows, columns = (slice(-(-span.start // step) * step, span.stop) for span, step in zip(box, stride, strict=True))
    place = tuple(slice(s.start // step, -(-s.stop // step)) for s, step in zip((rows, columns), stride, strict=True))

    def blur(k: int) -> None:
        bone = (np.clip(hu[k][box], low, high) - low).astype(np.float32)
        blurred = gaussian_filter(bone, sigma)[rows.start - box[0].start :, columns.start - box[1].start :]
        coarse[k][place] = blurred[:: stride[0], :: stride[1]]

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(blur, range(len(hu))))
    return coarse, np.array(stride) * spacing_mm


def _bone_box(hu: Int16[np.ndarray, "k j i"], sigma: list[float]) -> tuple[slice, slice] | None:
    """Rows and columns that hold bone in any slice, as far as blur spreads it; beyond them there is nothing to blur."""
    top = hu.max(axis=0) > BONE_HU[0]
    if not top.any():
        return None
    spans = []
    for axis, width in enumerate(sigma):
        found = np.flatnonzero(top.any(axis=1 - axis))
        margin = 2 * int(BLUR_REACH * width + 1)
        spans.append(slice(max(found[0] - margin, 0), min(found[-1] + margin + 1, top.shape[axis])))
    return spans[0], spans[1]


def _flow(first: Float32[np.ndarray, "rows columns"], second: Float32[np.ndarray, "rows columns"]) -> np.ndarray:
    """Shift (down, right) in pixels of the second image against the first; zero where there is no bone."""
    gradient = np.stack([g.ravel() for g in np.gradient(0.5 * (first + second))])
    edge = np.hypot(*gradient) > EDGE_HU
    gradient, change = gradient[:, edge].astype(float), (first - second).ravel()[edge].astype(float)
    shift, weight = np.zeros(2), np.ones(change.shape)
    for _ in range(ROBUST_STEPS):
        normal = (gradient * weight) @ gradient.T
        if np.linalg.det(normal) <= 1e-6 * np.trace(normal) ** 2:
            return np.zeros(2)
        shift = np.linalg.solve(normal, gradient @ (weight * change))
        residual = np.abs(change - shift @ gradient)
        weight = 1.0 / np.maximum(residual, 0.5 * float(np.median(residual)) + 1.0)
    return shift
