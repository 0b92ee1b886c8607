"""What the simulation computes, computed again by other people's programs and tables."""

from __future__ import annotations

import numpy as np
import pytest
import xraylib
from scipy import ndimage

from osteoray.config.simulation import SimulationConfig
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.radiography.spectra import tube_spectrum
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.parts import take_apart
from osteoray.simulation.raycast import cast
from osteoray.simulation.virtual_body import drawn_body

ENERGIES_KEV = (20, 30, 40, 50, 60, 70, 80, 90, 100, 120)
MASS_ATTENUATION_CM2_G = {
    "water": (0.8098, 0.3756, 0.2683, 0.2269, 0.2059, 0.1929, 0.1837, 0.1766, 0.1707, 0.1614),
    "adipose": (0.5528, 0.3028, 0.2386, 0.2122, 0.1977, 0.1880, 0.1806, 0.1746, 0.1695, 0.1609),
    "lean": (0.8206, 0.3783, 0.2685, 0.2263, 0.2048, 0.1916, 0.1823, 0.1751, 0.1693, 0.1599),
    "hydroxyapatite": (6.5593, 2.0992, 0.9876, 0.5867, 0.4067, 0.3131, 0.2589, 0.2248, 0.2019, 0.1734),
}
"""With coherent scatter: fat of ICRP, muscle of ICRU Report 44 (the simulation takes that of ICRP), Ca10(PO4)6(OH)2."""
AIR_KEV = (10, 15, 20, 30, 40, 50, 60, 80, 100, 150)
AIR_ABSORPTION_CM2_G = (4.742, 1.334, 0.5389, 0.1537, 0.06833, 0.04098, 0.03041, 0.02407, 0.02325, 0.02496)
"""Mass energy absorption of dry air (NIST; Hubbell and Seltzer 1995)."""


def view(centre_mm, shape=(120, 110), pitch_mm=1.7):
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    pose = ap_camera_from_world(np.asarray(centre_mm, float), 850.0)
    return Camera.from_geometry(1000.0, (pitch_mm, pitch_mm), middle, shape, pose)


def rtk_joseph(itk, density, grid, camera, isocentre_mm):
    """RTK's Joseph projector: its source at angle 0 lies on +z, so its world is ours as (x, -z, -y)."""
    volume = itk.image_from_array(np.ascontiguousarray(density[::-1, ::-1].transpose(1, 0, 2)))
    last_mm = (grid.world_from_index @ np.append(np.array(grid.shape) - 1.0, 1.0))[:3] - isocentre_mm
    first_mm = grid.world_from_index[:3, 3] - isocentre_mm
    step_k, step_j, step_i = grid.spacing_mm
    volume.SetSpacing([step_i, step_k, step_j])
    volume.SetOrigin([first_mm[0], -last_mm[2], -last_mm[1]])
    geometry = itk.RTK.ThreeDCircularProjectionGeometry.New()
    geometry.AddProjection(850.0, 1000.0, 0.0)
    rows, columns = camera.shape
    stack = itk.image_from_array(np.zeros((1, rows, columns), np.float32))
    stack.SetSpacing([camera.pitch_mm[1], camera.pitch_mm[0], 1.0])
    stack.SetOrigin([-camera.K[0, 2] * camera.pitch_mm[1], -camera.K[1, 2] * camera.pitch_mm[0], 0.0])
    projector = itk.RTK.JosephForwardProjectionImageFilter[type(volume), type(volume)].New()
    projector.SetInput(0, stack)
    projector.SetInput(1, volume)
    projector.SetGeometry(geometry)
    projector.Update()
    return itk.array_from_image(projector.GetOutput())[0]


