"""One key switches what segments the bones, and nothing is trained or run that the choice does not need."""

from __future__ import annotations

import copy
import json
import os

import pytest
from tests.segmentation.stand_in import VERSION, install
from tests.workflow.miniature import CONFIG, Repository

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

SEGMENTED = [f"results/segmentation/V00{number}/segmentation.json" for number in (1, 2, 3)]


def configured(repository, backend):
    content = copy.deepcopy(CONFIG)
    content["cohort"]["virtual"] |= {"patients": 3, "labelled": 1}
    content["segmentation"] = {"backend": backend}
    return repository.configure(f"{backend}.yaml", content)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository.copied_to(tmp_path_factory.mktemp("backends") / "osteoray")


@pytest.fixture(scope="module")
def finished(repository):
    """V001 has labels, V002 has none, and on V003 the command fails."""
    truth = repository.folder / "results/virtual/truth/{patient}/bones.nii.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{install(repository.folder / 'bin')}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("TOTALSEG_WEIGHTS_PATH", str(repository.folder / "weights"))
        patch.setenv("STAND_IN_LABELS", str(truth))
        patch.setenv("STAND_IN_FAILS", "V003")
        repository.snakemake(*SEGMENTED, configfile=configured(repository, "totalsegmentator"))
    return [json.loads((repository.folder / path).read_text()) for path in SEGMENTED]


@pytest.mark.parametrize(
    ("backend", "jobs"),
    [
        ("network", {"train_segmentation": 1}),
        ("provided", {}),
        ("totalsegmentator", {"fetch_totalsegmentator": 1, "run_totalsegmentator": 2}),
    ],
)
def test_only_what_the_backend_needs_is_planned(repository, backend, jobs):
    planned = repository.planned(configured(repository, backend))
    special = {"train_segmentation", "train_segmentation_fold", "validate_segmentation"}
    special |= {"fetch_totalsegmentator", "run_totalsegmentator"}
    assert {rule: count for rule, count in planned.items() if rule in special} == jobs
    assert planned["segment_bones"] == 3


def test_labels_go_before_the_backend_and_a_failure_costs_one_patient(finished):
    assert [manifest["facts"].get("method") for manifest in finished] == ["provided"] + 2 * ["totalsegmentator"]
    assert finished[1]["verdict"] != "withheld"
    assert finished[1]["facts"]["totalsegmentator"] == {"version": VERSION, "fast": False}
    assert finished[2]["verdict"] == "withheld"
    assert [finding["code"] for finding in finished[2]["findings"]] == ["SEG-TOOL"]


def test_what_follows_is_the_same_for_labels_and_masks(finished):
    same = {"volumes_cm3", "metal", "dropped_cm3"}
    assert same <= set(finished[0]["facts"])
    assert set(finished[0]["facts"]) | {"totalsegmentator", "completed_head_cm3"} == set(finished[1]["facts"])
    assert set(finished[0]["files"]) == set(finished[1]["files"])
    folder = finished[1]["facts"]["volumes_cm3"]
    assert all(value > 40 for value in folder.values())


def test_the_masks_lie_beside_the_manifest_with_their_digests(repository, finished):
    content = json.loads((repository.folder / "results/segmentation/V002/totalsegmentator.json").read_text())
    assert content["files"]["femur_left"]["path"] == "totalsegmentator/femur_left.nii.gz"
    assert len(content["files"]["femur_left"]["sha256"]) == 64
    assert list((repository.folder / "results").rglob("*.partial*")) == []


def test_turning_to_another_backend_segments_again_and_simulates_nothing(repository, finished):
    planned = repository.planned(configured(repository, "provided"))
    assert planned["segment_bones"] == 3
    assert not {"simulate_patient", "ingest_patient"} & set(planned)
