"""An X-ray file becomes log attenuation with its geometry, or is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut

from osteoray.errors.unreadable import UnreadableInput
from osteoray.errors.verdict import Finding
from osteoray.imaging.radiograph import Radiograph
from osteoray.ingest.ct_pixels import padding_mask
from osteoray.ingest.ct_slices import sop_class
from osteoray.ingest.dicom import decode_pixels, has_preamble, label, one_line, open_dicom, optional_number, text
from osteoray.ingest.persons import check_same_person
from osteoray.ingest.xray_field import exposed_field
from osteoray.ingest.xray_geometry import ASSUMED, XrayGeometry, read_geometry
from osteoray.ingest.xray_intensity import ValueScale, log_attenuation, value_scale
from osteoray.ingest.xray_picture import judge
from osteoray.ingest.xray_side import Turn, read_laterality, read_turn, read_view

XRAY_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
}


@dataclass(frozen=True, eq=False)
class XrayImage:
    """An X-ray fit for registration and learning.

    Attributes:
        radiograph: log attenuation, patient left on the image right, head up.
        facts: geometry with its sources and acquisition; JSON values that identify nobody.
        findings: warnings of this X-ray, and sides that are withheld.
    """

    radiograph: Radiograph
    facts: dict
    findings: list[Finding]


def read_xray(
    path: Path,
    xray_id: str,
    *,
    log_offset: float,
    log_units_per_neper: float,
    display_nepers: float,
    accepts_display: bool,
    default_sid_mm: float,
    person_of_ct: str | None = None,
) -> XrayImage:
    """Read one projection radiograph.

    Args:
        path: a DX or CR file.
        xray_id: the patient's name of it, for findings.
        log_offset: stored value of zero attenuation, for logarithmic images.
        log_units_per_neper: stored units per neper, for logarithmic images.
        display_nepers: attenuation given to the full range of display images.
        accepts_display: whether display images are read (with a warning) or refused.
        default_sid_mm: focus to detector where it is not recorded.
        person_of_ct: PatientID of the CT, which the X-ray must carry too; None if there is no CT to compare with.

    Raises:
        UnreadableInput: the file cannot be used; the code says why.
    """
    name = xray_id
    dataset, modality = open_xray(path, name)
    if person_of_ct is not None:
        check_same_person(text(dataset, "PatientID"), person_of_ct, name)
    view, laterality, turn = read_view(dataset, name), read_laterality(dataset, name), read_turn(dataset, name)
    if laterality in ("left", "right"):
        raise UnreadableInput(
            name, "ImageLaterality (0020,0062)", "a view of both hips (B, U or none)", laterality, "ING-ONEHIP"
        )
    scale = value_scale(
        dataset, name, offset=log_offset, units_per_neper=log_units_per_neper, display_nepers=display_nepers
    )
    acquisition_class = f"{modality} {'presentation' if scale.is_presentation else 'processing'} {scale.relation}"
    if scale.is_display and not accepts_display:
        raise UnreadableInput(
            name, "PixelIntensityRelationship (0028,1040)", "LIN or LOG, FOR PROCESSING", acquisition_class, "ING-CLASS"
        )
    attenuation, exposed = decode_attenuation(dataset, name, scale)
    stored = read_geometry(dataset, name, attenuation.shape, default_sid_mm)
    array, geometry = turned(attenuation, stored, turn)
    picture = judge(array, None if exposed is None else turned(exposed, stored, turn)[0], geometry.pitch_mm, name)
    geometry.sources.update(view=view, orientation=turn.source)
    facts = {
        "shape": list(array.shape),
        **geometry_facts(geometry),
        "acquisition_class": acquisition_class,
        "laterality": laterality,
        **picture.facts,
        **acquisition_facts(dataset),
    }
    findings = [*warnings_of(xray_id, facts, scale), *picture.findings]
    return XrayImage(Radiograph(picture.attenuation, geometry.pitch_mm), facts, findings)


def open_xray(path: Path, name: str) -> tuple[Dataset, str]:
    """The elements of an X-ray file, and DX or CR.

    Raises:
        UnreadableInput: it is not DICOM, or another object.
    """
    if not has_preamble(path):
        raise UnreadableInput(
            name, "file", "DICOM with its preamble", f"{path.stat().st_size} bytes without", "ING-XRAY"
        )
    dataset = open_dicom(path, name, "ING-XRAY", pixels=True)
    modality = XRAY_IMAGES.get(sop_class(dataset, name, "ING-XRAY"))
    if modality is None:
        got = label(text(dataset, "Modality")) or "another object"
        raise UnreadableInput(name, "SOPClassUID (0008,0016)", "a DX or CR image", got, "ING-XRAY")
    return dataset, modality


def decode_attenuation(dataset: Dataset, name: str, scale: ValueScale) -> tuple[np.ndarray, np.ndarray | None]:
    """Log attenuation of the stored image: modality LUT, then the fixed scale, then padding and collimator.

    Returns:
        The image, in which padding and what the collimator shades are as if nothing had been in the beam, and the
        exposed pixels; None if all are.

    Raises:
        UnreadableInput: the pixels are not one grey image, or their LUT is broken.
    """
    stored = decode_pixels(dataset, name, "ING-XRAY")
    if stored.ndim != 2 or min(stored.shape) < 16:
        raise UnreadableInput(name, "PixelData (7FE0,0010)", "one grey image", f"shape {stored.shape}", "ING-XRAY")
    try:
        values = apply_modality_lut(stored, dataset)
    except Exception as error:  # A broken LUT raises whatever its bytes happen to mean.
        raise UnreadableInput(
            name, "ModalityLUTSequence (0028,3000)", "a usable LUT", one_line(error), "ING-XRAY"
        ) from error
    attenuation = log_attenuation(values, scale)
    field = exposed_field(dataset, attenuation.shape)
    outside = np.zeros(attenuation.shape, bool) if field is None else ~field
    padding = padding_mask(dataset, stored)
    if padding is not None:
        outside |= padding
    if outside.all() or not outside.any():
        return attenuation, None
    attenuation[outside] = attenuation[~outside].min()
    return attenuation, ~outside


def turned(array: np.ndarray, geometry: XrayGeometry, turn: Turn) -> tuple[np.ndarray, XrayGeometry]:
    """Image and geometry with patient left on the image right and the head up."""
    if turn.transpose:
        array, geometry = array.T, geometry.transposed()
    geometry = geometry.flipped(array.shape, rows=turn.flip_rows, columns=turn.flip_columns)
    array = array[:: -1 if turn.flip_rows else 1, :: -1 if turn.flip_columns else 1]
    return np.ascontiguousarray(array), geometry


def geometry_facts(geometry: XrayGeometry) -> dict:
    """Lengths, foot of the perpendicular, and where they come from; JSON values."""
    return {
        "pitch_mm": list(geometry.pitch_mm),
        "sid_mm": geometry.sid_mm,
        "principal_point": list(geometry.principal_point),
        "source_patient_mm": geometry.source_patient_mm,
        "sources": geometry.sources,
    }


def acquisition_facts(dataset: Dataset) -> dict:
    """How the image was taken: a keep-list of technical elements."""
    load_uas = optional_number(dataset, "ExposureInuAs")
    return {
        "kvp": optional_number(dataset, "KVP"),
        "exposure_mas": load_uas / 1000 if load_uas is not None else optional_number(dataset, "Exposure"),
        "exposure_index": optional_number(dataset, "ExposureIndex"),
        "grid": label(text(dataset, "Grid")),
        "manufacturer": label(text(dataset, "Manufacturer")),
        "model": label(text(dataset, "ManufacturerModelName")),
    }


def warnings_of(xray_id: str, facts: dict, scale: ValueScale) -> list[Finding]:
    """Warnings: geometry that was assumed, and values without known relation to exposure."""
    findings = []
    assumed = sorted(quantity for quantity, source in facts["sources"].items() if source == ASSUMED)
    if assumed:
        findings.append(Finding("ING-GEOMETRY", f"assumed: {', '.join(assumed)}", xray_id))
    if scale.is_display:
        findings.append(Finding("ING-DISPLAY", f"acquisition class: {facts['acquisition_class']}", xray_id))
    return findings
