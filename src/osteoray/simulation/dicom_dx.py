"""An X-ray as a hospital exports it: DX Image Storage for processing or for presentation, or CR Image Storage."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
)

from osteoray.config.simulation import Defect
from osteoray.simulation.collimation import Collimator
from osteoray.simulation.dicom_study import Study, new_file, set_pixels, write_file
from osteoray.simulation.exposure_control import REFERENCE_SIGNAL_KEV_MM2, SIGNAL_PER_UGY_KEV_MM2
from osteoray.simulation.tone import LOOKS
from osteoray.simulation.xray_defects import spoil_file, spoil_tags
from osteoray.simulation.xray_storage import RELATION, PixelFormat
from osteoray.simulation.xray_system import XrayImage
from osteoray.simulation.xray_view import XrayView

DESCRIPTIONS = {
    "standing": "PELVIS AP STANDING",
    "supine": "PELVIS AP SUPINE",
    "rest": "PELVIS AP",
    "abduction": "HIP BILATERAL ABDUCTION",
    "adduction": "HIP BILATERAL ADDUCTION",
}


TARGET_EXPOSURE_INDEX = 100.0 * REFERENCE_SIGNAL_KEV_MM2 / SIGNAL_PER_UGY_KEV_MM2


def write_xray(
    path: Path,
    study: Study,
    xray_id: str,
    image: XrayImage,
    view: XrayView,
    kvp: int,
    defects: Collection[Defect] = (),
) -> None:
    """Write an AP radiograph of the pelvis.

    Args:
        path: file to write.
        study: the examination.
        xray_id: tells the patient's X-rays apart.
        image: stored values and what they mean, tube load.
        view: geometry; the file carries what a hospital's file carries of it.
        kvp: tube voltage.
        defects: what is wrong with its tags and file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    form = image.form
    dataset = new_file(study, sop_class(form), xray_id)
    dataset.Modality = form.modality
    dataset.ImageType = ["ORIGINAL" if form.storage != "presentation" else "DERIVED", "PRIMARY"]
    dataset.SeriesInstanceUID = study.uid("series", xray_id)
    dataset.SeriesNumber = int(xray_id.lstrip("X"))
    dataset.InstanceNumber = 1
    dataset.StudyDescription = "XR HIP"
    dataset.SeriesDescription = DESCRIPTIONS[view.pose.name]
    dataset.BodyPartExamined = "PELVIS"
    dataset.ViewPosition = "AP"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ManufacturerModelName = f"Virtual {form.modality}"
    dataset.BurnedInAnnotation = "YES"  # the lead marker
    dataset.LossyImageCompression = "00"
    _describe_exposure(dataset, image, view, kvp)
    _describe_collimator(dataset, image.collimator)
    if form.modality == "DX":
        _describe_detector(dataset, form)
    else:
        dataset.PlateType, dataset.PhosphorType = "STANDARD", "BAFBR:EU"
    _describe_values(dataset, form)
    set_pixels(dataset, image.stored, form.bits)
    dataset.PhotometricInterpretation = form.photometric
    spoil_tags(dataset, defects)
    write_file(dataset, path)
    spoil_file(path, defects)


def sop_class(form: PixelFormat) -> UID:
    """Kind of image."""
    if form.modality == "CR":
        return ComputedRadiographyImageStorage
    if form.storage == "presentation":
        return DigitalXRayImageStorageForPresentation
    return DigitalXRayImageStorageForProcessing


def _describe_exposure(dataset: Dataset, image: XrayImage, view: XrayView, kvp: int) -> None:
    camera = view.camera
    dataset.KVP = kvp
    dataset.ExposureInuAs = round(image.mas * 1000)
    dataset.Exposure = max(1, round(image.mas))
    dataset.ExposureIndex = f"{image.exposure_index:.1f}"
    dataset.TargetExposureIndex = f"{TARGET_EXPOSURE_INDEX:.1f}"
    dataset.DeviationIndex = f"{10 * np.log10(image.exposure_index / TARGET_EXPOSURE_INDEX):.2f}"
    dataset.DistanceSourceToDetector = f"{camera.sid_mm:.1f}"
    dataset.DistanceSourceToPatient = f"{view.source_patient_mm:.1f}"
    dataset.EstimatedRadiographicMagnificationFactor = f"{camera.sid_mm / view.source_patient_mm:.4f}"
    dataset.ImagerPixelSpacing = [f"{pitch_mm:.5f}" for pitch_mm in camera.pitch_mm]
    dataset.Grid = ["FOCUSED", "RECIPROCATING"]


def _describe_collimator(dataset: Dataset, collimator: Collimator) -> None:
    """The edges as rows and columns counted from 1; the corners where the rectangle is turned."""
    if collimator.turn_deg:
        dataset.CollimatorShape = "POLYGONAL"
        dataset.VerticesOfThePolygonalCollimator = [round(n) + 1 for n in collimator.corners().ravel()]
        return
    field = collimator.field()
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    dataset.CollimatorShape = "RECTANGULAR"
    dataset.CollimatorLeftVerticalEdge, dataset.CollimatorRightVerticalEdge = int(columns[0]) + 1, int(columns[-1]) + 1
    dataset.CollimatorUpperHorizontalEdge, dataset.CollimatorLowerHorizontalEdge = int(rows[0]) + 1, int(rows[-1]) + 1


def _describe_detector(dataset: Dataset, form: PixelFormat) -> None:
    """What the DX module asks for and CR does not know."""
    is_shown = form.storage == "presentation"
    dataset.PresentationIntentType = "FOR PRESENTATION" if is_shown else "FOR PROCESSING"
    dataset.AnatomicRegionSequence = Sequence([_code("12921003", "SCT", "Pelvis")])
    dataset.ImageLaterality = "B"
    dataset.DetectorType = "SCINTILLATOR"
    dataset.ExposureControlMode = "AUTOMATIC"
    dataset.PixelIntensityRelationshipSign = form.sign
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"


def _describe_values(dataset: Dataset, form: PixelFormat) -> None:
    """Relation to exposure, and how the picture is to be shown."""
    if form.storage != "presentation":
        dataset.PixelIntensityRelationship = RELATION[form.storage]
        dataset.PixelIntensityRelationshipSign = form.sign
        return
    if form.modality == "DX":
        dataset.PixelIntensityRelationship = RELATION[form.storage]
    dataset.PresentationLUTShape = "IDENTITY" if form.photometric == "MONOCHROME2" else "INVERSE"
    full = 2**form.bits
    centre, width = LOOKS[form.vendor].window
    centre = centre if form.photometric == "MONOCHROME2" else 1.0 - centre
    dataset.WindowCenter, dataset.WindowWidth = f"{centre * full:.0f}", f"{width * full:.0f}"
    if form.vendor == "c":
        dataset.VOILUTFunction = "SIGMOID"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
