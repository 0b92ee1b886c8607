"""A CT scanner: what lies on its couch becomes Hounsfield units, with the truth on the same grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int16, UInt8

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.beam_hardening import (
    SMOOTH_ANGLES,
    SMOOTH_MM,
    SMOOTH_STEP_MM,
    STREAKY_ANGLES,
    STREAKY_MM,
    STREAKY_STEP_MM,
    Rays,
    coarse_grid,
    hardening_error,
    metal_error,
    noise_strength,
    rays_through,
)
from osteoray.simulation.body import Body
from osteoray.simulation.ct_acquisition import KERNELS, Reading, acquire
from osteoray.simulation.ct_response import TITANIUM_G_CM3, ct_response, relative_noise
from osteoray.simulation.ct_setup import COUCH_RISE_PER_MM, Scan
from osteoray.simulation.footprint import CoarseField, average, footprints, labels_of_half_filled
from osteoray.simulation.phantom import PhantomDesign, paint_phantom, rod_centres_mm

COUCH_RELATIVE_ATTENUATION = 0.45
TUBE_CURRENT_MA = 250.0
"""In a slice of 28 cm water-equivalent diameter."""
MODULATION = 0.5
"""The tube's current follows noise to this power, so that thick slices are noisier, but less than at one current."""
CURRENT_RANGE = (0.4, 2.6)


@dataclass(frozen=True, eq=False)
class Subject:
    """What lies on the couch.

    Attributes:
        body: the patient.
        metal: volume fraction of titanium on the body's grid, where the body is as empty; None without an implant.
        iodine_mg_cm3: contrast agent on the body's grid; None without.
    """

    body: Body
    metal: Float32[np.ndarray, "k j i"] | None = None
    iodine_mg_cm3: Float32[np.ndarray, "k j i"] | None = None


