"""The script that trains: whom it leaves out, and what a run that died is worth to the next."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from osteoray.config.segmentation import SegmentationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.cleaning import cleaned
from osteoray.segmentation.sides import bones_of_classes
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.nifti import write_volume

CONFIG = SegmentationConfig(
    coarse_mm=6.0, fine_mm=3.0, coarse_filters=4, fine_filters=4, coarse_levels=2, fine_levels=2, window_px=32,
    coarse_steps=6, fine_steps=6, batch=2, report_steps=3,
)  # fmt: skip
train_script = import_module("scripts.train_segmentation")
validate_script = import_module("scripts.validate_segmentation")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cohort(tmp_path, pelvis_ct, pelvis_classes) -> Path:
    """A has labels of every bone, B of its femurs alone."""
    whole = cleaned(Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid))
    femurs = np.where(np.isin(whole, (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR)), whole, 0).astype(np.uint8)
    for patient, bones in {"A": whole, "B": femurs}.items():
        folder = tmp_path / patient
        folder.mkdir()
        write_volume(folder / "ct.nii.gz", pelvis_ct)
        write_volume(folder / "labels.nii.gz", Volume(bones, pelvis_ct.grid))
        manifest = Manifest("ingest", patient, folder / "manifest.json")
        manifest.add_file("ct", folder / "ct.nii.gz")
        manifest.write()
    return tmp_path


def trained(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    patients = [cohort / "A", cohort / "B"]
    words = ["train_segmentation", "--ingest", *(p / "manifest.json" for p in patients)]
    words += ["--labels", *(p / "labels.nii.gz" for p in patients)]
    words += ["--config", CONFIG.model_dump_json(), "--output", cohort / "model.json"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    train_script.main()
    return read_manifest(cohort / "model.json")


def progress(text: str) -> list[str]:
    return [line.split(", loss")[0] for line in text.splitlines() if ", loss" in line]


def test_labels_without_hip_bones_are_not_learned_from(cohort, monkeypatch):
    manifest = trained(cohort, monkeypatch)
    assert manifest.facts["patients"] == ["A"]
    assert [(f.code, f.detail.split(":")[0]) for f in manifest.findings] == [("SEG-LABELS", "B")]
    assert not manifest.is_withheld


def test_labels_without_hip_bones_are_not_validated_against(cohort):
    ingest, model = (
        read_manifest(cohort / "B/manifest.json"),
        Manifest("segmentation", "network", cohort / "model.json"),
    )
    with pytest.raises(Withheld, match="got left_femur, right_femur") as error:
        validate_script.rows_of_patient(ingest, cohort / "B/labels.nii.gz", model, 0, CONFIG)
    assert error.value.finding.code == "SEG-LABELS"


def test_a_training_that_died_before_it_wrote_the_networks_writes_them_without_another_step(
    cohort, monkeypatch, capsys
):
    dies_once(cohort, monkeypatch)
    capsys.readouterr()
    manifest = trained(cohort, monkeypatch)
    assert progress(capsys.readouterr().err) == ["train_segmentation: fine network, step 6"]
    resumed = torch.load(manifest.file("model"), weights_only=True)
    whole = torch.load(trained(cohort, monkeypatch).file("model"), weights_only=True)
    for name, weights in whole["weights"]["fine"].items():
        torch.testing.assert_close(resumed["weights"]["fine"][name], weights, rtol=0, atol=0)
    assert not (cohort / "model.resume.pt").exists()


def test_a_training_on_other_labels_starts_anew(cohort, monkeypatch, capsys):
    dies_once(cohort, monkeypatch)
    (cohort / "A/labels.nii.gz").write_bytes((cohort / "A/labels.nii.gz").read_bytes() + b"\0" * 8)
    capsys.readouterr()
    trained(cohort, monkeypatch)
    assert progress(capsys.readouterr().err)[0] == "train_segmentation: coarse network, step 3"


def dies_once(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that ends when all steps are done and nothing is written yet."""

    def full(segmenter: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(train_script, "to_checkpoint", full)
        with pytest.raises(OSError, match="no space left"):
            trained(cohort, patch)
    assert (cohort / "model.resume.pt").exists()
