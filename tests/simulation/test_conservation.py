"""Nothing is lost on the way from the body to its projections, and readings of pure tissue follow from the physics."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.config.simulation import SimulationConfig
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.camera import Camera, ap_camera_from_world
from osteoray.imaging.bones import FEMUR, PELVIS, PROXIMAL_FEMUR, Side
from osteoray.imaging.units import AREAL_G_CM2_FROM_MG_CM3_MM
from osteoray.radiography.attenuation import mass_attenuation_cm2_g
from osteoray.radiography.spectra import tube_spectrum
from osteoray.simulation.body import ADIPOSE_G_CM3, HYDROXYAPATITE_G_CM3, LEAN_G_CM3
from osteoray.simulation.ct_response import ct_response
from osteoray.simulation.density import BONE_TISSUE_HA_MG_CM3
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.parts import FEMUR_CHANNELS, TRUNK_CHANNELS, take_apart
from osteoray.simulation.raycast import cast
from osteoray.simulation.truth import density_facts, neutral_camera
from osteoray.simulation.virtual_body import drawn_body

FAR_MM = 1e6
"""Source distance of the parallel limit."""


@pytest.fixture(scope="module")
def body():
    config = SimulationConfig(anatomy_spacing_mm=3.0)
    return drawn_body(config, enrolled(config, "V001"))


@pytest.fixture(scope="module")
def parts(body):
    return take_apart(body)


def far_camera(grid, pitch_mm=1.0):
    """An AP view of a whole grid in rays that are parallel for every purpose."""
    corners = apply_affine(grid.world_from_index, np.array([[0, 0, 0], np.array(grid.shape) - 1], float))
    size_mm = np.abs(corners[1] - corners[0]) + 20
    shape = (int(size_mm[2] / pitch_mm), int(size_mm[0] / pitch_mm))
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    pose = ap_camera_from_world(grid.centre_mm, FAR_MM)
    return Camera.from_geometry(FAR_MM, (pitch_mm, pitch_mm), middle, shape, pose)


def projected_g(part, channel, factor):
    camera = far_camera(part.grid)
    image = cast(part.channels[..., channel : channel + 1], part.grid, camera)
    return float(image.sum(dtype=float)) * factor * (camera.pitch_mm[0] / 10) ** 2


def mass_g(mg_cm3, grid):
    return float(mg_cm3.sum(dtype=float)) * grid.voxel_mm3 * 1e-6


def test_every_voxel_inside_the_body_is_full(body):
    filled = (
        body.adipose_g_cm3 / ADIPOSE_G_CM3
        + body.lean_g_cm3 / LEAN_G_CM3
        + body.ha_mg_cm3 / (1e3 * HYDROXYAPATITE_G_CM3)
    )
    assert filled.max() <= 1 + 1e-4 and filled.min() >= 0
    bony = body.bones > 0
    assert filled[bony] == pytest.approx(np.ones(bony.sum()), abs=1e-4)


def test_the_projected_mineral_of_the_body_is_its_mass(body, parts):
    true_g = mass_g(body.ha_mg_cm3, body.grid)
    found_g = sum(projected_g(part, 2, 0.1) for part in (parts.trunk, *parts.femur.values()))
    assert found_g == pytest.approx(true_g, rel=1e-3)
    assert 200 < true_g < 1500


def test_the_projected_maps_hold_the_mineral_of_their_labels(body, parts):
    masks = [(parts.trunk_rays, TRUNK_CHANNELS, "label", np.isin(body.bones, PELVIS))]
    for side in Side:
        masks.append((parts.femur_rays[side], FEMUR_CHANNELS, "label", body.bones == FEMUR[side]))
        masks.append((parts.femur_rays[side], FEMUR_CHANNELS, "proximal", body.proximal_femur == PROXIMAL_FEMUR[side]))
    for part, channels, name, mask in masks:
        found_g = projected_g(part, channels.index(name), AREAL_G_CM2_FROM_MG_CM3_MM)
        assert found_g == pytest.approx(mass_g(body.ha_mg_cm3[mask], body.grid), rel=1e-3)


def test_the_neutral_view_holds_the_mineral_of_the_proximal_femur(body, parts):
    for side, femur in body.femurs.items():
        proximal = parts.proximal_density[side]
        camera = neutral_camera(femur)
        image = cast(proximal.channels[..., :1], proximal.grid, camera) * AREAL_G_CM2_FROM_MG_CM3_MM
        mineral_g = mass_g(proximal.channels[..., 0], proximal.grid)
        # At 10 m, what lies 10 mm before the femur's plane is cast 0.2 % larger.
        assert float(image.sum(dtype=float)) * (camera.pitch_mm[0] / 10) ** 2 == pytest.approx(mineral_g, rel=3e-3)


def test_the_parts_add_up_to_the_body(body, parts):
    whole = np.zeros((*body.grid.shape, 3))
    whole[..., :2] = parts.soft.channels
    for part in (parts.trunk, *parts.femur.values()):
        start = np.rint(apply_affine(body.grid.index_from_world, part.grid.world_from_index[:3, 3])).astype(int)
        whole[tuple(slice(a, a + n) for a, n in zip(start, part.grid.shape, strict=True))] += part.channels
    assert np.abs(whole[..., 0] - body.adipose_g_cm3).max() < 1e-4
    assert np.abs(whole[..., 1] - body.lean_g_cm3).max() < 1e-4
    # Mineral below 2 mg/cm³ does not move with a bone.
    assert np.abs(whole[..., 2] - 1e-3 * body.ha_mg_cm3).max() < 2.1e-3


def relative(material):
    """Mass attenuation over that of water, weighted as the CT does it."""
    spectrum = tube_spectrum(120).behind("water", 20.0)
    weights = spectrum.photons_per_cm2_mas * spectrum.energies_kev
    value, water = (weights @ mass_attenuation_cm2_g(m, spectrum.energies_kev) for m in (material, "water"))
    return value / water


def ideal_line(yellow_marrow):
    """c0 in mg/cm³ and c1 of the ideal reading of bone, c0 + c1 HA, from its composition.

    Bone tissue of HA / 1150 of the volume holds mineral, the rest of it is lean; marrow fills the rest of the voxel.
    """
    adipose = ADIPOSE_G_CM3 * relative("adipose")
    lean = LEAN_G_CM3 * relative("lean")
    rod = relative("hydroxyapatite") - 1 / HYDROXYAPATITE_G_CM3
    marrow = yellow_marrow * adipose + (1 - yellow_marrow) * lean
    tissue = 1 / BONE_TISSUE_HA_MG_CM3
    per_mg = lean * (tissue - 1e-3 / HYDROXYAPATITE_G_CM3) - marrow * tissue + 1e-3 * relative("hydroxyapatite")
    return 1e3 * (marrow - 1) / rod, 1e3 * per_mg / rod


@pytest.mark.parametrize(
    ("yellow_marrow", "c0", "c1"),
    [(0.0, 30.6, 0.990), (0.5, -22.8, 1.037), (0.92, -67.6, 1.076), (1.0, -76.2, 1.083)],
)
def test_an_ideal_qct_reads_bone_on_a_straight_line(yellow_marrow, c0, c1):
    line_c0, line_c1 = ideal_line(yellow_marrow)
    # The numbers of docs/simulation.md.
    assert line_c0 == pytest.approx(c0, abs=0.1)
    assert line_c1 == pytest.approx(c1, abs=0.001)
    response = ct_response()
    for ha_mg_cm3 in (0.0, 150.0, 980.0, BONE_TISSUE_HA_MG_CM3):
        tissue = ha_mg_cm3 / BONE_TISSUE_HA_MG_CM3
        adipose = ADIPOSE_G_CM3 * (1 - tissue) * yellow_marrow
        lean_volume = tissue - ha_mg_cm3 / (1e3 * HYDROXYAPATITE_G_CM3) + (1 - tissue) * (1 - yellow_marrow)
        values = response.relative_attenuation(
            np.array(adipose), np.array(LEAN_G_CM3 * lean_volume), np.array(ha_mg_cm3)
        )
        assert float(response.qct_mg_cm3(values)) == pytest.approx(line_c0 + line_c1 * ha_mg_cm3, abs=2.0)


def test_the_body_s_own_femur_reads_on_the_line_of_its_marrow(body, parts):
    for side in Side:
        true, reading, inside = np.moveaxis(parts.proximal_density[side].channels, -1, 0)
        bone = inside > 0
        slope, intercept = np.polyfit(true[bone], reading[bone], 1)
        c0, c1 = ideal_line(0.92)
        assert slope == pytest.approx(c1, abs=0.02)
        assert intercept == pytest.approx(c0, abs=8)


def test_what_the_ideal_qct_lacks_is_the_path_through_the_marrow(body, parts):
    """The mean of c0 + (c1 - 1) HA over the femur is what both readings of its mass differ by."""
    for side in Side:
        part = parts.proximal_density[side]
        true, reading, inside = (float(part.channels[..., c].sum(dtype=float)) for c in range(3))
        c0, c1 = ideal_line(0.92)
        # Voxels at the surface, which the bone fills in part, hold muscle instead of marrow.
        assert reading - true == pytest.approx(c0 * inside + (c1 - 1) * true, rel=0.15)


def test_density_facts_are_those_of_the_parts(body, parts):
    class Nothing:
        proximal_femur = np.zeros((1, 1, 1), np.uint8)

    for side, facts in density_facts(body, parts, Nothing).items():
        assert facts["mineral_g"] == pytest.approx(mass_g(parts.proximal_density[side].channels[..., 0], body.grid))
        assert "abmd_g_cm2_ct" not in facts
