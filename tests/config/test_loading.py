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
