"""What all DICOM files of a virtual patient have in common: the patient, the study, and how a file is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from osteoray.simulation.enrolment import VirtualPatient

MANUFACTURER = "osteoray virtual hospital"
FIRST_DAY = date(2024, 1, 8)


@dataclass(frozen=True)
class Study:
    """One examination of a patient.

    Attributes:
        patient: who.
        name: "CT" or "XR"; part of every identifier.
        day: of the examination.
    """

    patient: VirtualPatient
    name: str
    seed: int

    @property
    def day(self) -> date:
        """Day of the examination: X-rays are taken the day before the CT."""
        return FIRST_DAY + timedelta(days=2 * self.patient.index + (self.name == "CT"))

    def uid(self, *parts: object) -> UID:
        """A unique identifier that depends on the cohort's seed, the patient, the study and the parts."""
        return generate_uid(entropy_srcs=[str(self.seed), self.patient.patient_id, self.name, *map(str, parts)])


def new_file(study: Study, sop_class_uid: UID, instance: object) -> FileDataset:
    """A data set with the tags of patient, study, equipment and file.

    Args:
        study: the examination.
        sop_class_uid: kind of image.
        instance: what tells the study's images apart.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class_uid
    meta.MediaStorageSOPInstanceUID = study.uid("instance", instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    patient = study.patient
    day = study.day.strftime("%Y%m%d")
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = study.uid("study")
    dataset.StudyID = f"{patient.index + 1}"
    dataset.AccessionNumber = f"{study.name}{patient.index + 1:06d}"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "101500"
    dataset.ReferringPhysicianName = ""
    dataset.PatientName = f"VIRTUAL^{patient.patient_id}"
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = f"{study.day.year - patient.age_years}0101"
    dataset.PatientSex = patient.sex
    dataset.PatientAge = f"{patient.age_years:03d}Y"
    dataset.PatientSize = f"{patient.height_cm / 100:.2f}"
    dataset.PatientWeight = f"{patient.weight_kg}"
    dataset.Manufacturer = MANUFACTURER
    dataset.InstitutionName = MANUFACTURER
    dataset.SoftwareVersions = "1"
    return dataset


def set_pixels(dataset: Dataset, pixels: np.ndarray, bits_stored: int) -> None:
    """Fill the image pixel module; the type of the array says whether values are signed."""
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.PixelData = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<")).tobytes()


def write_file(dataset: FileDataset, path: Path) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    pydicom.dcmwrite(temporary, dataset, enforce_file_format=True)
    temporary.replace(path)
