import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from osteoray.errors.unreadable import UnreadableInput, Withheld
from osteoray.errors.verdict import Finding, Verdict
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.volume import Volume
from osteoray.store.arrays import read_arrays, write_arrays
from osteoray.store.atomic import writing
from osteoray.store.manifest import read_manifest, recording
from osteoray.store.nifti import read_radiograph, read_volume, write_radiograph, write_volume
from osteoray.store.tables import number, read_table, write_table


@pytest.fixture
def volume():
    rng = np.random.default_rng(1)
    grid = VoxelGrid.axial((4, 5, 6), (3.0, 2.0, 1.0), (-10.0, -20.0, -30.0))
    return Volume(rng.integers(-1000, 2000, grid.shape).astype(np.int16), grid)


def test_volume_comes_back_as_it_was(tmp_path, volume):
    write_volume(tmp_path / "v.nii.gz", volume)
    back = read_volume(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.array.dtype == np.int16
    assert back.grid.matches(volume.grid)


def test_an_independent_reader_finds_the_voxels_at_the_same_lps_place(tmp_path, volume):
    write_volume(tmp_path / "v.nii.gz", volume)
    image = sitk.ReadImage(str(tmp_path / "v.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    k, j, i = 1, 2, 3
    expected = volume.grid.coordinates_mm()[k, j, i]
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((i, j, k)), expected, atol=1e-4)


def test_a_step_stores_multiples_in_int16(tmp_path, volume):
    density = Volume((volume.array * 0.37).astype(np.float32), volume.grid)
    write_volume(tmp_path / "q.nii.gz", density, step=0.1)
    assert nib.load(tmp_path / "q.nii.gz").get_data_dtype() == np.int16
    np.testing.assert_allclose(read_volume(tmp_path / "q.nii.gz").array, density.array, atol=0.051)


def test_a_value_beyond_the_step_is_refused(tmp_path, volume):
    with pytest.raises(ValueError, match=r"step: expected values within 3276.7, got 4000"):
        write_volume(tmp_path / "q.nii", Volume(np.full(volume.array.shape, 4e3), volume.grid), step=0.1)


def test_equal_volumes_give_equal_bytes(tmp_path, volume):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, volume)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_radiograph_comes_back_as_it_was(tmp_path):
    radiograph = Radiograph(np.random.default_rng(0).random((7, 5)).astype(np.float32), (0.5, 0.25))
    write_radiograph(tmp_path / "x.nii.gz", radiograph)
    back = read_radiograph(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(back.array, radiograph.array)
    assert back.spacing_mm == pytest.approx(radiograph.spacing_mm)


def test_what_is_no_volume_is_refused_in_one_line(tmp_path):
    path = tmp_path / "v.nii.gz"
    path.write_bytes(gzip.compress(b"nothing of the kind"))
    with pytest.raises(UnreadableInput, match=r"v.nii.gz: file: expected a NIfTI volume, got"):
        read_volume(path)
    with pytest.raises(UnreadableInput, match="expected a NIfTI volume, got"):
        read_volume(tmp_path / "absent.nii.gz")


def test_arrays_come_back_and_give_equal_bytes(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "yy"])}
    for name in ("1.npz", "2.npz"):
        write_arrays(tmp_path / name, arrays)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    back = read_arrays(tmp_path / "1.npz")
    assert list(back) == ["a", "b"]
    np.testing.assert_array_equal(back["a"], arrays["a"])


def test_absent_values_are_empty_fields(tmp_path):
    write_table(tmp_path / "t.tsv", [{"a": 1.23456789, "b": None}, {"a": float("nan"), "b": "x"}], ["a", "b"])
    assert (tmp_path / "t.tsv").read_text() == "a\tb\n1.23457\t\n\tx\n"
    rows = read_table(tmp_path / "t.tsv")
    assert np.isnan(number(rows[1]["a"]))


def test_a_failed_write_leaves_neither_the_file_nor_a_part_of_it(tmp_path):
    target = tmp_path / "x.txt"
    with pytest.raises(RuntimeError, match="killed"), writing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("killed")
    assert list(tmp_path.iterdir()) == []


def test_manifest_comes_back_as_it_was(tmp_path):
    path = tmp_path / "stage" / "P1.json"
    with recording("ingest", "P1", path) as manifest:
        (tmp_path / "stage").mkdir()
        (tmp_path / "stage" / "a.txt").write_text("a")
        manifest.add_file("a", tmp_path / "stage" / "a.txt")
        manifest.findings.append(Finding("ING-GEOMETRY", "distance assumed", xray_id="X1"))
        manifest.facts["n"] = 3
    back = read_manifest(path)
    assert (back.verdict, back.facts, back.findings) == (Verdict.WARNING, {"n": 3}, manifest.findings)
    assert back.file("a").read_text() == "a"


def test_a_withheld_patient_gets_a_manifest_and_one_line(tmp_path, capsys):
    with recording("calibration", "P1", tmp_path / "m.json"):
        raise Withheld("CAL-PHANTOM", "no slab below the body")
    assert read_manifest(tmp_path / "m.json").is_withheld
    assert capsys.readouterr().err == "P1: calibration: CAL-PHANTOM: no slab below the body\n"


def test_a_patient_withheld_earlier_is_blocked_by_that_stage(tmp_path):
    with recording("ingest", "P1", tmp_path / "1.json"):
        raise Withheld("ING-EMPTY", "nothing")
    first = read_manifest(tmp_path / "1.json")
    with recording("calibration", "P1", tmp_path / "2.json", first):
        pass
    second = read_manifest(tmp_path / "2.json")
    with recording("registration", "P1", tmp_path / "3.json", first, second) as third:
        assert third.blocked_by == "ingest"
    assert read_manifest(tmp_path / "3.json").blocked_by == "ingest"


def test_a_lost_side_withholds_that_side_alone(tmp_path):
    with recording("segmentation", "P1", tmp_path / "m.json") as manifest:
        manifest.findings.append(Finding("SEG-LANDMARK", "no neck", side="left"))
    back = read_manifest(tmp_path / "m.json")
    assert not back.is_withheld
    assert back.withholds(side="left")
    assert not back.withholds(side="right")
