import pytest
import yaml
from tests.paths import ROOT

from osteoray.config.loading import ConfigError, load_config

HOSPITAL = {"raw": "r", "patients": "p.tsv", "xrays": "x.tsv"}


def test_defaults_are_the_demo():
    config = load_config({})
    assert config.cohort.virtual is not None
    assert config.results == "results"


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_configuration_is_valid(path):
    assert load_config(yaml.safe_load(path.read_text())).results.startswith("results")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"ressults": "x"}, r"config: ressults: unknown key; did you mean 'results'\?"),
        ({"folds": {"relase": {}}}, r"config: folds.relase: unknown key; did you mean 'release'\?"),
        (
            {"cohort": {"virtual": {"patiens": 3}}},
            r"config: cohort.virtual.patiens: unknown key; did you mean 'patients'\?",
        ),
        ({"folds": {"qqqq": 1}}, r"config: folds.qqqq: unknown key; known here: count, seed, release"),
        ({"folds": {"count": 1}}, r"config: folds.count: .*greater than or equal to 2, got 1"),
        ({"experiments": {"tasks": ["mb"]}}, r"config: experiments.tasks.0: .*got 'mb'"),
        ({"cohort": {"raw": "r"}}, r"expected either raw, patients and xrays together, or virtual alone; given: raw"),
        ({"cohort": {**HOSPITAL, "virtual": {}}}, "given: raw, patients, xrays, virtual"),
        ({"results": "my results"}, "config: results: .*got 'my results'"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_place(content, told):
    with pytest.raises(ConfigError, match=told) as error:
        load_config(content)
    assert "\n" not in str(error.value)


def test_all_errors_come_at_once():
    with pytest.raises(ConfigError) as error:
        load_config({"ressults": "x", "folds": {"count": 1}})
    assert len(str(error.value).splitlines()) == 2


def test_the_grid_knows_the_tasks_and_backbones_that_exist():
    from typing import get_args

    from osteoray.config.root import BackboneName, Task
    from osteoray.learning.backbones import BACKBONES
    from osteoray.pretraining.tasks import TASKS

    assert set(get_args(BackboneName)) == set(BACKBONES)
    assert {part for task in get_args(Task) for part in task.split("_")} == {"none", *TASKS}


def with_defects(defects, patients=3):
    return {"cohort": {"virtual": {"patients": patients, "labelled": 0, "defects": defects}}}


@pytest.mark.parametrize("name", ["V004", "V000", "V01", "V0001", "P001", "3"])
def test_a_defect_of_an_unknown_patient_is_refused(name):
    told = f"config: cohort.virtual.defects: expected patients from V001 to V003, not {name}; correct them or raise"
    with pytest.raises(ConfigError, match=f"{told} patients, got .*{name}") as error:
        load_config(with_defects({"V003": ["motion"], name: ["motion"]}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("patients", [3, 1001])
def test_the_last_patient_may_have_a_defect_and_a_shortened_cohort_keeps_it(patients):
    last = f"V{patients:03d}"
    virtual = load_config(with_defects({last: ["motion"]}, patients)).cohort.virtual
    # A patient's own job is given the cohort up to his position, and his own defects alone.
    shortened = virtual.model_copy(update={"patients": patients}).model_dump_json()
    assert type(virtual).model_validate_json(shortened).defects == {last: ("motion",)}


@pytest.mark.parametrize(
    ("defects", "told"),
    [
        (["phantom_cut", "phantom_turned"], "at most one of phantom_absent, phantom_cut, phantom_clipped, phantom_tur"),
        (["phantom_absent", "rods_swapped"], "at most one of phantom_absent, rods_swapped; remove the others"),
        (["implant_ct", "implant_xray"], "at most one of implant_ct, implant_xray, fracture_ct; remove the others"),
        (["slice_missing", "slice_duplicate"], "at most one of slice_missing, slice_duplicate; remove the others"),
        (["ct_empty", "ct_corrupt"], "at most one of ct_empty, ct_localizer_only, ct_corrupt; remove the others"),
        (["ct_empty", "slice_missing"], "expected ct_empty without slice_missing, which it hides; remove either"),
        (["motion", "ct_localizer_only"], "expected ct_localizer_only without motion, which it hides"),
        (["ct_corrupt", "phantom_cut", "padding"], "expected ct_corrupt without padding, phantom_cut, which it hides"),
        (["xray_unreadable", "xray_flexed"], "expected xray_unreadable without xray_flexed, which it hides"),
    ],
)
def test_defects_that_cannot_be_or_show_together_are_refused(defects, told):
    with pytest.raises(ConfigError, match=rf"config: cohort.virtual.defects.V002: .*{told}.*, got \['") as error:
        load_config(with_defects({"V001": ["motion"], "V002": defects}))
    assert "\n" not in str(error.value)
    assert all(defect in str(error.value) for defect in defects)


@pytest.mark.parametrize(
    "defects",
    [
        ["implant_ct", "contrast", "motion"],
        ["phantom_turned", "rods_swapped", "gantry_tilt", "thick_slices"],
        ["slice_missing", "slice_uneven", "not_hu", "feet_first"],
        ["ct_empty", "very_large", "implant_xray", "xray_flexed"],
        ["xray_unreadable", "phantom_absent", "implant_ct"],
        ["xray_flipped", "xray_wrong_laterality", "xray_no_geometry", "xray_abducted", "xray_cropped"],
    ],
)
def test_defects_that_can_coexist_are_taken(defects):
    assert load_config(with_defects({"V001": defects})).cohort.virtual.defects["V001"] == tuple(defects)


def test_every_defect_is_possible_alone():
    from typing import get_args

    from osteoray.config.simulation import Defect

    for defect in get_args(Defect):
        assert load_config(with_defects({"V001": [defect]})).cohort.virtual.defects == {"V001": (defect,)}


def test_a_wrong_number_of_patients_is_the_only_error_told():
    with pytest.raises(ConfigError, match=r"cohort\.virtual\.patients") as error:
        load_config(with_defects({"V001": ["motion"]}, 0))
    assert "\n" not in str(error.value)
