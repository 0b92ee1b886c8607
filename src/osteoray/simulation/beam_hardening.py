"""What rays through a body do to a CT that corrects for water alone: cupping, dark bands, streaks, uneven noise.

The scanner turns each ray's polyenergetic attenuation into the length of water that would give it. That is right for
water, and wrong where bone or metal harden the beam in another way (Brooks & Di Chiro 1976). The difference to what
`CtResponse` says, reconstructed by filtered backprojection, is the error image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Float32

from osteoray.geometry.grids import VoxelGrid
from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.radiography.tomography import project, reconstruct, smear
from osteoray.simulation.ct_response import TITANIUM_G_CM3, ct_response, ct_spectrum, relative_noise

SMOOTH_MM, SMOOTH_STEP_MM, SMOOTH_ANGLES = 4.0, 6.0, 90
"""Pixel, slice distance and number of angles where bones make the error, which is smooth."""
STREAKY_MM, STREAKY_STEP_MM, STREAKY_ANGLES = 2.0, 3.0, 180
"""The same where metal makes streaks."""
UNCORRECTED_HU = 30.0
"""A scanner whose cupping is that strong corrects for water alone; one with less has corrected bone by as much."""
CUPPED_RADIUS_CM = 20.0
"""Radius of the water cylinder in whose middle the drawn cupping shows."""
PHOTONS_PER_RAY = 3e5
"""Detected in a slice without a patient; with metal in the way few are left."""
FEWEST_PHOTONS = 2.0
BIN_KEV = 3


@dataclass(frozen=True, eq=False)
class Rays:
    """What rays meet on their way.

    Attributes:
        water_cm: length of water that soft tissue and the water of rods attenuate like.
        mineral_g_cm2: hydroxyapatite, or what attenuates like it.
        metal_g_cm2: titanium.
    """

    water_cm: Float[np.ndarray, "..."]
    mineral_g_cm2: Float[np.ndarray, "..."]
    metal_g_cm2: Float[np.ndarray, "..."]

    def without_metal(self) -> Rays:
        """The same rays through tissue alone."""
        return Rays(self.water_cm, self.mineral_g_cm2, np.zeros_like(self.metal_g_cm2))


def rays_through(
    soft: Float32[np.ndarray, "k n n"],
    mineral_g_cm3: Float32[np.ndarray, "k n n"],
    metal: Float32[np.ndarray, "k n n"],
    pixel_mm: float,
    angles: int,
) -> Rays:
    """Parallel rays through square slices.

    Args:
        soft: attenuation without mineral and metal, relative to water.
        mineral_g_cm3: hydroxyapatite or its equivalent.
        metal: volume fraction.
        pixel_mm: of the slices.
        angles: over half a turn.

    Returns:
        Arrays by (k, angle, bin).
    """
    channels = np.stack([soft, mineral_g_cm3, TITANIUM_G_CM3 * metal], axis=1)
    sums = np.stack([project(planes, angles) for planes in channels]) * np.float32(pixel_mm / 10)
    return Rays(sums[:, 0], sums[:, 1], sums[:, 2])


def water_reading_cm(rays: Rays, kvp: int) -> Float[np.ndarray, "..."]:
    """Length of water that attenuates like each ray, all energies together."""
    return _water_from_log(log_attenuation(rays, kvp), kvp)


def log_attenuation(rays: Rays, kvp: int) -> Float[np.ndarray, "..."]:
    """Minus the logarithm of the detected energy, over that without a patient."""
    weights, water, mineral, metal = _bins(kvp)
    signal = np.zeros(np.shape(rays.water_cm))
    for n in range(len(weights)):
        exponent = water[n] * rays.water_cm + mineral[n] * rays.mineral_g_cm2 + metal[n] * rays.metal_g_cm2
        signal += weights[n] * np.exp(-exponent)
    return -np.log(signal)


def linear_reading_cm(rays: Rays, kvp: int) -> Float[np.ndarray, "..."]:
    """Length of water by `CtResponse`, which is linear in all materials."""
    response = ct_response(kvp)
    return rays.water_cm + response.hydroxyapatite * rays.mineral_g_cm2 + response.titanium * rays.metal_g_cm2


def bone_share_left(cupping_hu: float) -> float:
    """Share of bone's error that a scanner with this cupping leaves, an assumption."""
    return min(cupping_hu / UNCORRECTED_HU, 1.0)


