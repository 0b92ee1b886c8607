"""Every kind of file reads back as it was taken, and every defect of an X-ray is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.config.simulation import SimulationConfig, XraySystemConfig
from osteoray.errors.unreadable import UnreadableInput
from osteoray.imaging.bones import Side
from osteoray.ingest.xray import XrayImage, read_xray
from osteoray.ingest.xray_field import exposed_field
from osteoray.simulation.dicom_dx import write_xray
from osteoray.simulation.dicom_study import Study
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.parts import take_apart
from osteoray.simulation.xray_examination import (
    XrayExamination,
    altered_parts,
    examine_xray,
    is_altered,
    xray_facts,
)
from osteoray.simulation.xray_storage import LINEAR_AT_REFERENCE

SYSTEM = {"rows": 180, "columns": 225, "pitch_mm": 2.0, "soft_tissue_mm": 8.0}


@pytest.fixture(scope="module")
def body():
    return ellipsoid_body(8.0)


@pytest.fixture(scope="module")
def parts(body):
    return take_apart(body)


def config_of(defects: tuple[str, ...] = (), **system: object) -> SimulationConfig:
    return SimulationConfig(
        xray=XraySystemConfig(**(SYSTEM | system)), defects={"V001": defects} if defects else {}, xrays_per_patient=3
    )


@pytest.fixture
def take(body, parts, tmp_path):
    def take(*defects: str, number: int = 0, **system: object) -> tuple[XrayExamination, Path]:
        config = config_of(defects, **system)
        patient = enrolled(config, "V001")
        xray = patient.xrays[number]
        shown = altered_parts(config, patient, body) if is_altered(config, patient) else parts
        seen = examine_xray(config, patient, body, shown, xray)
        path = tmp_path / f"{xray.xray_id}.dcm"
        write_xray(path, Study(patient, "XR", 1), xray.xray_id, seen.image, seen.view, 80, seen.defects)
        return seen, path

    return take


def read(path: Path) -> XrayImage:
    return read_xray(
        path, "X1", log_offset=8000.0, log_units_per_neper=1000.0, display_nepers=5.0, accepts_display=True,
        default_sid_mm=1100.0,
    )  # fmt: skip


def test_log_linear_and_both_photometrics_read_as_the_same_attenuation(take):
    _, path = take()
    attenuation = read(path).radiograph.array
    _, path = take(photometric="MONOCHROME1")
    np.testing.assert_allclose(read(path).radiograph.array, attenuation, atol=1.1e-3)
    _, path = take(storage="linear")
    shifted = read(path).radiograph.array - np.log(65535 / LINEAR_AT_REFERENCE)
    inside = (attenuation > -4.5) & (attenuation < 1.0)
    np.testing.assert_allclose(shifted[inside], attenuation[inside], atol=5e-3)


@pytest.mark.parametrize("modality", ["DX", "CR"])
@pytest.mark.parametrize("storage", ["log", "linear", "presentation"])
def test_files_carry_the_tags_of_their_kind(take, modality, storage):
    _, path = take(modality=modality, storage=storage)
    dataset = pydicom.dcmread(path)
    assert dataset.Modality == modality
    assert ("PresentationIntentType" in dataset) == ("DetectorType" in dataset) == (modality == "DX")
    assert dataset.BitsStored == {"log": 14, "linear": 16, "presentation": 12}[storage]
    relation = {"log": "LOG", "linear": "LIN", "presentation": "DISP" if modality == "DX" else None}[storage]
    assert dataset.get("PixelIntensityRelationship") == relation
    xray = read(path)
    assert xray.facts["acquisition_class"].startswith(modality)
    assert [finding.code for finding in xray.findings] == (["ING-DISPLAY"] if storage == "presentation" else [])


@pytest.mark.parametrize("vendor", ["a", "b", "c"])
def test_presentation_pictures_are_bright_where_bone_is_in_either_photometric(take, vendor):
    _, path = take(storage="presentation", vendor=vendor)
    bright = read(path).radiograph.array
    _, path = take(storage="presentation", vendor=vendor, photometric="MONOCHROME1")
    assert pydicom.dcmread(path).PresentationLUTShape == "INVERSE"
    np.testing.assert_allclose(read(path).radiograph.array, bright, atol=5.0 / 4095 * 1.1)


def test_the_collimators_tags_equal_the_edges_of_the_field(take):
    for number in range(3):
        seen, path = take(number=number)
        dataset, collimator = pydicom.dcmread(path), seen.exposure.collimator
        field = collimator.field()
        told = exposed_field(dataset, field.shape)
        told = np.ones_like(field) if told is None else told
        # The reader stays away from the penumbra; apart from it the two agree.
        assert np.all(field[told])
        assert (collimator.field(3.5) & ~told).sum() < 0.01 * field.sum()
        if not collimator.turn_deg:
            rows = np.flatnonzero(field.any(axis=1))
            assert (dataset.CollimatorUpperHorizontalEdge, dataset.CollimatorLowerHorizontalEdge) == (
                rows[0] + 1,
                rows[-1] + 1,
            )


def test_only_the_first_xray_has_its_defect(take):
    first, _ = take("xray_flipped")
    second, _ = take("xray_flipped", number=1)
    assert xray_facts(first)["is_mirrored"] and not xray_facts(second)["is_mirrored"]


def test_a_flipped_picture_is_mirrored_and_its_truth_is_not(take):
    plain, _ = take()
    flipped, _ = take("xray_flipped")
    np.testing.assert_array_equal(flipped.image.stored, plain.image.stored[:, ::-1])
    assert xray_facts(flipped)["camera_from_world"] == xray_facts(plain)["camera_from_world"]


def test_a_wrong_photometric_inverts_the_picture_only(take):
    plain, _ = take()
    wrong, path = take("xray_wrong_photometric")
    np.testing.assert_array_equal(
        wrong.image.stored.astype(int), np.clip(16000 - plain.image.stored.astype(int), 0, None)
    )
    assert pydicom.dcmread(path).PhotometricInterpretation == "MONOCHROME2"
    assert pydicom.dcmread(path).PixelIntensityRelationshipSign == -1


@pytest.mark.parametrize(
    ("defect", "code"),
    [
        ("xray_unreadable", "ING-XRAY"),
        ("xray_one_hip", "ING-ONEHIP"),
        ("xray_wrong_laterality", "ING-SIDE"),
        ("xray_no_pitch", "ING-XRAY"),
    ],
)
def test_the_reader_refuses_with_the_expected_code(take, defect, code):
    _, path = take(defect)
    with pytest.raises(UnreadableInput, match="expected") as refusal:
        read(path)
    assert refusal.value.finding.code == code


def test_missing_distances_are_assumed_with_a_warning(take):
    _, path = take("xray_no_geometry")
    assert [finding.code for finding in read(path).findings] == ["ING-GEOMETRY"]


@pytest.mark.parametrize(
    ("defect", "angle", "value"),
    [("xray_flexed", "flexion", 30), ("xray_rotated", "rotation", -35), ("xray_abducted", "abduction", 24)],
)
def test_a_wrong_pose_turns_both_femurs(take, defect, angle, value):
    seen, _ = take(defect)
    plain, _ = take()
    for side in Side:
        assert seen.view.pose.femur_deg[side][angle] == value
        others = {name: n for name, n in plain.view.pose.femur_deg[side].items() if name != angle}
        assert others.items() <= seen.view.pose.femur_deg[side].items()


def test_a_cropped_field_ends_above_the_lesser_trochanters(take, body):
    seen, _ = take("xray_cropped")
    for side in Side:
        row, column = seen.view.femur(side).project(body.femurs[side].lesser_trochanter_mm)
        assert not seen.exposure.collimator.field()[int(row), int(column)]
        row, column = seen.view.femur(side).project(body.femurs[side].head_centre_mm)
        assert seen.exposure.collimator.field()[int(row), int(column)]


def test_motion_blurs_the_patient_and_not_the_marker(take):
    plain, _ = take()
    moved, _ = take("xray_motion")
    assert np.hypot(*moved.exposure.motion_mm) == pytest.approx(4.0)
    assert plain.exposure.motion_mm == (0.0, 0.0)
    assert not np.array_equal(plain.image.stored, moved.image.stored)


@pytest.mark.parametrize("defect", ["implant_ct", "implant_xray"])
def test_an_implant_shows_on_the_left_in_every_xray(take, defect):
    for number in range(2):
        plain, _ = take(number=number)
        seen, _ = take(defect, number=number)
        difference = seen.image.stored.astype(int) - plain.image.stored
        metal = difference > 700
        middle = plain.image.stored.shape[1] / 2
        assert metal.sum() * 2.0**2 > 1500
        assert np.flatnonzero(metal.any(axis=0)).min() > middle
        assert xray_facts(seen)["has_metal"]
        assert seen.maps_g_cm2["proximal_femur_left"].sum() < 0.95 * plain.maps_g_cm2["proximal_femur_left"].sum()
        np.testing.assert_allclose(
            seen.maps_g_cm2["proximal_femur_right"], plain.maps_g_cm2["proximal_femur_right"], atol=1e-5
        )
