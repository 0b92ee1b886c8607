"""What else lies in a folder with a CT: the localizer that it was planned on, and the report of its dose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int16
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, XRayRadiationDoseSRStorage

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.dicom_study import Study, new_file, set_pixels, write_file

LOCALIZER_HU_PER_CM = 90.0
"""Grey value of the localizer per centimetre of water."""


def write_localizer(path: Path, study: Study, hu: Int16[np.ndarray, "k j i"], grid: VoxelGrid) -> None:
    """Write the frontal scout view: water-equivalent thickness from front to back.

    Args:
        path: of the file.
        study: the CT's examination.
        hu: the CT.
        grid: its voxels, k to superior.
    """
    depth_cm = np.maximum(hu[::-1] / np.float32(1000) + 1, 0).sum(axis=1) * float(grid.spacing_mm[1]) / 10
    stored = np.clip(depth_cm * LOCALIZER_HU_PER_CM, 0, 4095).astype(np.uint16)
    dataset = new_file(study, CTImageStorage, "localizer")
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.SeriesInstanceUID = study.uid("series", "localizer")
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.SeriesDescription = "SCOUT AP"
    dataset.StudyDescription = "CT HIP"
    dataset.FrameOfReferenceUID = study.uid("frame")
    dataset.PatientPosition = "HFS"
    dataset.KVP = 120
    top_mm = grid.world_from_index @ np.array([grid.shape[0] - 1, 0, 0, 1.0])
    dataset.ImagePositionPatient = [f"{value:.4f}" for value in (top_mm[0], grid.centre_mm[1], top_mm[2])]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    dataset.PixelSpacing = [f"{grid.spacing_mm[axis]:.5f}" for axis in (0, 2)]
    dataset.SliceThickness = f"{grid.shape[1] * grid.spacing_mm[1]:.2f}"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -1024, 1, "HU"
    set_pixels(dataset, stored, 16)
    write_file(dataset, path)


def write_dose_report(path: Path, study: Study) -> None:
    """Write an X-Ray Radiation Dose SR that holds the accumulated dose (PS3.16, TID 10011)."""
    dataset = new_file(study, XRayRadiationDoseSRStorage, "dose")
    dataset.Modality = "SR"
    dataset.SeriesInstanceUID = study.uid("series", "dose")
    dataset.SeriesNumber = 99
    dataset.InstanceNumber = 1
    dataset.SeriesDescription = "DOSE REPORT"
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.ValueType = "CONTAINER"
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ConceptNameCodeSequence = [_code("113701", "DCM", "X-Ray Radiation Dose Report")]
    dose = Dataset()
    dose.RelationshipType = "CONTAINS"
    dose.ValueType = "NUM"
    dose.ConceptNameCodeSequence = [_code("113813", "DCM", "CT Dose Length Product Total")]
    measured = Dataset()
    measured.MeasurementUnitsCodeSequence = [_code("mGy.cm", "UCUM", "mGy.cm")]
    measured.NumericValue = "310"
    dose.MeasuredValueSequence = [measured]
    accumulated = Dataset()
    accumulated.RelationshipType = "CONTAINS"
    accumulated.ValueType = "CONTAINER"
    accumulated.ContinuityOfContent = "SEPARATE"
    accumulated.ConceptNameCodeSequence = [_code("113811", "DCM", "CT Accumulated Dose Data")]
    accumulated.ContentSequence = [dose]
    dataset.ContentSequence = [accumulated]
    write_file(dataset, path)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
