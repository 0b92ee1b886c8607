"""Where focus and detector were, from an X-ray's tags in a stated order of preference.

Pixel size at the detector: Imager Pixel Spacing; Nominal Scanned Pixel Spacing (film); Pixel Spacing calibrated by
geometry times the magnification; Pixel Spacing alone (assumed to be at the detector). Focus to detector: Distance
Source to Detector; else assumed. Focus to patient: Distance Source to Patient; else from the magnification factor;
else unknown. Foot of the perpendicular: the detector's centre where the field of view's place on it is recorded;
else the image centre.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydicom import Dataset

from osteoray.errors.unreadable import UnreadableInput
from osteoray.ingest.dicom import named, number, numbers, optional_number, text

ASSUMED = "assumed"
IMAGE_CENTRE = "image centre"
SID_RANGE_MM = (500.0, 3000.0)
PITCH_RANGE_MM = (0.02, 2.0)


@dataclass(frozen=True)
class XrayGeometry:
    """The X-ray system as recorded; fields as in the manifest.

    Attributes:
        pitch_mm: pixel size along rows and columns, at the detector.
        sid_mm: focus to detector.
        source_patient_mm: focus to the middle of the patient; None if unknown.
        principal_point: row and column of the foot of the perpendicular from the focus.
        sources: for each quantity the tag it came from, or "assumed".
    """

    pitch_mm: tuple[float, float]
    sid_mm: float
    source_patient_mm: float | None
    principal_point: tuple[float, float]
    sources: dict[str, str]

    def flipped(self, shape: tuple[int, int], *, rows: bool, columns: bool) -> XrayGeometry:
        """The geometry of the image turned about its middle row or column."""
        row, column = self.principal_point
        point = (shape[0] - 1 - row if rows else row, shape[1] - 1 - column if columns else column)
        return replace(self, principal_point=point)

    def transposed(self) -> XrayGeometry:
        """The geometry of the image with rows and columns swapped."""
        return replace(self, pitch_mm=self.pitch_mm[::-1], principal_point=self.principal_point[::-1])


def read_geometry(dataset: Dataset, name: str, shape: tuple[int, int], default_sid_mm: float) -> XrayGeometry:
    """Read the geometry of an image as stored, before any flip.

    Args:
        dataset: the image's elements.
        name: how messages call the file.
        shape: rows and columns.
        default_sid_mm: focus to detector where it is not recorded.

    Raises:
        UnreadableInput: no usable pixel size.
    """
    sources: dict[str, str] = {}
    sid_mm = optional_number(dataset, "DistanceSourceToDetector")
    if sid_mm is not None and SID_RANGE_MM[0] <= sid_mm <= SID_RANGE_MM[1]:
        sources["sid_mm"] = named("DistanceSourceToDetector")
    else:
        sid_mm, sources["sid_mm"] = default_sid_mm, ASSUMED
    source_patient_mm, sources["source_patient_mm"] = source_patient(dataset, sid_mm)
    magnification = sid_mm / source_patient_mm if source_patient_mm else None
    pitch_mm, sources["pitch_mm"] = pixel_pitch(dataset, name, magnification)
    point, sources["principal_point"] = principal_point(dataset, shape, pitch_mm)
    return XrayGeometry(pitch_mm, sid_mm, source_patient_mm, point, sources)


def source_patient(dataset: Dataset, sid_mm: float) -> tuple[float | None, str]:
    """Focus to mid-patient in mm and where it came from; zero and impossible distances count as absent."""
    distance_mm = optional_number(dataset, "DistanceSourceToPatient")
    if distance_mm is not None and 0.5 * sid_mm < distance_mm < sid_mm:
        return distance_mm, named("DistanceSourceToPatient")
    factor = optional_number(dataset, "EstimatedRadiographicMagnificationFactor")
    if factor is not None and 1.0 < factor < 2.0:
        return sid_mm / factor, named("EstimatedRadiographicMagnificationFactor")
    return None, "unknown"


def pixel_pitch(dataset: Dataset, name: str, magnification: float | None) -> tuple[tuple[float, float], str]:
    """Pixel size at the detector in mm along rows and columns, and where it came from.

    Raises:
        UnreadableInput: none is recorded, or it is not a plausible length.
    """
    for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelSpacing"):
        pair = numbers(dataset, keyword, 2, name, "ING-XRAY")
        if pair is None:
            continue
        source = named(keyword)
        if keyword == "PixelSpacing":
            # Calibrated spacing is the size in the patient; at the detector pixels are larger by the magnification.
            is_in_patient = text(dataset, "PixelSpacingCalibrationType") == "GEOMETRY" and magnification
            pair = (pair[0] * magnification, pair[1] * magnification) if is_in_patient and magnification else pair
            source = f"{source} times magnification" if is_in_patient else ASSUMED
        if not all(PITCH_RANGE_MM[0] <= length <= PITCH_RANGE_MM[1] for length in pair):
            raise UnreadableInput(name, named(keyword), "two lengths from 0.02 to 2 mm", list(pair), "ING-XRAY")
        return (pair[0], pair[1]), source
    raise UnreadableInput(name, named("ImagerPixelSpacing"), "two lengths in mm", "nothing", "ING-XRAY")


def principal_point(
    dataset: Dataset, shape: tuple[int, int], pitch_mm: tuple[float, float]
) -> tuple[tuple[float, float], str]:
    """Row and column under the focus, and where it came from: the focus is centred on the active detector."""
    centre = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    origin = numbers(dataset, "FieldOfViewOrigin", 2, "X-ray", "ING-XRAY")
    active_mm = numbers(dataset, "DetectorActiveDimensions", 2, "X-ray", "ING-XRAY")
    element_mm = numbers(dataset, "DetectorElementSpacing", 2, "X-ray", "ING-XRAY")
    is_turned = (number(dataset, "FieldOfViewRotation", "X-ray", "ING-XRAY") or 0) != 0
    if not (origin and active_mm and element_mm) or is_turned or text(dataset, "FieldOfViewHorizontalFlip") == "YES":
        return centre, IMAGE_CENTRE
    row, column = (
        (active / 2 - first * element) / pitch - 0.5
        for active, first, element, pitch in zip(active_mm, origin, element_mm, pitch_mm, strict=True)
    )
    return (row, column), named("FieldOfViewOrigin")
