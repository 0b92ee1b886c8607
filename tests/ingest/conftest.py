"""Small DICOM series and X-rays, written by pydicom, clean unless a test spoils them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForProcessing, ExplicitVRLittleEndian, generate_uid

SLICES, ROWS, COLUMNS = 20, 48, 64
SPACING_MM, PIXEL_MM = 2.0, (1.5, 1.25)
FIRST_MM = np.array([-40.0, -30.0, 100.0])


@pytest.fixture(scope="session")
def hu() -> np.ndarray:
    """HU of a body in air without any symmetry, (k, j, i)."""
    rng = np.random.default_rng(5)
    k, j, i = np.indices((SLICES, ROWS, COLUMNS))
    body = (j - 22) ** 2 / 18**2 + (i - 30) ** 2 / 26**2 < 1
    values = np.where(body, 40 + 3 * k + 2 * j - i, -1000) + rng.integers(-10, 10, body.shape)
    values[5:9, 10:16, 40:46] = 900
    return values.astype(np.int16)


@pytest.fixture(scope="session")
def clean_series(hu: np.ndarray) -> Callable[..., list[Dataset]]:
    """The 20 images of a clean axial series, as data sets."""

    def make(series: str = "2", **elements: object) -> list[Dataset]:
        uid = generate_uid(entropy_srcs=[series])
        return [ct_image(hu[k], k, uid, series, elements) for k in range(SLICES)]

    return make


def ct_image(hu: np.ndarray, k: int, series_uid: str, number: str, elements: dict) -> Dataset:
    dataset = image_dataset(CTImageStorage, (hu.astype(int) + 1024).astype(np.uint16))
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID = series_uid
    dataset.SeriesNumber = number
    dataset.InstanceNumber = SLICES - k
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [*FIRST_MM[:2], FIRST_MM[2] + SPACING_MM * k]
    dataset.PixelSpacing = list(PIXEL_MM)
    dataset.SliceThickness = SPACING_MM
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.ConvolutionKernel = "STANDARD"
    dataset.KVP = 120
    dataset.PatientID = "4711"
    dataset.PatientName = "Planted^Name"
    dataset.PatientBirthDate = "19500101"
    dataset.StudyDate = "20200102"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def image_dataset(sop_class: str, stored: np.ndarray) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """Write data sets as files with shuffled names."""

    def write(folder: Path, datasets: list[Dataset], prefix: str = "") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        names = np.random.default_rng(1).permutation(len(datasets))
        for name, dataset in zip(names, datasets, strict=True):
            dataset.save_as(folder / f"{prefix}IM{name:04d}.dcm", enforce_file_format=True)
        return folder

    return write


@pytest.fixture(scope="session")
def stored_xray() -> np.ndarray:
    """Stored values of an X-ray without any symmetry, 14 bits."""
    rows, columns = np.indices((40, 60))
    return (3000 + 90 * rows + 20 * columns).astype(np.uint16)


@pytest.fixture(scope="session")
def clean_xray(stored_xray: np.ndarray) -> Callable[..., Dataset]:
    """A DX image with all of its geometry, logarithmic, for processing; an element set to None is left out."""

    def make(stored: np.ndarray | None = None, **elements: object) -> Dataset:
        dataset = image_dataset(DigitalXRayImageStorageForProcessing, stored_xray if stored is None else stored)
        dataset.Modality = "DX"
        dataset.BitsStored, dataset.HighBit = 14, 13
        dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
        dataset.PresentationIntentType = "FOR PROCESSING"
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "US"
        dataset.ImagerPixelSpacing = [0.2, 0.25]
        dataset.DistanceSourceToDetector, dataset.DistanceSourceToPatient = 1150, 1000
        dataset.ViewPosition, dataset.PatientOrientation = "AP", ["L", "F"]
        dataset.KVP, dataset.PatientName, dataset.PatientID = 80, "Planted^Name", "4711"
        for keyword, value in elements.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        return dataset

    return make
