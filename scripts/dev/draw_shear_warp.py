"""Draw the factorisation of the search renderer: docs/figures/shear_warp.png."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from scipy import ndimage

from osteoray.geometry.affines import affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_about, rotation_from_vector
from osteoray.imaging.volume import Volume
from osteoray.radiography.ray_integrals import areal_density_g_cm2
from osteoray.radiography.shear_warp import render, sliced, warps

FIGURE = Path(__file__).resolve().parents[2] / "docs" / "figures" / "shear_warp.png"
BLUE, ORANGE, GREY = "#1f5fa8", "#d9731a", "#777777"


def main() -> None:
    bone = hollow_bone()
    pose = affine(np.eye(3), np.array([12.0, -8.0, 0.0])) @ ap_camera_from_world(np.zeros(3), 850.0)
    pose = pose @ rotation_about(np.zeros(3), rotation_from_vector(np.radians([6.0, 9.0, 12.0])))
    camera = Camera.from_geometry(1000.0, (0.9, 0.9), (99.5, 99.5), (200, 200), pose)
    figure, axes = pyplot.subplots(1, 4, figsize=(15, 4.4), width_ratios=(1.7, 1, 1, 1), layout="constrained")
    geometry(axes[0])
    drawn = render(sliced(bone), camera.K, pose[None], camera.shape)[0]
    exact = areal_density_g_cm2(bone, camera)
    rmse = 100 * np.sqrt(np.mean((drawn - exact) ** 2) / np.mean(exact**2))
    picture(axes[1], plane_image(bone, camera), "2  Plane image:\nall slices, scaled and added")
    picture(axes[2], drawn, "3  Detector: the plane image\nthrough one homography")
    picture(axes[3], exact, f"Exact projection\n(difference {rmse:.1f} %)")
    figure.savefig(FIGURE, dpi=90)


def hollow_bone() -> Volume:
    """A head, a neck and a shaft with a cortex, smoothed to its voxels."""
    grid = VoxelGrid.axial((90, 60, 80), (1.5, 1.5, 1.5), (-60.0, -45.0, -70.0))
    points_mm = grid.coordinates_mm()
    depth_mm = np.maximum.reduce(
        [
            24 - np.linalg.norm(points_mm - [-25.0, 8.0, 35.0], axis=-1),
            13 - distance_mm(points_mm, np.array([-25.0, 8.0, 35.0]), np.array([22.0, -5.0, 0.0])),
            17 - distance_mm(points_mm, np.array([22.0, -5.0, 5.0]), np.array([25.0, 0.0, -52.0])),
        ]
    )
    density = np.where(depth_mm > 0, np.where(depth_mm < 3.5, 900.0, 150.0), 0.0)
    return Volume(ndimage.gaussian_filter(density, 0.8, truncate=3.0).astype(np.float32), grid)


def distance_mm(points_mm: np.ndarray, start_mm: np.ndarray, end_mm: np.ndarray) -> np.ndarray:
    """Distance of points to a line segment."""
    axis = end_mm - start_mm
    along = np.clip((points_mm - start_mm) @ axis / (axis @ axis), 0, 1)
    return np.linalg.norm(points_mm - start_mm - along[..., None] * axis, axis=-1)


def plane_image(bone: Volume, camera: Camera) -> np.ndarray:
    """What the first step makes, written with SciPy: every slice scaled about the focus onto the middle one."""
    sliced_bone = sliced(bone)
    focus = warps(sliced_bone, camera.K, camera.camera_from_world[None])[0, :, 3]
    focus[1:] -= 1  # The sliced bone has one empty voxel on every side.
    box = bone.crop_to(bone.array != 0).array
    middle = 0.5 * (box.shape[1] - 1)
    image = np.zeros((box.shape[0], box.shape[2]))
    for n in range(box.shape[1]):
        scale = (n + 1 - focus[0]) / (middle + 1 - focus[0])
        image += ndimage.affine_transform(box[:, n], [scale, scale], focus[1:] * (1 - scale), order=1)
    return image[::-1]  # The patient's head is up.


def picture(axes: Axes, image: np.ndarray, title: str) -> None:
    axes.imshow(image, cmap="gray")
    axes.set_title(title, fontsize=11)
    axes.set_axis_off()


def geometry(axes: Axes) -> None:
    """One row of voxels of every slice, the focus, and the similar triangles."""
    focus, middle, slices = np.array([-7.0, 0.6]), 4.0, np.arange(9)
    columns = np.arange(-4, 5)
    for n in slices:
        colour = ORANGE if n == middle else BLUE
        axes.plot([n, n], [-4.2, 4.2], color=colour, lw=2.5 if n == middle else 1.2)
        axes.scatter(np.full(len(columns), n), columns, s=12, color=colour, zorder=3)
    for c in (-3.0, 1.0, 3.0):
        end = focus[1] + (c - focus[1]) * (13.0 - focus[0]) / (middle - focus[0])
        axes.plot([focus[0], 13.0], [focus[1], end], color=GREY, lw=1, ls="--" if c != 3.0 else "-")
        axes.scatter([middle], [c], s=55, facecolor="none", edgecolor=ORANGE, lw=1.8, zorder=4)
    n = 7.0
    place = focus[1] + (3.0 - focus[1]) * (n - focus[0]) / (middle - focus[0])
    axes.scatter([n], [place], s=60, marker="x", color="black", zorder=5)
    axes.annotate(
        "$x = f + s_n\\,(c - f)$", (n, place), (7.6, 6.1), fontsize=12, arrowprops={"arrowstyle": "-", "lw": 0.8}
    )
    axes.text(middle, 3.0 + 0.35, "$c$ ", fontsize=12, ha="right")
    axes.plot([12.6, 13.5], [-6.2, 6.4], color="black", lw=3)
    axes.text(13.2, -6.9, "detector", ha="center", fontsize=10)
    axes.scatter(*focus, s=60, color="black")
    axes.text(focus[0], focus[1] - 1.1, "focus $f$", ha="center", fontsize=10)
    axes.text(middle, -5.2, "plane image\n(slice $m$)", ha="center", va="top", color=ORANGE, fontsize=10)
    axes.text(0.3, 5.0, "slices $n$", color=BLUE, fontsize=10)
    axes.text(-7.0, -6.3, r"$s_n = \dfrac{n - f_n}{m - f_n}$", fontsize=13)
    axes.set_title("1  Similar triangles: every ray crosses\nslice $n$ where $s_n$ says", fontsize=11)
    axes.set(xlim=(-8.2, 14.5), ylim=(-7.6, 7.2))
    axes.set_axis_off()


if __name__ == "__main__":
    main()
