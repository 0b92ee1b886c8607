"""TotalSegmentator: its classes by name, its command line, and what is refused of its output."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest
from tests.segmentation import stand_in
from tests.segmentation.stand_in import VERSION, install

from osteoray.config.segmentation import SegmentationConfig, TotalSegmentatorConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Verdict
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone
from osteoray.imaging.volume import Volume
from osteoray.segmentation.sides import bones_of_classes
from osteoray.segmentation.totalsegmentator import BONE_OF_CLASS, bones_of_masks
from osteoray.segmentation.totalsegmentator_command import (
    Ended,
    call,
    download_arguments,
    segment_arguments,
    version_of,
    weights_folder,
)
from osteoray.store.manifest import digest, read_manifest, recording
from osteoray.store.nifti import read_volume, write_volume

RECORDED = "scans/abdomen-pelvis-ct/example_seg_fast_totalsegv2_117classes.nii.gz"
MAPPED = "scans/abdomen-pelvis-ct/bone_muscle_labels.nii.gz"
NUMBERS = {"sacrum": 25, "vertebrae_S1": 26, "femur_left": 75, "femur_right": 76, "hip_left": 77, "hip_right": 78}
"""Of task `total` in version 2 (its file map_to_binary.py)."""


@pytest.fixture(scope="module")
def bones(pelvis_classes):
    return Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)


@pytest.fixture
def masks(bones):
    """One mask per class; S1 is the upper half of the sacrum, as in version 2."""
    masks = {name: bones.array == bone for name, bone in BONE_OF_CLASS.items()}
    layers = np.flatnonzero(masks["sacrum"].any(axis=(1, 2)))
    upper = np.arange(bones.array.shape[0])[:, None, None] >= layers.mean()
    masks |= {"sacrum": masks["sacrum"] & ~upper, "vertebrae_S1": masks["sacrum"] & upper}
    return {name: Volume(mask.astype(np.uint8), bones.grid) for name, mask in masks.items()}


@pytest.fixture
def command(tmp_path, monkeypatch, bones):
    """The stand-in on the PATH, weights in a folder, masks from the known bones."""
    folder = install(tmp_path / "bin")
    write_volume(tmp_path / "labels.nii.gz", bones)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
    monkeypatch.setenv("STAND_IN_LABELS", str(tmp_path / "labels.nii.gz"))
    monkeypatch.setenv("STAND_IN_TOLD", str(tmp_path / "told"))
    monkeypatch.delenv("TOTALSEG_HOME_DIR", raising=False)
    return tmp_path


def run_script(name, **arguments):
    argv = [f"{name}.py"]
    for key, value in arguments.items():
        argv += [f"--{key}", str(value)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        import_module(f"scripts.{name}").main()


@pytest.fixture
def patient(command, pelvis_ct):
    """Manifest of a patient's ingest, and the tool's JSON."""
    path = command / "ingest" / "P1" / "manifest.json"
    with recording("ingest", "P1", path) as manifest:
        write_volume(path.parent / "ct.nii.gz", pelvis_ct)
        manifest.add_file("ct", path.parent / "ct.nii.gz")
    run_script(
        "fetch_totalsegmentator", config=TotalSegmentatorConfig().model_dump_json(), output=command / "tool.json"
    )
    return path


def masks_of(patient, folder="1"):
    output = patient.parent.parent.parent / folder / "totalsegmentator.json"
    tool = patient.parent.parent.parent / "tool.json"
    config = TotalSegmentatorConfig().model_dump_json()
    run_script("run_totalsegmentator", ingest=patient, tool=tool, config=config, output=output)
    return read_manifest(output)


def segmented(patient, masks, backend="totalsegmentator", **more):
    output = masks.path.parent / "segmentation.json"
    config = SegmentationConfig(backend=backend).model_dump_json()
    run_script("segment_bones", ingest=patient, totalsegmentator=masks.path, config=config, output=output, **more)
    return read_manifest(output)


def test_classes_become_bones_by_name(bones, masks):
    np.testing.assert_array_equal(bones_of_masks(masks, bones.grid), bones.array)


def test_recorded_output_becomes_our_bones(shared_data):
    path = shared_data / RECORDED
    table = ElementTree.fromstring(nib.load(path).header.extensions[0].get_content())
    names = {label.text: int(label.get("Key")) for label in table.iter("Label")}
    assert len(names) == 117
    assert {name: names[name] for name in BONE_OF_CLASS} == NUMBERS
    recorded = read_volume(path)
    masks = {name: Volume((recorded.array == names[name]).astype(np.uint8), recorded.grid) for name in BONE_OF_CLASS}
    bones = bones_of_masks(masks, recorded.grid)
    for name, bone in BONE_OF_CLASS.items():
        assert set(np.unique(bones[recorded.array == NUMBERS[name]])) == {bone}
    # Version 1 drew S1 as sacrum: with it the sacrum is whole again (Dice 0.95 against 0.82 without).
    whole = read_volume(shared_data / MAPPED).array == 5
    assert dice(bones == Bone.SACRUM, whole) > 0.94 > 0.85 > dice(recorded.array == NUMBERS["sacrum"], whole)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda m: m.pop("femur_left"), "SEG-TOOL", "every class, got none of ..femur_left"),
        (lambda m: m.update(hip_left=shrunk(m["hip_left"])), "SEG-TOOL", "hip_left: expected the CT's grid"),
        (lambda m: m.update(hip_left=shifted(m["hip_left"])), "SEG-TOOL", "hip_left: expected the CT's grid"),
        (lambda m: m.update(hip_left=times(m["hip_left"], 77)), "SEG-TOOL", "hip_left: expected 0 and 1, got up to 77"),
        (lambda m: m.update(sacrum=m["hip_left"]), "SEG-TOOL", "got sacrum inside left_hip"),
        (lambda m: m.update({name: times(mask, 0) for name, mask in m.items()}), "SEG-BONE", "inside the CT, got none"),
        (lambda m: m.update(femur_left=m["femur_right"], femur_right=m["femur_left"]), "ING-SIDE", "femur on the"),
    ],
    ids=["missing class", "fewer voxels", "shifted", "numbers", "overlap", "all empty", "swapped"],
)
def test_output_that_cannot_be_right_is_refused(bones, masks, spoil, code, message):
    spoil(masks)
    with pytest.raises(Withheld, match=f"{code}: TotalSegmentator: .*{message}"):
        bones_of_masks(masks, bones.grid)


def shrunk(mask):
    return Volume(mask.array[1:], mask.grid.crop((1, 0, 0), mask.array[1:].shape))


def shifted(mask):
    world_from_index = mask.grid.world_from_index.copy()
    world_from_index[0, 3] += 1.0
    return Volume(mask.array, VoxelGrid(mask.grid.shape, world_from_index))


def times(mask, factor):
    return Volume(mask.array * np.uint8(factor), mask.grid)


def test_one_side_in_the_scan_is_no_fault(bones, masks):
    for name in ("hip_left", "femur_left"):
        masks[name] = times(masks[name], 0)
    found = bones_of_masks(masks, bones.grid)
    assert set(np.unique(found)) == {0, Bone.RIGHT_HIP, Bone.RIGHT_FEMUR, Bone.SACRUM}


@pytest.mark.parametrize("fast", [False, True])
def test_the_call_is_what_the_command_line_takes(command, fast):
    (command / "P1").mkdir()
    shutil.copy(command / "labels.nii.gz", command / "P1" / "ct.nii.gz")
    for arguments in download_arguments(fast):
        assert call(arguments).code == 0
    ended = call(segment_arguments(command / "P1" / "ct.nii.gz", command / "masks", "cpu", fast))
    assert ended.code == 0, ended.output
    assert {path.name for path in (command / "masks").iterdir()} == {f"{name}.nii.gz" for name in BONE_OF_CLASS}


def test_nobody_is_told_of_a_run_and_weights_stay_where_they_are(command):
    (command / "P1").mkdir()
    shutil.copy(command / "labels.nii.gz", command / "P1" / "ct.nii.gz")
    for arguments in download_arguments(fast=True):
        call(arguments)
    arguments = segment_arguments(command / "P1" / "ct.nii.gz", command / "masks", "cpu", fast=True)
    assert call(arguments).code == 0
    assert not (command / "told").exists()
    assert (command / "weights" / "Dataset297_3mm").is_dir()
    # Called without us it tells: the stand-in can be caught.
    arguments[4] = str(command / "again")
    subprocess.run(arguments, check=True, capture_output=True)
    assert (command / "told").exists()
    assert weights_folder({"TOTALSEG_HOME_DIR": "/a"}) == Path("/a/nnunet/results")
    assert weights_folder({"TOTALSEG_HOME_DIR": "/a", "TOTALSEG_WEIGHTS_PATH": "/b"}) == Path("/b")
    assert weights_folder({}) == Path.home() / ".totalsegmentator/nnunet/results"


@pytest.mark.parametrize(
    ("output", "version"),
    [("2.18.0\n", (2, 18, 0)), ("a warning\n2.8\n", (2, 8)), ("2.19.0rc1", (2, 19, 0)), ("no such option", ())],
)
def test_the_version_is_read_from_what_it_says(output, version):
    assert version_of(output) == version


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (Ended(1, "one\nRuntimeError: two\n\n"), "exit status 1: RuntimeError: two"),
        (Ended(-9, ""), "signal 9, as when memory runs out"),
    ],
)
def test_how_it_ended_is_one_line(ended, reason):
    assert ended.reason == reason


def test_masks_become_bones_and_are_the_same_bytes_when_run_again(patient, bones):
    first, second = masks_of(patient, "1"), masks_of(patient, "2")
    assert first.facts == {"version": VERSION, "fast": False}
    assert set(first.files) == set(BONE_OF_CLASS)
    assert [digest(first.file(name)) for name in first.files] == [digest(second.file(name)) for name in first.files]
    content = json.loads(first.path.read_text())
    assert content["files"]["sacrum"]["sha256"] == digest(first.file("sacrum"))
    found = segmented(patient, first)
    assert found.facts["method"] == "totalsegmentator"
    assert found.facts["totalsegmentator"]["version"] == VERSION
    np.testing.assert_array_equal(read_volume(found.file("bones")).array, bones.array)


def test_a_failure_costs_the_patient_with_one_line(patient, monkeypatch, capsys):
    monkeypatch.setenv("STAND_IN_FAILS", "P1")
    masks = masks_of(patient)
    assert masks.verdict is Verdict.WITHHELD
    said = "SEG-TOOL: TotalSegmentator: expected masks, got exit status 1: torch.OutOfMemoryError: CUDA out of memory."
    assert capsys.readouterr().err == f"P1: segmentation: {said}\n"
    found = segmented(patient, masks)
    assert [f"{f.code}: {f.detail}" for f in found.findings] == [said]


def test_a_mask_that_is_not_there_or_not_readable_costs_the_patient(patient, monkeypatch):
    monkeypatch.setattr("scripts.run_totalsegmentator.call", lambda arguments: Ended(0, ""))
    finding = masks_of(patient).findings[0]
    assert (finding.code, finding.detail) == (
        "SEG-TOOL",
        "TotalSegmentator: expected hip_left.nii.gz, got no such file",
    )

    def torn(arguments):
        folder = Path(arguments[4])
        folder.mkdir()
        for name in BONE_OF_CLASS:
            (folder / f"{name}.nii.gz").write_bytes(b"half a file")
        return Ended(0, "")

    monkeypatch.setattr("scripts.run_totalsegmentator.call", torn)
    finding = masks_of(patient, "2").findings[0]
    assert finding.code == "SEG-TOOL"
    assert "hip_left.nii.gz: file: expected a NIfTI volume" in finding.detail


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"PATH": "/usr/bin:/bin"},
            "TotalSegmentator: expected the command on the PATH, got none. Fix: run with --use-c",
        ),
        ({"STAND_IN_VERSION": "1.5.7"}, "expected version 2.8 or newer, below 3, got 1.5.7"),
        ({"STAND_IN_VERSION": "3.0.0"}, "expected version 2.8 or newer, below 3, got 3.0.0"),
        ({"STAND_IN_OFFLINE": "1"}, "expected the weights, got exit status 1: requests.exceptions.ConnectionError"),
    ],
    ids=["not installed", "old", "new", "offline"],
)
def test_a_tool_that_cannot_be_used_stops_before_any_patient(command, monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=message):
        run_script("fetch_totalsegmentator", config="{}", output=command / "tool.json")
    assert not (command / "tool.json").exists()


def test_weights_that_are_there_need_no_network(command, monkeypatch):
    run_script("fetch_totalsegmentator", config="{}", output=command / "tool.json")
    monkeypatch.setenv("STAND_IN_OFFLINE", "1")
    run_script("fetch_totalsegmentator", config="{}", output=command / "again.json")
    assert (command / "again.json").read_text() == (command / "tool.json").read_text()
    assert json.loads((command / "tool.json").read_text())["version"] == stand_in.VERSION


def test_a_patient_without_labels_is_withheld_where_labels_are_required(patient):
    output = patient.parent / "segmentation.json"
    run_script("segment_bones", ingest=patient, config=SegmentationConfig(backend="provided").model_dump_json(),
               output=output)  # fmt: skip
    manifest = read_manifest(output)
    assert [f.code for f in manifest.findings] == ["SEG-ABSENT"]
    assert manifest.is_withheld


def test_torch_is_not_imported_without_the_network(patient):
    masks = masks_of(patient)
    program = "import sys, runpy; sys.modules['torch'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], "
    program += "run_name='__main__')"
    arguments = ["--ingest", patient, "--totalsegmentator", masks.path, "--output", masks.path.parent / "s.json"]
    arguments += ["--config", SegmentationConfig(backend="totalsegmentator").model_dump_json()]
    script = Path(__file__).parents[2] / "scripts" / "segment_bones.py"
    environment = os.environ | {"PYTHONPATH": str(script.parents[1] / "src")}
    done = subprocess.run([sys.executable, "-c", program, script, *arguments], env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_manifest(masks.path.parent / "s.json").facts["method"] == "totalsegmentator"