def hardening_error(rays: Rays, pixel_mm: float, kvp: int, cupping_hu: float) -> Float32[np.ndarray, "k n n"]:
    """Error of the reconstruction by bone and by imperfect correction of water, relative to water's attenuation.

    Args:
        rays: of every slice, by (k, angle, bin); metal in them is left out.
        pixel_mm: of the square slices.
        kvp: tube voltage.
        cupping_hu: by which the middle of a water cylinder of 40 cm reads too low, and the measure of how much of the
            error by bone the scanner leaves: all of it from `UNCORRECTED_HU` on.
    """
    left = bone_share_left(cupping_hu)
    # A quadratic error c w² in the projections of a disc of radius R makes its middle wrong by 8 c R / pi.
    quadratic_per_cm = cupping_hu / 1000 * np.pi / (8 * CUPPED_RADIUS_CM)
    tissue = rays.without_metal()
    reading_cm = water_reading_cm(tissue, kvp)
    wrong_cm = left * (reading_cm - linear_reading_cm(tissue, kvp)) - quadratic_per_cm * reading_cm**2
    return np.stack([reconstruct(plane / (pixel_mm / 10)) for plane in wrong_cm])


def metal_error(rays: Rays, pixel_mm: float, kvp: int, rng: np.random.Generator) -> Float32[np.ndarray, "k n n"]:
    """Error of the reconstruction by metal, relative to water's attenuation: streaks; nothing corrects them.

    Args:
        rays: of every slice, by (k, angle, bin).
        pixel_mm: of the square slices.
        kvp: tube voltage.
        rng: source of the photon noise behind metal.
    """
    tissue = rays.without_metal()
    signal = np.exp(-log_attenuation(rays, kvp))
    noise = np.sqrt(signal / PHOTONS_PER_RAY) * rng.standard_normal(signal.shape)
    signal = np.maximum(signal + noise, FEWEST_PHOTONS / PHOTONS_PER_RAY)
    reading_cm = _water_from_log(-np.log(signal), kvp) - water_reading_cm(tissue, kvp)
    expected_cm = linear_reading_cm(rays, kvp) - linear_reading_cm(tissue, kvp)
    wrong_cm = np.where(rays.metal_g_cm2 > 0.01, reading_cm - expected_cm, 0.0)
    return np.stack([reconstruct(plane / (pixel_mm / 10)) for plane in wrong_cm])


def noise_strength(rays: Rays, kvp: int) -> Float32[np.ndarray, "k n n"]:
    """Noise at one tube load, over that in the middle of 28 cm of water at 120 kVp.

    The variance of a voxel is the mean over the directions of the variance of the rays through it (Faulkner & Moores
    1984), so it is highest in the middle of the body and along its width.
    """
    water_cm = np.linspace(0.0, 120.0, 481)
    variance = np.interp(water_reading_cm(rays, kvp), water_cm, relative_noise(kvp, 10 * water_cm) ** 2)
    return np.stack([np.sqrt(smear(plane)) for plane in variance])


def coarse_grid(grid: VoxelGrid, body: VoxelGrid, pixel_mm: float, step_mm: float) -> VoxelGrid:
    """An axial grid of square slices around the middle of a scan's slices.

    Args:
        grid: of the scan.
        body: rays meet all of it, also what lies outside the reconstructed field.
        pixel_mm: of the coarse slices.
        step_mm: between them.
    """
    middle_x, middle_y, middle_z = grid.centre_mm
    reach_mm = np.array(grid.shape[1:]) * grid.spacing_mm[1:] / 2
    body_mm = np.abs(body.centre_mm - grid.centre_mm)[[1, 0]] + np.array(body.shape[1:]) * body.spacing_mm[1:] / 2
    side = int(np.ceil(2 * max(*reach_mm, *body_mm) / pixel_mm)) + 2
    slices = max(int(np.ceil(grid.shape[0] * grid.spacing_mm[0] / step_mm)), 2)
    half_mm = (side - 1) / 2 * pixel_mm
    origin_mm = (middle_x - half_mm, middle_y - half_mm, middle_z - (slices - 1) / 2 * step_mm)
    return VoxelGrid.axial((slices, side, side), (step_mm, pixel_mm, pixel_mm), origin_mm)


@cache
def _bins(kvp: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Share of the detected energy, and mass attenuation of water, mineral and metal, in bins of some keV."""
    weights, energies_kev = ct_spectrum(kvp).in_bins(BIN_KEV)
    water, mineral, metal = (
        mass_attenuation_cm2_g(name, energies_kev) for name in ("water", "hydroxyapatite", "titanium")
    )
    return weights, water, mineral, metal


@cache
def _water_table(kvp: int) -> tuple[np.ndarray, np.ndarray]:
    water_cm = np.linspace(-2.0, 200.0, 4041)
    none = np.zeros_like(water_cm)
    return log_attenuation(Rays(water_cm, none, none), kvp), water_cm


def _water_from_log(log: np.ndarray, kvp: int) -> np.ndarray:
    return np.interp(log, *_water_table(kvp))
