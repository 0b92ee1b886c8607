"""An X-ray as a hospital exports it for processing: a DX Image Storage file in log attenuation."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForProcessing

from osteoray.simulation.dicom_study import Study, new_file, set_pixels, write_file
from osteoray.simulation.xray_system import XrayImage
from osteoray.simulation.xray_view import XrayView

DESCRIPTIONS = {
    "standing": "PELVIS AP STANDING",
    "supine": "PELVIS AP SUPINE",
    "rest": "PELVIS AP",
    "abduction": "HIP BILATERAL ABDUCTION",
    "adduction": "HIP BILATERAL ADDUCTION",
}


def write_xray(path: Path, study: Study, xray_id: str, image: XrayImage, view: XrayView, kvp: int) -> None:
    """Write an AP radiograph of the pelvis.

    Args:
        path: file to write.
        study: the examination.
        xray_id: tells the patient's X-rays apart.
        image: stored values and tube load.
        view: geometry; the file carries what a hospital's file carries of it.
        kvp: tube voltage.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = new_file(study, DigitalXRayImageStorageForProcessing, xray_id)
    number = int(xray_id.lstrip("X"))
    camera = view.camera
    dataset.Modality = "DX"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PresentationIntentType = "FOR PROCESSING"
    dataset.SeriesInstanceUID = study.uid("series", xray_id)
    dataset.SeriesNumber = number
    dataset.InstanceNumber = 1
    dataset.StudyDescription = "XR HIP"
    dataset.SeriesDescription = DESCRIPTIONS[view.pose.name]
    dataset.BodyPartExamined = "PELVIS"
    dataset.AnatomicRegionSequence = Sequence([_code("12921003", "SCT", "Pelvis")])
    dataset.ViewPosition = "AP"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageLaterality = "B"
    dataset.ManufacturerModelName = "Virtual DR"
    dataset.KVP = kvp
    dataset.ExposureInuAs = round(image.mas * 1000)
    dataset.Exposure = max(1, round(image.mas))
    dataset.DistanceSourceToDetector = f"{camera.sid_mm:.1f}"
    dataset.DistanceSourceToPatient = f"{view.source_patient_mm:.1f}"
    dataset.EstimatedRadiographicMagnificationFactor = f"{camera.sid_mm / view.source_patient_mm:.4f}"
    dataset.ImagerPixelSpacing = [f"{pitch_mm:.5f}" for pitch_mm in camera.pitch_mm]
    dataset.DetectorType = "SCINTILLATOR"
    dataset.Grid = ["FOCUSED", "RECIPROCATING"]
    dataset.ExposureControlMode = "AUTOMATIC"
    dataset.CollimatorShape = "RECTANGULAR"
    dataset.CollimatorLeftVerticalEdge, dataset.CollimatorRightVerticalEdge = 1, camera.shape[1]
    dataset.CollimatorUpperHorizontalEdge, dataset.CollimatorLowerHorizontalEdge = 1, camera.shape[0]
    dataset.BurnedInAnnotation = "YES"  # the lead marker
    dataset.LossyImageCompression = "00"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    set_pixels(dataset, image.stored, 14)
    write_file(dataset, path)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
