"""What is written is what an independent reader reads."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.config.simulation import SimulationConfig, XraySystemConfig
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.dicom_ct import write_ct
from osteoray.simulation.dicom_dx import write_xray
from osteoray.simulation.dicom_study import Study
from osteoray.simulation.enrolment import VirtualXray, enrolled
from osteoray.simulation.parts import take_apart
from osteoray.simulation.xray_examination import examine_xray, xray_facts

CONFIG = SimulationConfig(xray=XraySystemConfig(rows=80, columns=96, pitch_mm=4.5, soft_tissue_mm=8))
PATIENT = enrolled(CONFIG, "V001")


@pytest.fixture(scope="module")
def examination():
    body = ellipsoid_body(8.0)
    return examine_xray(CONFIG, PATIENT, body, take_apart(body), VirtualXray("X2", "standing"))


def test_simpleitk_reads_the_series_with_its_geometry(tmp_path):
    grid = VoxelGrid.axial((5, 24, 32), (2.5, 1.8, 1.8), (-30.2, -41.0, 100.5))
    hu = np.random.default_rng(0).integers(-1024, 3000, grid.shape).astype(np.int16)
    write_ct(tmp_path / "CT", Study(PATIENT, "CT", 1), hu, grid, 120.0)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "CT")))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), hu)
    np.testing.assert_allclose(image.GetSpacing(), (1.8, 1.8, 2.5))
    np.testing.assert_allclose(image.GetOrigin(), (-30.2, -41.0, 100.5))
    np.testing.assert_allclose(image.GetDirection(), np.eye(3).ravel())


def test_file_names_do_not_follow_position_and_a_shorter_series_leaves_nothing_behind(tmp_path):
    study = Study(PATIENT, "CT", 1)
    for count in (12, 8):
        grid = VoxelGrid.axial((count, 4, 4), (2.5, 1.8, 1.8))
        write_ct(tmp_path, study, np.zeros(grid.shape, np.int16), grid, 0.0)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 8
    positions = [float(pydicom.dcmread(file).ImagePositionPatient[2]) for file in files]
    assert positions != sorted(positions) and positions != sorted(positions, reverse=True)
    assert len({pydicom.dcmread(file).SOPInstanceUID for file in files}) == 8


def test_an_xray_file_carries_its_geometry_and_its_values(tmp_path, examination):
    path = tmp_path / "XR" / "X2.dcm"
    write_xray(path, Study(PATIENT, "XR", 1), "X2", examination.image, examination.view, 80)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], examination.image.stored)
    dataset = pydicom.dcmread(path)
    view = examination.view
    assert (dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign) == ("LOG", -1)
    assert dataset.PhotometricInterpretation == "MONOCHROME2"
    assert dataset.PresentationIntentType == "FOR PROCESSING"
    assert list(dataset.PatientOrientation) == ["L", "F"]
    assert [float(p) for p in dataset.ImagerPixelSpacing] == [4.5, 4.5]
    assert float(dataset.DistanceSourceToDetector) == pytest.approx(view.camera.sid_mm, abs=0.06)
    assert float(dataset.EstimatedRadiographicMagnificationFactor) == pytest.approx(
        view.camera.sid_mm / view.source_patient_mm, abs=1e-3
    )
    assert dataset.BitsStored == 14 and examination.image.stored.max() < 2**14


def test_the_same_xray_is_taken_alike_and_its_facts_are_json(examination):
    body = ellipsoid_body(8.0)
    again = examine_xray(CONFIG, PATIENT, body, take_apart(body), VirtualXray("X2", "standing"))
    np.testing.assert_array_equal(again.image.stored, examination.image.stored)
    facts = xray_facts(examination)
    assert set(facts["camera_from_world"]) == {"pelvis", "left_femur", "right_femur"}
    assert np.array(facts["K"]).shape == (3, 3)
