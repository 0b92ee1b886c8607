"""Virtual patients depend on seed and row only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from osteoray.config.simulation import SimulationConfig
from osteoray.simulation.enrolment import POSES, enrol, enrolled


def test_appending_patients_changes_nobody():
    few, many = enrol(SimulationConfig(patients=5)), enrol(SimulationConfig(patients=50))
    assert many[:5] == few


def test_another_seed_gives_other_patients():
    first, second = (enrol(SimulationConfig(patients=5, seed=seed)) for seed in (1, 2))
    assert first != second


def test_a_patient_is_found_whatever_the_cohort_size():
    assert enrolled(SimulationConfig(patients=1), "V031") == enrol(SimulationConfig(patients=40))[30]


def test_an_unknown_identifier_is_refused():
    for name in ("V000", "P001", "V1", "V0001"):
        with pytest.raises(ValueError, match="name: expected V001"):
            enrolled(SimulationConfig(), name)


def test_the_cohort_is_plausible_and_uses_every_pose():
    patients = enrol(SimulationConfig(patients=200, labelled=3))
    assert 0.6 < sum(p.sex == "F" for p in patients) / 200 < 0.9
    assert all(25 <= p.age_years <= 92 and 135 < p.height_cm < 190 and 33 < p.weight_kg < 125 for p in patients)
    assert [p.labelled for p in patients[:5]] == [True, True, True, False, False]
    assert {xray.pose for p in patients[:5] for xray in p.xrays} == set(POSES)
    assert all(len({xray.pose for xray in p.xrays}) == len(p.xrays) for p in patients)


def test_label_maps_need_their_folder():
    with pytest.raises(ValueError, match="labelmaps: expected a folder"):
        SimulationConfig(anatomy="labelmaps")


def test_a_very_large_patient_is_the_same_person_but_for_the_weight():
    usual = enrolled(SimulationConfig(), "V004")
    large = enrolled(SimulationConfig(defects={"V004": ("very_large",)}), "V004")
    assert large.weight_kg / (large.height_cm / 100) ** 2 == pytest.approx(48.0, abs=0.4)
    assert replace(large, weight_kg=usual.weight_kg) == usual
