"""Landmarks of a femur fitted to its surface: head sphere, shaft axis, neck waist, lesser trochanter."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.body import FemurTruth

_UP = np.array([0.0, 0.0, 1.0])


def fit_femur(
    signed_distance_mm: Float[np.ndarray, "k j i"], grid: VoxelGrid, side: Side, rng: np.random.Generator
) -> FemurTruth:
    """Landmarks of the proximal part of a femur that is cut below the lesser trochanter.

    Args:
        signed_distance_mm: distance to the femur's surface, negative inside; a box around one femur.
        grid: the voxels of the box, axial.
        side: which femur it is; medial and lateral follow from it.
        rng: for the random samples of the sphere search.

    Raises:
        ValueError: the box holds no femur with head and shaft.
    """
    surface = _surface_points(signed_distance_mm, grid)
    inside = apply_affine(grid.world_from_index, np.argwhere(signed_distance_mm < 0).astype(float))
    if len(surface) < 500 or np.ptp(inside[:, 2]) < 100:
        raise ValueError("signed_distance_mm: expected a femur of at least 100 mm, got less")
    medial = np.array([-1.0 if side == Side.LEFT else 1.0, 0.0, 0.0])
    head_centre, head_radius = _fit_head(surface, medial, rng)
    shaft_point, shaft_axis = _fit_shaft(inside, inside[:, 2].min() + 65.0)
    neck_centre, neck_axis = _fit_neck(inside, grid.voxel_mm3, head_centre, head_radius, shaft_point, shaft_axis)
    trochanter = _lesser_trochanter(surface, head_centre, shaft_point, shaft_axis)
    below = float((trochanter - shaft_point) @ shaft_axis)
    shaft_point, shaft_axis = _fit_shaft_below(inside, shaft_point, shaft_axis, below - 15.0)
    angle = np.degrees(np.arccos(np.clip(-(neck_axis @ shaft_axis), -1, 1)))
    return FemurTruth(
        head_centre, head_radius, neck_axis, neck_centre, shaft_axis, shaft_point, trochanter, float(angle), None
    )


def _surface_points(distance_mm: np.ndarray, grid: VoxelGrid) -> Float[np.ndarray, "n 3"]:
    """Feet on the surface of the voxels next to it, found along the gradient of the distance."""
    near = np.argwhere(np.abs(distance_mm) < 0.6 * grid.spacing_mm.max())
    gradient = np.stack(np.gradient(distance_mm, *grid.spacing_mm), axis=-1)[tuple(near.T)]
    norm = np.linalg.norm(gradient, axis=1, keepdims=True)
    step = distance_mm[tuple(near.T)][:, None] * gradient / np.maximum(norm, 0.3) ** 2
    return apply_affine(grid.world_from_index, near - step / grid.spacing_mm)


def _sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Least-squares sphere: |p|² = 2 p·c + (r² - |c|²)."""
    origin = points.mean(axis=0)
    local = points - origin
    solution = np.linalg.lstsq(np.c_[2 * local, np.ones(len(local))], (local**2).sum(axis=1), rcond=None)[0]
    radius = np.sqrt(max(solution[3] + solution[:3] @ solution[:3], 0.0))
    return solution[:3] + origin, float(radius)


