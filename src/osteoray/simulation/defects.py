"""What can be made wrong with a virtual patient on demand, one switch each, and the reason code that must find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from osteoray.config.simulation import Defect

if TYPE_CHECKING:
    from osteoray.config.simulation import SimulationConfig


@dataclass(frozen=True)
class Expectation:
    """What a defect does and what must become of it.

    Attributes:
        what: what is wrong, for the documentation.
        codes: reason codes of which at least one must, and no other may, be raised for the patient, his X-ray or side;
            none if the pipeline must read the data as if nothing had happened.
        undetected: why no stage finds it yet; empty where one does.
    """

    what: str
    codes: tuple[str, ...] = ()
    undetected: str = ""


EXPECTED: dict[Defect, Expectation] = {
    "implant_ct": Expectation("total hip replacement on the left at the time of the CT", ("SEG-METAL", "ING-METAL")),
    "fracture_ct": Expectation(
        "the left femoral neck or trochanteric region is broken since before the CT", ("SEG-FRACTURE", "SEG-PIECES")
    ),
    "implant_xray": Expectation("the left hip was replaced between CT and X-rays", ("ING-METAL",)),
    "contrast": Expectation("iodine in vessels and bladder, and its tag", ("ING-CONTRAST",)),
    # The step may lie in a femur, which then looks broken.
    "motion": Expectation(
        "the patient moved by some mm in the middle of the CT", ("ING-MOTION", "SEG-FRACTURE", "LAT-FIELD")
    ),
    "very_large": Expectation("body mass index 48: wider than the field of view", ("ING-TRUNCATED",)),
    "ct_cropped": Expectation("the scan ends at the lesser trochanter", ("SEG-CROPPED",)),
    "phantom_absent": Expectation("no phantom", ("CAL-PHANTOM",)),
    "phantom_cut": Expectation("the phantom covers only 40 mm of the scan", ("CAL-LENGTH",)),
    "phantom_clipped": Expectation("one side of the phantom lies outside the field of view", ("CAL-RODS",)),
    "phantom_turned": Expectation("the phantom lies with its other end forward", ("CAL-ORDER",)),
    "rods_swapped": Expectation("two rods of the phantom have changed places", ("CAL-ORDER", "CAL-R2")),
    "ct_empty": Expectation("the CT folder holds no image", ("ING-EMPTY",)),
    "ct_corrupt": Expectation("a slice's file was cut off", ("ING-DICOM",)),
    "ct_localizer_only": Expectation("the folder holds localizers only", ("ING-SERIES",)),
    "slice_missing": Expectation("a slice inside the scan is missing", ("ING-MISSING",)),
    "slice_duplicate": Expectation("a slice lies twice at one position", ("ING-DUPLICATE",)),
    "slice_uneven": Expectation("the lower half is spaced wider", ("ING-SPACING",)),
    "gantry_tilt": Expectation("slices of a tilted gantry", ("ING-TILT",)),
    "not_hu": Expectation("pixel values are no Hounsfield units", ("ING-RESCALE",)),
    "thick_slices": Expectation("slices of 5 mm", ("ING-THICK",)),
    "localizer": Expectation("a localizer and a dose report lie in the folder"),
    "padding": Expectation("outside the circle lies a padding value of -3024 HU"),
    "feet_first": Expectation("the patient lay feet first"),
    "compressed": Expectation("slices in four lossless compressions"),
    "xray_unreadable": Expectation("the X-ray's file was cut off", ("ING-XRAY",)),
    "xray_one_hip": Expectation("the X-ray says that it shows one hip", ("ING-ONEHIP",)),
    "xray_flipped": Expectation("the picture is mirrored, the tags are not", ("ING-SIDE",)),
    "xray_wrong_laterality": Expectation("two laterality tags contradict each other", ("ING-SIDE",)),
    "xray_wrong_photometric": Expectation("the picture is inverted, the tags are not", ("ING-POLARITY",)),
    "xray_no_geometry": Expectation("no distances are recorded", ("ING-GEOMETRY",)),
    "xray_no_pitch": Expectation("no pixel size is recorded", ("ING-XRAY",)),
    "xray_flexed": Expectation("both femurs are flexed by 30°", ("POSE-FLEXION",)),
    "xray_rotated": Expectation("both femurs are rotated outwards by 35°", ("POSE-ROTATION",)),
    "xray_abducted": Expectation(
        "both femurs are abducted by 24° and may leave the detector", ("POSE-ABDUCTION", "LAT-FIELD")
    ),
    "xray_cropped": Expectation("the beam is collimated above the lesser trochanter", ("REG-FIELD",)),
    "xray_motion": Expectation("the patient moved by some mm during the exposure", (), "no stage looks for it"),
}

if missing := set(get_args(Defect)) ^ set(EXPECTED):
    raise TypeError(f"defects without expectation, or the other way round: {sorted(missing)}")


def defects_of(config: SimulationConfig, patient_id: str) -> frozenset[Defect]:
    """The defects that the configuration asks for in a patient."""
    return frozenset(config.defects.get(patient_id, ()))
