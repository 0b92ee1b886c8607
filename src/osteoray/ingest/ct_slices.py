"""The CT images of a folder, by their headers alone; a multi-frame file holds many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydicom import Dataset

from osteoray.errors.unreadable import UnreadableInput
from osteoray.ingest.ct_frames import frame_headers
from osteoray.ingest.ct_lossy import is_lossy
from osteoray.ingest.dicom import (
    DICOM_SUFFIXES,
    has_preamble,
    named,
    number,
    numbers,
    open_dicom,
    optional_number,
    spoken_name,
    text,
    texts,
)

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTIFRAME_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
"""Enhanced CT, and CT that was converted to it."""
OTHER_OBJECTS = {
    "1.2.840.10008.5.1.4.1.1.7": "secondary capture",
    "1.2.840.10008.5.1.4.1.1.88.67": "dose report",
    "1.2.840.10008.1.3.10": "DICOMDIR",
    # A CT file is another object only if it is of the types below.
    **dict.fromkeys((CT_IMAGE, *MULTIFRAME_CT), "localizer or derived CT without geometry"),
}
NEVER_MEASURED = ("LOCALIZER", "SECONDARY", "DERIVED")
"""Values of ImageType that no measured image has."""
MAX_RESCALE = 1e5
"""Largest slope or intercept believed; CT scanners write 1 and -1024 or so."""
REGION_ELEMENTS = ("SeriesDescription", "ProtocolName", "BodyPartExamined")


@dataclass(frozen=True, eq=False)
class CtSlice:
    """What the header of one CT image says.

    Attributes:
        path: the file.
        name: how messages call it.
        frame: index in a multi-frame file; None where the file is one image.
        person: PatientID as stored; only compared, never written into results.
        series: SeriesInstanceUID; never written anywhere.
        frame_of_reference: FrameOfReferenceUID; never written anywhere.
        series_number: the number within the study, or empty.
        image_type: values of ImageType, upper case.
        orientation: unit directions of the columns' index i (first row) and of the rows' index j (second), LPS.
        position_mm: LPS position of the first pixel's centre.
        spacing_mm: distance between rows, and between columns.
        shape: rows and columns.
        thickness_mm: nominal thickness; None if not recorded.
        kernel: reconstruction kernel.
        kvp: tube voltage; None if not recorded.
        slope: HU per stored unit; None if not recorded.
        intercept: HU of the stored value 0; None if not recorded.
        rescale_type: unit after rescaling, upper case; empty if not recorded.
        is_lossy: whether compression lost values.
        tilt_deg: of the gantry as recorded; None if not recorded.
        stack: which stack and time of a multi-frame file; empty elsewhere.
        words: what descriptions say of the region; never written anywhere.
    """

    path: Path
    name: str
    frame: int | None
    person: str
    series: str
    frame_of_reference: str
    series_number: str
    image_type: tuple[str, ...]
    orientation: Float[np.ndarray, "2 3"]
    position_mm: Float[np.ndarray, 3]
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    thickness_mm: float | None
    kernel: str
    kvp: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    is_lossy: bool
    tilt_deg: float | None
    stack: str
    words: str


def read_slices(folder: Path) -> tuple[list[CtSlice], Counter[str]]:
    """Headers of every CT image below a folder, and a count of what else lies there.

    Hidden files and files that do not claim to be DICOM are counted, not read.

    Raises:
        UnreadableInput: a file that claims to be DICOM cannot be read, or a CT image lacks its geometry.
    """
    slices, others = [], Counter[str]()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = spoken_name(path, folder)
        if path.name.startswith("."):
            others["hidden file"] += 1
        elif not has_preamble(path):
            if path.suffix.lower() in DICOM_SUFFIXES:
                raise UnreadableInput(
                    name, "file", "DICOM with its preamble", f"{path.stat().st_size} bytes without", "ING-DICOM"
                )
            others["other file"] += 1
        else:
            dataset = open_dicom(path, name, "ING-DICOM")
            kind = sop_class(dataset, name, "ING-DICOM")
            if found := ct_slices(dataset, kind, path, name):
                slices.extend(found)
            else:
                others[OTHER_OBJECTS.get(kind, "other DICOM object")] += 1
    return slices, others


def ct_slices(dataset: Dataset, kind: str, path: Path, name: str) -> list[CtSlice]:
    """The CT images of a file; none if it is something else, or is never measured and lacks its geometry.

    Args:
        dataset: of the file.
        kind: its SOP class.
        path: the file.
        name: how messages call it.

    Raises:
        UnreadableInput: an image that could be measured lacks its geometry.
    """
    if kind != CT_IMAGE and kind not in MULTIFRAME_CT:
        return []
    has_lost = is_lossy(dataset)
    try:
        if kind == CT_IMAGE:
            return [parse_slice(dataset, path, name, None, has_lost)]
        frames = enumerate(frame_headers(dataset, name))
        return [parse_slice(header, path, f"{name} frame {number + 1}", number, has_lost) for number, header in frames]
    except UnreadableInput:
        if not set(NEVER_MEASURED) & set(image_type(dataset)):
            raise
        return []


def image_type(dataset: Dataset) -> tuple[str, ...]:
    """Values of ImageType, upper case."""
    return tuple(value.upper() for value in texts(dataset, "ImageType"))


def sop_class(dataset: Dataset, name: str, code: str) -> str:
    """The kind of object, by the data set or else by the file's own header.

    Raises:
        UnreadableInput: neither says it.
    """
    uid = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")
    if not uid:
        raise UnreadableInput(name, "SOPClassUID (0008,0016)", "the kind of object", "nothing", code)
    return uid


def parse_slice(dataset: Dataset, path: Path, name: str, frame: int | None, has_lost: bool) -> CtSlice:
    """The header of a CT image as numbers.

    Args:
        dataset: of the image.
        path: the file.
        name: how messages call the image.
        frame: index in a multi-frame file; None where the file is one image.
        has_lost: whether compression lost values.

    Raises:
        UnreadableInput: an element of the geometry is absent or malformed.
    """

    def required(keyword: str, count: int) -> tuple[float, ...]:
        values = numbers(dataset, keyword, count, name, "ING-DICOM")
        if values is None:
            raise UnreadableInput(name, keyword, f"{count} number(s)", "nothing", "ING-DICOM")
        return values

    rows, columns = (int(required(keyword, 1)[0]) for keyword in ("Rows", "Columns"))
    row_mm, column_mm = required("PixelSpacing", 2)
    if min(row_mm, column_mm) <= 0 or min(rows, columns) < 1:
        raise UnreadableInput(
            name, "PixelSpacing (0028,0030)", "two positive lengths in mm", [row_mm, column_mm], "ING-DICOM"
        )
    orientation = np.array(required("ImageOrientationPatient", 6)).reshape(2, 3)
    if np.abs(orientation @ orientation.T - np.eye(2)).max() > 1e-2:
        raise UnreadableInput(
            name,
            "ImageOrientationPatient (0020,0037)",
            "two orthogonal unit vectors",
            orientation.ravel().tolist(),
            "ING-DICOM",
        )
    thickness = numbers(dataset, "SliceThickness", 1, name, "ING-DICOM")
    return CtSlice(
        path=path,
        name=name,
        frame=frame,
        person=text(dataset, "PatientID"),
        series=text(dataset, "SeriesInstanceUID"),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        series_number=text(dataset, "SeriesNumber"),
        image_type=image_type(dataset),
        orientation=orientation / np.linalg.norm(orientation, axis=1, keepdims=True),
        position_mm=np.array(required("ImagePositionPatient", 3)),
        spacing_mm=(row_mm, column_mm),
        shape=(rows, columns),
        thickness_mm=thickness[0] if thickness and thickness[0] > 0 else None,
        kernel=text(dataset, "ConvolutionKernel"),
        kvp=optional_number(dataset, "KVP"),
        slope=_rescale(dataset, "RescaleSlope", name),
        intercept=_rescale(dataset, "RescaleIntercept", name),
        rescale_type=text(dataset, "RescaleType").upper(),
        is_lossy=has_lost,
        tilt_deg=optional_number(dataset, "GantryDetectorTilt"),
        stack="/".join((text(dataset, "StackID"), text(dataset, "TemporalPositionIndex"))).strip("/"),
        words=" ".join(text(dataset, keyword) for keyword in REGION_ELEMENTS),
    )


def _rescale(dataset: Dataset, keyword: str, name: str) -> float | None:
    value = number(dataset, keyword, name, "ING-RESCALE")
    if value is not None and abs(value) > MAX_RESCALE:
        raise UnreadableInput(name, named(keyword), f"at most {MAX_RESCALE:g}", value, "ING-RESCALE")
    return value
