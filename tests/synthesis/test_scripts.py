"""From release arrays to predicted maps: held-out rows are never read, and a cascade hands its encoder on."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from osteoray.store.arrays import read_arrays, write_arrays
from osteoray.store.manifest import Manifest
from osteoray.store.release import INDEX_COLUMNS, select_rows
from osteoray.store.tables import read_table, write_table
from osteoray.store.training_run import TrainingRun, read_weights

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PRETRAINING = json.dumps({"epochs": {"mp": 1, "bd": 1}, "decoder_width": 8, "batch_size": 4})
SYNTHESIS = json.dumps({"epochs": 2, "decoder_width": 8, "discriminator_width": 4, "batch_size": 4})
SHAPE = (64, 32)


def run(monkeypatch: pytest.MonkeyPatch, script: str, **options: object) -> None:
    words = [script]
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")


@pytest.fixture
def release(tmp_path: Path) -> dict[str, Path]:
    """Six patients with two halves each; fold 1 is poisoned with NaN, fold 0 lacks one femur map."""
    rng = np.random.default_rng(0)
    index = [
        {
            "patient_id": f"P{i // 2}",
            "xray_id": "x1",
            "side": ("left", "right")[i % 2],
            "pose": "standing",
            "rows": 100,
            "columns": 50,
            "has_bone": 1,
            "has_proximal_femur": int(i != 0),
        }
        for i in range(12)
    ]
    folder = tmp_path / "release"
    write_table(folder / "index.tsv", index, INDEX_COLUMNS)
    femur = rng.uniform(0, 1.5, (12, *SHAPE)).astype(np.float32)
    arrays = {"xray": femur + 2, "bone": femur * 1.2, "proximal_femur": femur}
    for name, array in arrays.items():
        array[6:] = np.nan
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "proximal_femur.npy", np.where(np.arange(12)[:, None, None] == 0, np.nan, femur))
    folds = tmp_path / "folds.tsv"
    write_table(folds, ({"patient_id": f"P{i}", "fold": int(i > 2)} for i in range(6)), ["patient_id", "fold"])
    return {"release": folder / "index.tsv", "folds": folds}


def pretrain(monkeypatch: pytest.MonkeyPatch, release: dict[str, Path], task: str, output: Path, init: str) -> None:
    run(
        monkeypatch,
        "pretrain_encoder",
        **release,
        fold=1,
        task=task,
        init=init,
        backbone="resnet10t",
        config=PRETRAINING,
        output=output,
    )


def train(monkeypatch: pytest.MonkeyPatch, release: dict[str, Path], output: Path, init: object = "") -> dict:
    run(
        monkeypatch, "train_synthesis", **release, fold=1, init=init, backbone="resnet10t", config=SYNTHESIS,
        output=output,
    )  # fmt: skip
    return read_weights(output)


def test_held_out_patients_never_reach_a_training(
    release: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their rows are NaN: one look at them would spread."""
    pretrain(monkeypatch, release, "mp", tmp_path / "mp" / "encoder.pt", "")
    pretrain(monkeypatch, release, "bd", tmp_path / "mp_bd" / "encoder.pt", str(tmp_path / "mp" / "encoder.pt"))
    model = train(monkeypatch, release, tmp_path / "model" / "model.pt", tmp_path / "mp_bd" / "encoder.pt")
    for content, key in ((read_weights(tmp_path / "mp_bd" / "encoder.pt"), "encoder"), (model, "generator")):
        assert all(torch.isfinite(value.float()).all() for value in content[key].values())
        assert np.isfinite(content["xray_window"]).all()
    assert model["map_window"][1] <= 1.5
    log = read_table(tmp_path / "model" / "log.tsv")
    assert [row["epoch"] for row in log] == ["1", "2"]
    assert all(np.isfinite(float(value)) for row in log for value in row.values())
    assert not (tmp_path / "model" / "checkpoint.pt").exists()


def test_an_interrupted_training_goes_on_to_the_same_model(
    release: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(monkeypatch, release, tmp_path / "a" / "model.pt")
    monkeypatch.setattr("osteoray.store.training_run.SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    record = TrainingRun.record

    def interrupted(run: TrainingRun, row: dict, state: dict) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt
        record(run, row, state)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(monkeypatch, release, tmp_path / "b" / "model.pt")
    checkpoint = tmp_path / "b" / "checkpoint.pt"
    assert read_weights(checkpoint)["state"]["epoch"] == 1
    resumed = train(monkeypatch, release, tmp_path / "b" / "model.pt")
    assert all(torch.equal(value, resumed["generator"][name]) for name, value in whole["generator"].items())
    assert (tmp_path / "b" / "log.tsv").read_text() == (tmp_path / "a" / "log.tsv").read_text()


def test_a_checkpoint_of_another_run_is_ignored(tmp_path: Path) -> None:
    data = {"xray": np.zeros((2, 3))}
    run = TrainingRun(tmp_path / "model.pt", {"config": "a"}, data)
    run.saved = -np.inf
    run.record({"epoch": 1}, {"epoch": 1})
    assert TrainingRun(tmp_path / "model.pt", {"config": "a"}, data).state == {"epoch": 1}
    assert TrainingRun(tmp_path / "model.pt", {"config": "b"}, data).state is None
    assert TrainingRun(tmp_path / "model.pt", {"config": "a"}, {"xray": np.ones((2, 3))}).state is None


def test_held_out_and_later_patients_are_predicted(
    release: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.pt"
    train(monkeypatch, release, model)
    xrays = np.load(release["release"].with_name("xray.npy"))
    xrays[6:] = xrays[:6]
    np.save(release["release"].with_name("xray.npy"), xrays)
    output = tmp_path / "predictions" / "fold1.tsv"
    run(monkeypatch, "predict_maps", model=model, **release, fold=1, output=output)
    table, maps = read_table(output), read_arrays(output.with_suffix(".npz"))["maps"]
    assert [row["patient_id"] for row in table] == ["P3", "P3", "P4", "P4", "P5", "P5"]
    assert maps.shape == (6, *SHAPE)
    assert (maps >= 0).all()

    later = Manifest("laterality", "P9", tmp_path / "laterality" / "P9.json")
    halves = tmp_path / "laterality" / "P9.npz"
    write_arrays(halves, {"x1_left_xray": xrays[6]})
    later.add_file("halves", halves)
    later.facts["halves"] = [{"xray_id": "x1", "side": "left", "pose": "rest", "rows": 64, "columns": 32}]
    later.write()
    enrolled = tmp_path / "predictions" / "enrolled.tsv"
    run(monkeypatch, "predict_enrolled", models=[model, model], halves=[later.path], size=64, output=enrolled)
    np.testing.assert_allclose(read_arrays(enrolled.with_suffix(".npz"))["maps"][0], maps[0], atol=1e-5)
    (row,) = read_table(enrolled)
    assert len(row.pop("digest")) == 16
    assert row == {"patient_id": "P9", "xray_id": "x1", "side": "left", "pose": "rest", "rows": "64", "columns": "32"}


def test_rows_of_a_fold_are_told_by_patient_and_by_array(release: dict[str, Path]) -> None:
    index = read_table(release["release"])
    assert select_rows(index, release["folds"], 1, held_out=False) == list(range(6))
    assert select_rows(index, release["folds"], 1, held_out=True) == list(range(6, 12))
    assert select_rows(index, release["folds"], 1, held_out=False, arrays=("proximal_femur",)) == list(range(1, 6))
    with pytest.raises(ValueError, match=r"fold: expected one of \[0, 1\], got 5"):
        select_rows(index, release["folds"], 5, held_out=False)