@dataclass(frozen=True, eq=False)
class CtScan:
    """A simulated CT and its truth on the same grid.

    Attributes:
        hu: what the scanner delivers.
        bones, proximal_femur: true labels.
        ha_mg_cm3: true mineral, averaged over the voxel.
        qct_ideal_mg_cm3: what an ideal scan, without noise and blur, reads with an ideal phantom calibration; metal
            and contrast agent are not part of it.
        rods_mm: LPS centres of the phantom's rods in every slice that it reaches.
        slope_mg_cm3_per_hu, intercept_mg_cm3: the true calibration of this scan to hydroxyapatite.
        current_ma: of the tube, by slice.
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
    current_ma: Float[np.ndarray, " k"]


def scan_subject(
    subject: Subject, scan: Scan, design: PhantomDesign, grid: VoxelGrid, rng: np.random.Generator
) -> CtScan:
    """Scan what lies on the couch.

    Args:
        subject: patient, implant, contrast agent.
        scan: what was drawn for this acquisition.
        design: the phantom.
        grid: axial voxels of the scan.
        rng: source of the noise.
    """
    body, response = subject.body, ct_response(scan.kvp)
    coarse = coarse_grid(grid, body.grid, SMOOTH_MM, SMOOTH_STEP_MM)
    to_scan = footprints(coarse, grid)
    rays = _coarse_rays(subject, scan, design, coarse, SMOOTH_ANGLES)
    errors = [CoarseField(hardening_error(rays, SMOOTH_MM, scan.kvp, scan.cupping_hu), to_scan)]
    if subject.metal is not None:
        errors.append(_streaks(subject, subject.metal, scan, design, grid, rng))
    current = _relative_current(rays, scan.kvp)
    strength = noise_strength(rays, scan.kvp) / np.sqrt(current).astype(np.float32)[:, None, None]
    footprint = footprints(body.grid, grid)
    attenuation = average(response.relative_attenuation(body.adipose_g_cm3, body.lean_g_cm3, body.ha_mg_cm3), footprint)
    qct_ideal_mg_cm3 = response.qct_mg_cm3(attenuation)
    if subject.metal is not None:
        attenuation += response.titanium * TITANIUM_G_CM3 * average(subject.metal, footprint)
    if subject.iodine_mg_cm3 is not None:
        attenuation += response.iodine * 1e-3 * average(subject.iodine_mg_cm3, footprint)
    axes = grid.axes_mm()
    attenuation += _couch(axes[0], axes[1], scan)
    rods_mm = np.zeros((len(design.rods), 0, 3))
    if scan.placement is not None:
        rod_values = tuple(design.relative_attenuation(rod, response) for rod in design.rods)
        paint_phantom(attenuation, axes, design, scan.placement, 1e-3 * design.body_water_mg_cm3, rod_values)
        reached = scan.placement.reaches(design, axes[2])
        rods_mm = rod_centres_mm(design, scan.placement, axes[2][reached])
    reading = Reading(KERNELS[scan.kernel], scan.blur_mm, scan.gain, scan.offset_hu, scan.noise_hu)
    hu = acquire(attenuation, errors, CoarseField(strength, to_scan), reading, grid.spacing_mm, rng)
    slope = 1.0 / (response.rod_hu_per_mg_cm3 * scan.gain)
    return CtScan(
        grid=grid,
        hu=hu,
        bones=labels_of_half_filled(body.bones, footprint),
        proximal_femur=labels_of_half_filled(body.proximal_femur, footprint),
        ha_mg_cm3=average(body.ha_mg_cm3, footprint),
        qct_ideal_mg_cm3=qct_ideal_mg_cm3,
        rods_mm=rods_mm,
        slope_mg_cm3_per_hu=slope,
        intercept_mg_cm3=-slope * scan.offset_hu,
        current_ma=TUBE_CURRENT_MA * np.interp(axes[2], coarse.axes_mm()[2], current),
    )


def _streaks(
    subject: Subject, metal: np.ndarray, scan: Scan, design: PhantomDesign, grid: VoxelGrid, rng: np.random.Generator
) -> CoarseField:
    """Error by the implant in the slices that hold it, on finer pixels than the rest."""
    heights_mm = subject.body.grid.axes_mm()[2][metal.any(axis=(1, 2))]
    first_mm, reach_mm = float(heights_mm.min()) - STREAKY_STEP_MM, float(np.ptp(heights_mm)) + 2 * STREAKY_STEP_MM
    x_mm, y_mm, _ = grid.world_from_index[:3, 3]
    shape = (max(int(reach_mm / STREAKY_STEP_MM), 2), *grid.shape[1:])
    held = VoxelGrid.axial(shape, (STREAKY_STEP_MM, *grid.spacing_mm[1:]), (x_mm, y_mm, first_mm))
    coarse = coarse_grid(held, subject.body.grid, STREAKY_MM, STREAKY_STEP_MM)
    rays = _coarse_rays(subject, scan, design, coarse, STREAKY_ANGLES)
    return CoarseField(metal_error(rays, STREAKY_MM, scan.kvp, rng), footprints(coarse, grid))


def _coarse_rays(subject: Subject, scan: Scan, design: PhantomDesign, coarse: VoxelGrid, angles: int) -> Rays:
    """Rays through patient and phantom on coarse pixels."""
    body, response, footprint = subject.body, ct_response(scan.kvp), footprints(subject.body.grid, coarse)
    soft_tissue = response.adipose * body.adipose_g_cm3 + response.lean * body.lean_g_cm3
    soft, mineral_g_cm3 = average(soft_tissue, footprint), average(1e-3 * body.ha_mg_cm3, footprint)
    metal = np.zeros_like(soft) if subject.metal is None else average(subject.metal, footprint)
    if subject.iodine_mg_cm3 is not None:
        # Iodine hardens much like bone of the same attenuation.
        iodine = average(1e-3 * subject.iodine_mg_cm3, footprint)
        mineral_g_cm3 += response.iodine / response.hydroxyapatite * iodine
    if scan.placement is not None:
        water = tuple(1e-3 * rod.water_mg_cm3 for rod in design.rods)
        excess = (design.relative_attenuation(rod, response) - 1e-3 * rod.water_mg_cm3 for rod in design.rods)
        minerals = tuple(value / response.hydroxyapatite for value in excess)
        axes = coarse.axes_mm()
        paint_phantom(soft, axes, design, scan.placement, 1e-3 * design.body_water_mg_cm3, water)
        paint_phantom(mineral_g_cm3, axes, design, scan.placement, 0.0, minerals)
    return rays_through(soft, mineral_g_cm3, metal, float(coarse.spacing_mm[1]), angles)


def _relative_current(rays: Rays, kvp: int) -> Float[np.ndarray, " k"]:
    """Tube current of every coarse slice over that in a water cylinder of 28 cm, by its water-equivalent diameter."""
    area_mm2 = 10 * rays.water_cm.sum(axis=2).mean(axis=1) * SMOOTH_MM
    needed = relative_noise(kvp, 2 * np.sqrt(area_mm2 / np.pi)) / relative_noise(kvp, np.array(280.0))
    return np.clip(needed ** (2 * MODULATION), *CURRENT_RANGE)


def _couch(x_mm: np.ndarray, y_mm: np.ndarray, scan: Scan) -> Float32[np.ndarray, "1 j i"]:
    """A curved couch: two thin carbon skins with foam between them."""
    across_mm = x_mm[None, :] - scan.couch_mm[0]
    depth_mm = y_mm[:, None] - scan.couch_mm[1] + COUCH_RISE_PER_MM * across_mm**2
    pixel_mm = float(x_mm[1] - x_mm[0])
    couch = np.zeros(depth_mm.shape)
    for face_mm, thickness_mm in ((0.0, 1.5), (32.0, 1.5)):
        distance_mm = np.abs(depth_mm - face_mm) - thickness_mm / 2
        couch += COUCH_RELATIVE_ATTENUATION * np.clip(0.5 - distance_mm / pixel_mm, 0, 1)
    couch += 0.04 * ((depth_mm > 0) & (depth_mm < 32))
    return (couch * (np.abs(across_mm) < 215))[None].astype(np.float32)
