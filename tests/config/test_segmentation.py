"""What of the segmentation section a training depends on."""

from __future__ import annotations

import ast

import pytest
from tests.paths import ROOT

from osteoray.config.loading import ConfigError, load_config
from osteoray.config.segmentation import TRAINING_KEYS, SegmentationConfig

OTHER = {
    "backend": "provided",
    "totalsegmentator": {"fast": True},
    "samples": 9,
    "validation_folds": 3,
    "distal_cut_mm": 25.0,
    "head_cut_radii": 0.9,
    "total_hip_cut_mm": 12.0,
    "max_doubt": 0.5,
    "metal_hu": 3000.0,
    "metal_mm3": 99.0,
    "fracture_share": 0.4,
}
"""Another value of every key that trains nothing."""


def test_training_keys_are_those_that_the_script_reads():
    tree = ast.parse((ROOT / "scripts" / "train_segmentation.py").read_text())
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "config"
    }
    assert read & set(SegmentationConfig.model_fields) == TRAINING_KEYS


def test_another_key_leaves_the_parameter_of_the_training_as_it_is():
    assert set(OTHER) | TRAINING_KEYS == set(SegmentationConfig.model_fields)
    usual = training_parameter({})
    for key, value in OTHER.items():
        assert training_parameter({key: value}) == usual, key
    assert training_parameter({"dropout": 0.1}) != usual


def training_parameter(section: dict) -> str:
    """What `training_section` of the workflow tells its rules."""
    names = {"CONFIG": load_config({"segmentation": section}), "TRAINING_KEYS": TRAINING_KEYS}
    exec(compile((ROOT / "workflow/rules/inputs.smk").read_text(), "inputs.smk", "exec"), names)
    return names["training_section"](None)


def test_the_parameter_of_the_training_is_a_section_that_the_script_reads():
    given = {"fine_steps": 7, "max_doubt": 0.5}
    config = SegmentationConfig.model_validate_json(training_parameter(given))
    assert config == SegmentationConfig(fine_steps=7)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"validation_folds": 1}, r"validation_folds: expected 0 \(none\) or 2 and more; .*, got 1"),
        ({"samples": 1}, r"config: segmentation.samples: .*greater than or equal to 2, got 1"),
    ],
)
def test_one_fold_and_one_sample_are_refused(section, told):
    with pytest.raises(ConfigError, match=told):
        load_config({"segmentation": section})


@pytest.mark.parametrize("folds", [0, 2, 20])
def test_no_fold_and_several_are_accepted(folds):
    assert load_config({"segmentation": {"validation_folds": folds}}).segmentation.validation_folds == folds
