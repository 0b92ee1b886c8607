"""How a CT was made, from the header of its first image: a keep-list of technical elements."""

from __future__ import annotations

from pydicom import Dataset

from osteoray.ingest.ct_frames import frame_header
from osteoray.ingest.ct_series import Series
from osteoray.ingest.dicom import label, open_dicom, optional_number, text

NO_AGENT = {"", "NONE", "NO", "N", "N/A", "NA"}
"""What ContrastBolusAgent says, in upper case, where no agent was given."""


def acquisition_facts(series: Series) -> dict:
    """Facts of a scan; JSON values that identify nobody.

    Raises:
        UnreadableInput: the first image cannot be read any more.
    """
    first = series.slices[0]
    file = open_dicom(first.path, first.name, "ING-DICOM")
    dataset = frame_header(file, first.name, first.frame)
    exposure_mas = optional_number(dataset, "Exposure")
    return {
        "kvp": optional_number(dataset, "KVP"),
        "exposure_mas": optional_number(dataset, "ExposureInmAs") if exposure_mas is None else exposure_mas,
        "manufacturer": label(text(dataset, "Manufacturer")),
        "model": label(text(dataset, "ManufacturerModelName")),
        "software": label(text(dataset, "SoftwareVersions")),
        "table_height_mm": optional_number(dataset, "TableHeight"),
        "reconstruction_diameter_mm": optional_number(dataset, "ReconstructionDiameter"),
        "patient_position": label(text(dataset, "PatientPosition")),
        "has_contrast": names_contrast(file),
    }


def names_contrast(dataset: Dataset) -> bool:
    """Whether a file names a contrast agent, as text or by code (PS3.3 C.7.6.4, C.7.6.4b).

    Args:
        dataset: of the file; of a multi-frame file the code stands beside the frames.
    """
    if text(dataset, "ContrastBolusAgent").upper() not in NO_AGENT:
        return True
    try:
        return bool(dataset.get("ContrastBolusAgentSequence"))
    except Exception:  # A sequence whose bytes cannot be parsed raises anything; that it is there is all that is asked.
        return True
