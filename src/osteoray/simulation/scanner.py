"""A CT scanner: composition to Hounsfield units with couch, phantom, blur, cupping, noise and drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Float, Float32, Int16, UInt8

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.body import Body
from osteoray.simulation.ct_response import ct_response
from osteoray.simulation.phantom import PhantomDesign, PhantomPlacement, paint_phantom, rod_centres_mm

AIR_HU = -1024
"""Smallest stored value; also outside the circle of reconstruction."""

COUCH_RELATIVE_ATTENUATION = 0.45
REFERENCE_DIAMETER_MM = 280.0
REFERENCE_VOXEL_MM3 = 5.0


@dataclass(frozen=True)
class Scan:
    """Acquisition of one CT.

    Attributes:
        gain, offset_hu: drift of the scanner: measured = gain * ideal + offset.
        blur_mm: standard deviation of the in-plane point spread.
        cupping_hu: how much too low the middle of the body reads.
        noise_hu: standard deviation in the reference body and voxel.
        placement: where the phantom lies.
        couch_y_mm: anterior face of the couch in its middle.
    """

    gain: float
    offset_hu: float
    blur_mm: float
    cupping_hu: float
    noise_hu: float
    placement: PhantomPlacement
    couch_y_mm: float


@dataclass(frozen=True, eq=False)
class CtScan:
    """A simulated CT and its truth on the same grid.

    Attributes:
        hu: what the scanner delivers.
        bones, proximal_femur: true labels.
        ha_mg_cm3: true mineral, averaged over the voxel.
        qct_ideal_mg_cm3: what an ideal scan, without noise and blur, reads with an ideal phantom calibration.
        rods_mm: LPS centres of the phantom's rods in every slice that it reaches.
        slope_mg_cm3_per_hu, intercept_mg_cm3: the true calibration of this scan.
    """

    grid: VoxelGrid
    hu: Int16[np.ndarray, "k j i"]
    bones: UInt8[np.ndarray, "k j i"]
    proximal_femur: UInt8[np.ndarray, "k j i"]
    ha_mg_cm3: Float32[np.ndarray, "k j i"]
    qct_ideal_mg_cm3: Float32[np.ndarray, "k j i"]
    rods_mm: Float[np.ndarray, "rods k 3"]
    slope_mg_cm3_per_hu: float
    intercept_mg_cm3: float


def draw_scan(body: Body, design: PhantomDesign, noise_hu: float, rng: np.random.Generator) -> Scan:
    """Draw drift, blur and the place of the phantom under the patient.

    Args:
        body: the patient on the couch.
        design: the phantom.
        noise_hu: noise in the reference body and voxel.
        rng: source of randomness.
    """
    hips_mm = np.mean([femur.head_centre_mm for femur in body.femurs.values()], axis=0)
    back_mm = _posterior_skin_mm(body, hips_mm, design)
    top_mm = back_mm + rng.uniform(6, 16)
    middle_mm = (
        float(hips_mm[0] + rng.normal(0, 6)),
        float(top_mm + design.slab_height_mm / 2 + 2),
        float(hips_mm[2] + rng.normal(0, 10)),
    )
    roll, slope_x, slope_y = rng.normal(0, [0.01, 0.012, 0.008])
    placement = PhantomPlacement(middle_mm, float(roll), float(slope_x), float(slope_y), float(rng.uniform(1, 5)))
    return Scan(
        gain=float(rng.normal(1, 0.012)),
        offset_hu=float(rng.normal(0, 2.5)),
        blur_mm=float(rng.uniform(0.5, 0.65)),
        cupping_hu=float(rng.uniform(0, 6)),
        noise_hu=noise_hu,
        placement=placement,
        couch_y_mm=middle_mm[1] + design.slab_height_mm / 2 + 4,
    )


def ct_grid(body: Body, scan: Scan, matrix: int, pixel_mm: float, slice_mm: float, extent_mm: float) -> VoxelGrid:
    """Voxels of the scan: centred on patient and couch, from the iliac crests downwards."""
    top_mm = _top_of_pelvis_mm(body) + 10
    first_k_mm = body.grid.world_from_index[2, 3]
    count = int(min(extent_mm, top_mm - first_k_mm) // slice_mm)
    front_mm = _anterior_skin_mm(body)
    middle_y_mm = (front_mm + scan.couch_y_mm + 10) / 2
    half_mm = (matrix - 1) / 2 * pixel_mm
    origin_mm = (
        round(float(body.grid.centre_mm[0] - half_mm), 2),
        round(float(middle_y_mm - half_mm), 2),
        round(float(top_mm - (count - 1) * slice_mm), 2),
    )
    return VoxelGrid.axial((count, matrix, matrix), (slice_mm, pixel_mm, pixel_mm), origin_mm)


def scan_body(body: Body, scan: Scan, design: PhantomDesign, grid: VoxelGrid, rng: np.random.Generator) -> CtScan:
    """Scan a body with the phantom under it.

    Args:
        body: the patient.
        scan: what was drawn for this acquisition.
        design: the phantom.
        grid: axial voxels of the scan.
        rng: source of the noise.
    """
    response = ct_response()
    footprint = [_averaging_weights(body.grid, grid, axis) for axis in range(3)]
    attenuation = response.relative_attenuation(body.adipose_g_cm3, body.lean_g_cm3, body.ha_mg_cm3)
    attenuation = _average(attenuation, footprint)
    ha_mg_cm3 = _average(body.ha_mg_cm3, footprint)
    qct_ideal_mg_cm3 = response.qct_mg_cm3(attenuation).astype(np.float32)
    x_mm, y_mm, z_mm = _axes_mm(grid)
    thickness_mm = _water_diameter_mm(attenuation, grid)
    rod_values = tuple(1.0 + response.rod_hu(density) / 1000.0 for density, _ in design.rods)
    paint_phantom(attenuation, x_mm, y_mm, z_mm, design, scan.placement, rod_values)
    attenuation += _couch(x_mm, y_mm, scan)
    hu = _acquire(attenuation, thickness_mm, scan, grid, rng)
    slope = 1.0 / (response.rod_hu_per_mg_cm3 * scan.gain)
    return CtScan(
        grid=grid,
        hu=hu,
        bones=_labels_of_half_filled(body.bones, footprint),
        proximal_femur=_labels_of_half_filled(body.proximal_femur, footprint),
        ha_mg_cm3=ha_mg_cm3,
        qct_ideal_mg_cm3=qct_ideal_mg_cm3,
        rods_mm=rod_centres_mm(design, scan.placement, z_mm[scan.placement.reaches(design, z_mm)]),
        slope_mg_cm3_per_hu=slope,
        intercept_mg_cm3=-slope * scan.offset_hu,
    )


def _labels_of_half_filled(labels: UInt8[np.ndarray, "k j i"], footprint: list[np.ndarray]) -> np.ndarray:
    """A voxel of the scan carries the label that fills at least half of it.

    The nearest label would shift the whole mask by up to half a voxel where both grids have the same spacing.
    """
    found = np.zeros([len(weights) for weights in footprint], np.uint8)
    for label in np.unique(labels[labels > 0]):
        found[_average((labels == label).astype(np.float32), footprint) >= 0.5] = label
    return found


def _acquire(
    attenuation: np.ndarray, thickness_mm: np.ndarray, scan: Scan, grid: VoxelGrid, rng: np.random.Generator
) -> Int16[np.ndarray, "k j i"]:
    """Blur, noise of the reconstruction filter, cupping, drift and rounding, slice by slice."""
    count, rows, columns = attenuation.shape
    _, _, pixel_mm = grid.spacing_mm
    frequency = np.hypot(scipy.fft.fftfreq(rows, pixel_mm)[:, None], scipy.fft.rfftfreq(columns, pixel_mm)[None, :])
    transfer = np.exp(-2 * (np.pi * frequency * scan.blur_mm) ** 2).astype(np.float32)
    # A ramp filter times the kernel's transfer: noise is blotchy, without low frequencies (Kijewski & Judy 1987).
    shape = np.sqrt(np.maximum(frequency, 0.01)) * transfer
    shape = (shape / np.sqrt(np.mean(shape**2))).astype(np.float32)
    noise_hu = scan.noise_hu * np.sqrt(REFERENCE_VOXEL_MM3 / grid.voxel_mm3)
    # Half of the log transmission's change, because noise goes with the square root of the detected photons.
    sd_hu = noise_hu * np.exp(0.5 * 0.0195 * (thickness_mm - REFERENCE_DIAMETER_MM))
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    radius = np.hypot(x, y)
    cupping_hu = (scan.cupping_hu * np.maximum(1 - radius**2, 0)).astype(np.float32)
    hu = np.empty(attenuation.shape, np.int16)
    for k in range(count):
        spectrum = scipy.fft.rfft2(attenuation[k]) * transfer
        white = rng.standard_normal((rows, columns), dtype=np.float32)
        noise = scipy.fft.rfft2(white) * (shape * np.float32(sd_hu[k] / 1000.0))
        relative = scipy.fft.irfft2(spectrum + noise, s=(rows, columns))
        values = 1000.0 * (relative - 1.0) - cupping_hu * np.clip(relative, 0, 1)
        values = scan.gain * values + scan.offset_hu * np.clip(relative, 0, 1)
        values[radius > 1] = AIR_HU
        hu[k] = np.clip(np.rint(values), AIR_HU, 3071)
    return hu


def _average(array: np.ndarray, weights: list[np.ndarray]) -> Float32[np.ndarray, "k j i"]:
    """Average over the footprint of the new voxels, axis by axis."""
    for axis, matrix in enumerate(weights):
        array = np.moveaxis(np.tensordot(matrix, array, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(array, np.float32)


def _averaging_weights(source: VoxelGrid, target: VoxelGrid, axis: int) -> Float32[np.ndarray, "new old"]:
    """Weights along one axis that average the linear interpolation of the source over each target voxel."""
    world = 2 - axis
    spacing_mm = source.spacing_mm[axis]
    centres = (
        target.world_from_index[world, 3]
        + np.arange(target.shape[axis]) * target.spacing_mm[axis]
        - source.world_from_index[world, 3]
    ) / spacing_mm
    half = target.spacing_mm[axis] / spacing_mm / 2
    offset = centres[:, None] - np.arange(source.shape[axis])[None, :]
    return ((_hat_integral(offset + half) - _hat_integral(offset - half)) / (2 * half)).astype(np.float32)


def _hat_integral(t: np.ndarray) -> np.ndarray:
    """Integral of the unit hat function from minus infinity to t."""
    t = np.clip(t, -1, 1)
    return 0.5 + t - np.sign(t) * t**2 / 2


def _couch(x_mm: np.ndarray, y_mm: np.ndarray, scan: Scan) -> Float32[np.ndarray, "1 j i"]:
    """A curved couch: two thin carbon skins with foam between them."""
    across_mm = x_mm[None, :] - scan.placement.middle_mm[0]
    depth_mm = y_mm[:, None] - scan.couch_y_mm + 14 * (across_mm / 200) ** 2
    pixel_mm = float(x_mm[1] - x_mm[0])
    couch = np.zeros(depth_mm.shape)
    for face_mm, thickness_mm in ((0.0, 1.5), (32.0, 1.5)):
        distance_mm = np.abs(depth_mm - face_mm) - thickness_mm / 2
        couch += COUCH_RELATIVE_ATTENUATION * np.clip(0.5 - distance_mm / pixel_mm, 0, 1)
    couch += 0.04 * ((depth_mm > 0) & (depth_mm < 32))
    return (couch * (np.abs(across_mm) < 215))[None].astype(np.float32)


def _water_diameter_mm(attenuation: np.ndarray, grid: VoxelGrid) -> Float[np.ndarray, "k"]:
    """Diameter of the water cylinder that attenuates like each slice."""
    area_mm2 = attenuation.sum(axis=(1, 2)) * grid.spacing_mm[1] * grid.spacing_mm[2]
    return 2 * np.sqrt(area_mm2 / np.pi)


def _axes_mm(grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World x, y, z of the voxels of an axial grid along i, j, k."""
    origin_mm = grid.world_from_index[:3, 3]
    return tuple(origin_mm[2 - axis] + np.arange(grid.shape[axis]) * grid.spacing_mm[axis] for axis in (2, 1, 0))