def _fit_head(surface: np.ndarray, medial: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Sphere of 18 to 32 mm with most surface points within 1 mm, in the upper medial part (RANSAC)."""
    upper = surface[surface[:, 2] > surface[:, 2].max() - 75.0]
    upper = upper[upper @ medial > np.quantile(upper @ medial, 0.35)]
    best, best_count = None, 0
    for _ in range(400):
        centre, radius = _sphere(upper[rng.choice(len(upper), 5, replace=False)])
        if 18.0 < radius < 32.0:
            count = int((np.abs(np.linalg.norm(upper - centre, axis=1) - radius) < 1.0).sum())
            if count > best_count:
                best, best_count = (centre, radius), count
    if best is None:
        raise ValueError("signed_distance_mm: expected a femur with a spherical head, got none")
    for _ in range(5):
        residual = np.abs(np.linalg.norm(surface - best[0], axis=1) - best[1])
        best = _sphere(surface[residual < 1.2])
    return best


def _line(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centroid and upward unit direction of a least-squares line through points."""
    centre = points.mean(axis=0)
    axis = np.linalg.svd(points - centre, full_matrices=False)[2][0]
    return centre, axis * np.sign(axis @ _UP)


def _centroids(inside: np.ndarray, point: np.ndarray, axis: np.ndarray, low: float, high: float) -> np.ndarray:
    """Centroids of 4 mm cross sections between two heights along an axis through a point."""
    height = (inside - point) @ axis
    bins = np.floor((height - low) / 4.0).astype(int)
    keep = (height >= low) & (bins < int((high - low) / 4.0))
    count = np.bincount(bins[keep])
    sums = np.stack([np.bincount(bins[keep], inside[keep, d]) for d in range(3)], axis=1)
    return sums[count > 20] / count[count > 20, None]


def _fit_shaft(inside: np.ndarray, top_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Axis through the centroids of the cross sections below a height, cut square to the axis."""
    shaft = inside[inside[:, 2] < top_mm]
    point, axis = _line(shaft)
    for _ in range(4):
        # Cross sections square to the axis: the slanted ends of the stack would turn the line.
        low = float(((shaft[shaft[:, 2] == shaft[:, 2].min()] - point) @ axis).max())
        high = float(((shaft[shaft[:, 2] == shaft[:, 2].max()] - point) @ axis).min())
        point, axis = _line(_centroids(inside, point, axis, low, high))
    return point, axis


def _fit_shaft_below(
    inside: np.ndarray, point: np.ndarray, axis: np.ndarray, top: float
) -> tuple[np.ndarray, np.ndarray]:
    """Axis through at most 60 mm of shaft that end at a height below the lesser trochanter."""
    low = float(((inside[inside[:, 2] == inside[:, 2].min()] - point) @ axis).max())
    centroids = _centroids(inside, point, axis, max(low, top - 60.0), top)
    return _line(centroids) if len(centroids) >= 5 else (point, axis)


def _fit_neck(
    inside: np.ndarray,
    voxel_mm3: float,
    head_centre: np.ndarray,
    head_radius: float,
    shaft_point: np.ndarray,
    shaft_axis: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Waist of the neck: the smallest cross section square to the axis from it to the head, iterated."""
    foot = shaft_point + ((head_centre - shaft_point) @ shaft_axis) * shaft_axis
    outward = head_centre - foot
    axis = outward / np.linalg.norm(outward) + shaft_axis
    axis /= np.linalg.norm(axis)
    for _ in range(6):
        depth = (head_centre - inside) @ axis
        lateral = np.linalg.norm(inside - head_centre + depth[:, None] * axis, axis=1)
        centres, areas = [], []
        for low in np.arange(0.55 * head_radius, 2.0 * head_radius, 1.0):
            # The bound on the distance from the axis leaves the greater trochanter out.
            section = inside[(depth >= low) & (depth < low + 3.0) & (lateral < 1.05 * head_radius)]
            centres.append(section.mean(axis=0))
            areas.append(len(section) * voxel_mm3 / 3.0)
        waist = int(np.argmin(ndimage.gaussian_filter1d(areas, 1.5, mode="nearest")))
        new = head_centre - centres[waist]
        axis = axis + new / np.linalg.norm(new)
        axis /= np.linalg.norm(axis)
    return centres[waist], axis


def _lesser_trochanter(
    surface: np.ndarray, head_centre: np.ndarray, shaft_point: np.ndarray, shaft_axis: np.ndarray
) -> np.ndarray:
    """Lower edge of the lesser trochanter, on the surface.

    The reach of the surface from the shaft axis towards medial-posterior, as a function of height, has a bump at the
    lesser trochanter; its lower edge is where the reach has fallen to a fifth of the bump above the shaft below.
    """
    offset = surface - shaft_point
    height = offset @ shaft_axis
    radial = offset - height[:, None] * shaft_axis
    medial = head_centre - shaft_point
    medial -= (medial @ shaft_axis) * shaft_axis
    medial /= np.linalg.norm(medial)
    posterior = np.array([0.0, 1.0, 0.0])
    posterior -= (posterior @ shaft_axis) * shaft_axis + (posterior @ medial) * medial
    posterior /= np.linalg.norm(posterior)
    direction = (medial + posterior) / np.sqrt(2.0)
    reach = radial @ direction
    head_height = float((head_centre - shaft_point) @ shaft_axis)
    steps = head_height - np.arange(30.0, 130.0, 2.0)
    steps = steps[steps > height.min() + 4.0]
    profile = np.array([reach[np.abs(height - h) < 2.0].max(initial=0.0) for h in steps])
    # Above the bump the reach falls from the neck to a saddle.
    peak = max(range(2, len(profile) - 2), key=lambda n: profile[n] - profile[: n + 1].min() - profile[n:].min())
    base = float(profile[peak + 10 : peak + 20].min(initial=profile[peak]))
    edge = peak + int(np.argmax(profile[peak:] < base + 0.2 * (profile[peak] - base)))
    near = np.abs(height - steps[edge]) < 2.5
    return surface[near][int(np.argmax(reach[near]))]
