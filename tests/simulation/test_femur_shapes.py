"""Drawn femurs have published proportions, exactly the wanted angle and offset, and trabeculae along their groups."""

from dataclasses import replace

import numpy as np
import pytest

from osteoray.imaging.bones import Side
from osteoray.simulation.anatomy import draw_anatomy
from osteoray.simulation.femur import build_femur
from osteoray.simulation.texture import Wobble, noise_at
from osteoray.simulation.trabeculae import trabecular_mg_cm3


def drawn(count: int):
    """Parameters and truth of left and right femurs of people like the cohort's."""
    for n in range(count):
        rng = np.random.default_rng(1000 + n)
        sex = "M" if n % 4 == 0 else "F"
        height = rng.normal(168 if sex == "M" else 156, 6)
        person = draw_anatomy(sex, 64.0, height, 23.5 * (height / 100) ** 2, rng)
        wobble = Wobble(rng, 45.0, 1.2)
        for side in Side:
            yield sex, person.femurs[side], build_femur(person.femurs[side], person.size, side, np.zeros(3), wobble)[1]


@pytest.fixture(scope="module")
def femurs():
    return list(drawn(120))


def test_built_femurs_have_the_wanted_angle_and_offset(femurs):
    for _, wanted, truth in femurs:
        assert truth.neck_shaft_angle_deg == pytest.approx(wanted.neck_shaft_angle_deg, abs=0.01)
        assert truth.femoral_offset_mm == pytest.approx(wanted.femoral_offset_mm, abs=0.01)


def test_angle_offset_and_version_are_distributed_as_in_healthy_people(femurs):
    # Carmona 2019: 124.7 ± 6.2 degrees, 42.9 ± 6.8 mm, 14.5 ± 8.1 degrees; here three quarters are women.
    for name, mean, sd, mean_tolerance in (
        ("neck_shaft_angle_deg", 125.4, 6.2, 1.5),
        ("femoral_offset_mm", 42.0, 6.8, 1.5),
        ("anteversion_deg", 15.7, 8.1, 2.0),
    ):
        values = np.array([getattr(truth, name) for _, _, truth in femurs])
        assert values.mean() == pytest.approx(mean, abs=mean_tolerance)
        assert values.std(ddof=1) == pytest.approx(sd, rel=0.2)


def test_the_neck_is_as_long_as_offset_and_angle_say(femurs):
    lengths = np.array([truth.neck_length_mm for _, _, truth in femurs])
    expected = [t.femoral_offset_mm / np.sin(np.radians(t.neck_shaft_angle_deg)) for _, _, t in femurs]
    # The neck axis passes the shaft axis at a small distance, so the two differ a little.
    assert np.abs(lengths - expected).max() < 2.5
    assert lengths.mean() == pytest.approx(51.0, abs=2.0)
    assert 5.5 < lengths.std(ddof=1) < 9.0


def test_heads_have_the_published_diameter_of_each_sex(femurs):
    # Cho 2015: 43.25 mm in women, 48.50 mm in men.
    for sex, mean in (("F", 43.25), ("M", 48.50)):
        diameters = np.array([2 * truth.head_radius_mm for s, _, truth in femurs if s == sex])
        assert diameters.mean() == pytest.approx(mean, abs=0.8)
        assert 1.6 < diameters.std(ddof=1) < 3.2


def test_left_and_right_differ_less_than_people_do(femurs):
    left, right = (np.array([t.femoral_offset_mm for _, _, t in femurs[first::2]]) for first in (0, 1))
    assert 0.5 < np.abs(left - right).mean() < left.std()


@pytest.fixture(scope="module")
def truth():
    return femurs_of_one()


def femurs_of_one():
    rng = np.random.default_rng(4)
    person = draw_anatomy("F", 60.0, 158.0, 56.0, rng)
    femur = replace(person.femurs[Side.LEFT], head_radius_mm=23.5, neck_shaft_angle_deg=127.0, femoral_offset_mm=42.0)
    return build_femur(femur, 1.0, Side.LEFT, np.zeros(3), Wobble(rng, 45.0, 0.0))[1]


def frame(truth):
    up = truth.shaft_axis
    medial = truth.neck_axis - (truth.neck_axis @ up) * up
    return medial / np.linalg.norm(medial), up


def test_wards_triangle_is_poorer_than_the_groups_around_it(truth):
    medial, up = frame(truth)
    neck = truth.neck_centre_mm
    ward = neck - 13.0 * medial - 8.0 * up
    compressive = neck + 9.0 * medial - 8.0 * up
    tensile = neck - 3.0 * medial + 9.0 * up
    density = trabecular_mg_cm3(np.stack([ward, compressive, tensile]), truth, 10.0, 0)
    assert density[0] < 0.5 * density[1]
    assert density[0] < 0.6 * density[2]


def test_the_compressive_group_is_the_densest_part_of_the_head(truth):
    medial, up = frame(truth)
    points = np.stack([12.0 * up + 3.0 * medial, -17.0 * medial, 12.0 * medial - 14.0 * up])
    density = trabecular_mg_cm3(points, truth, 10.0, 0)
    assert density[0] > 1.5 * density[1:].max() or density[0] > density[1:].max() + 80.0


def test_streaks_run_along_the_compressive_group_and_vanish_in_coarse_voxels(truth):
    medial, up = frame(truth)
    steps = np.arange(0.0, 12.0, 0.25)
    out = np.cross(medial, up)
    along = np.stack([s * up + k * 5.0 * out for k in range(-3, 4) for s in steps])
    across = np.stack([(s - 6.0) * medial + k * 5.0 * out for k in range(-3, 4) for s in steps])

    def roughness(points, voxel_mm):
        streaks = trabecular_mg_cm3(points, truth, voxel_mm, 3) - trabecular_mg_cm3(points, truth, 1e6, 3)
        return np.abs(np.diff(streaks.reshape(7, -1), axis=1)).mean()

    assert roughness(across, 0.5) > 2.5 * roughness(along, 0.5)
    assert roughness(across, 4.0) < 0.05 * roughness(across, 0.5)


def test_hashed_noise_has_unit_variance_and_forgets_within_two_cells():
    points = np.random.default_rng(0).uniform(-40, 40, (40000, 3))
    noise = noise_at(points, 7)
    assert abs(noise.mean()) < 0.03
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(noise, noise_at(points + np.array([0.15, 0.0, 0.0]), 7))[0, 1] > 0.8
    assert abs(np.corrcoef(noise, noise_at(points + np.array([2.0, 0.0, 0.0]), 7))[0, 1]) < 0.05
    assert abs(np.corrcoef(noise, noise_at(points, 8))[0, 1]) < 0.05