def _posterior_skin_mm(body: Body, hips_mm: np.ndarray, design: PhantomDesign) -> float:
    """Lowest skin above the phantom."""
    inside = (body.adipose_g_cm3 + body.lean_g_cm3) > 0.3
    x_mm, y_mm, z_mm = _axes_mm(body.grid)
    slab = inside[np.abs(z_mm - hips_mm[2]) < design.slab_length_mm / 2]
    slab = slab[:, :, np.abs(x_mm - hips_mm[0]) < design.slab_width_mm / 2]
    return float(y_mm[np.flatnonzero(slab.any(axis=(0, 2)))[-1]])


def _anterior_skin_mm(body: Body) -> float:
    inside = ((body.adipose_g_cm3 + body.lean_g_cm3) > 0.3).any(axis=(0, 2))
    index = np.array([0, np.flatnonzero(inside)[0], 0], float)
    return float(apply_affine(body.grid.world_from_index, index)[1])


def _top_of_pelvis_mm(body: Body) -> float:
    """Height of the iliac crests, or of the highest bone that the body has."""
    slices = np.flatnonzero(np.isin(body.bones, (1, 2)).any(axis=(1, 2)))
    return float(apply_affine(body.grid.world_from_index, np.array([slices[-1], 0, 0], float))[2])