def relative_rms(ours, theirs):
    return np.sqrt(np.mean((ours - theirs) ** 2) / np.mean(theirs**2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_rays_through_a_smooth_phantom_are_those_of_the_reconstruction_toolkit():
    itk = pytest.importorskip("itk", reason="itk-rtk is not installed")
    grid = VoxelGrid.axial((60, 52, 70), (2.0, 1.6, 1.4), (-48.0, -40.8, -59.0))
    density = np.random.default_rng(0).uniform(0, 800, grid.shape)
    density *= np.linalg.norm(grid.coordinates_mm() - grid.centre_mm, axis=-1) < 30
    density = ndimage.gaussian_filter(density, 1.5, truncate=3.0).astype(np.float32)
    camera = view(np.zeros(3))
    ours = cast(density[..., None], grid, camera)[..., 0]
    assert relative_rms(ours, rtk_joseph(itk, density, grid, camera, np.zeros(3))) < 1e-3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_rays_through_a_virtual_femur_are_those_of_the_reconstruction_toolkit():
    itk = pytest.importorskip("itk", reason="itk-rtk is not installed")
    config = SimulationConfig(anatomy_spacing_mm=2.5)
    body = drawn_body(config, enrolled(config, "V002"))
    femur = take_apart(body).femur[Side.LEFT]
    mineral = np.ascontiguousarray(femur.channels[..., 2])
    isocentre_mm = body.femurs[Side.LEFT].neck_centre_mm
    camera = view(isocentre_mm, (180, 140), 1.3)
    ours = cast(mineral[..., None], femur.grid, camera)[..., 0]
    theirs = rtk_joseph(itk, mineral, femur.grid, camera, isocentre_mm)
    assert relative_rms(ours, theirs) < 1e-3
    assert ours.mean() == pytest.approx(theirs.mean(), rel=1e-4)


@pytest.mark.parametrize("material", MASS_ATTENUATION_CM2_G)
def test_mass_attenuation_is_that_of_the_published_tables(material):
    found = mass_attenuation_cm2_g(material, np.array(ENERGIES_KEV, float))
    assert found == pytest.approx(np.array(MASS_ATTENUATION_CM2_G[material]), rel=6e-3)


def half_value_mm_al(energies_kev, photons):
    """Aluminium that halves the air kerma, by bisection."""
    air = np.exp(np.interp(np.log(energies_kev), np.log(AIR_KEV), np.log(AIR_ABSORPTION_CM2_G)))
    aluminium_per_mm = np.array([xraylib.CS_Total(13, float(e)) for e in energies_kev]) * 0.2699

    def kerma(mm_al):
        return float((photons * energies_kev * air * np.exp(-aluminium_per_mm * mm_al)).sum())

    low, high = 0.0, 30.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if kerma(middle) > kerma(0.0) / 2 else (low, middle)
    return low


@pytest.mark.parametrize(("kvp", "published_mm"), [(70, 2.40), (75, 2.57), (80, 2.74), (85, 2.92), (90, 3.10)])
def test_half_value_layers_are_the_published_ones_at_the_same_filter(kvp, published_mm):
    """Reference: tungsten, 12°, 2.5 mm Al; the half millimetre more that the tables have is taken off again."""
    spectrum = tube_spectrum(kvp)
    half_millimetre = np.exp(mass_attenuation_cm2_g("aluminium", spectrum.energies_kev) * 0.05 * 2.699)
    bare = spectrum.photons_per_cm2_mas * half_millimetre
    assert half_value_mm_al(spectrum.energies_kev, bare) == pytest.approx(published_mm, rel=0.015)


@pytest.mark.parametrize(("kvp", "filter_mm_al"), [(80, 3.0), (120, 7.0)])
def test_half_value_layers_are_those_that_the_tube_program_gives_itself(kvp, filter_mm_al):
    spekpy = pytest.importorskip("spekpy", reason="spekpy is not installed")
    tube = spekpy.Spek(kvp=kvp, th=12.0, dk=1.0, z=100.0).filter("Al", filter_mm_al)
    spectrum = tube_spectrum(kvp)
    found_mm = half_value_mm_al(spectrum.energies_kev, spectrum.photons_per_cm2_mas)
    assert found_mm == pytest.approx(tube.get_hvl1(), rel=0.01)


def test_water_hardens_the_beam_as_published():
    """85 kVp, 3 mm Al: mean energy behind 0 to 25 cm of water, keV."""
    spectrum = tube_spectrum(85)
    found_kev = [spectrum.behind("water", depth_cm).mean_kev for depth_cm in (0.0, 10.0, 15.0, 20.0, 25.0)]
    assert found_kev == pytest.approx([45.6, 53.5, 55.8, 57.7, 59.2], abs=0.3)
