"""How an X-ray lies: brought to patient left on the image right and head up, or refused if its tags disagree."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from osteoray.errors.unreadable import UnreadableInput
from osteoray.ingest.dicom import text, texts

LATERALITY = {"L": "left", "R": "right", "B": "both", "U": "unpaired"}
AP_CODES = {"399348003", "R-10206"}
PA_CODES = {"272479007", "R-10214"}


@dataclass(frozen=True)
class Turn:
    """What brings the stored image to the project's orientation, in this order.

    Attributes:
        transpose: swap rows and columns.
        flip_rows: turn upside down.
        flip_columns: mirror left and right.
        source: the tag, or "assumed".
    """

    transpose: bool
    flip_rows: bool
    flip_columns: bool
    source: str


def read_turn(dataset: Dataset, name: str) -> Turn:
    """Orientation of the stored image from Patient Orientation: along a row (L or R), down a column (F or H).

    Raises:
        UnreadableInput: the two directions do not span left-right and head-foot.
    """
    directions = [value[:1] for value in texts(dataset, "PatientOrientation")]
    if not any(directions):
        return Turn(False, False, False, "assumed")
    along_row, down_column = (*directions, "", "")[:2]
    source = "PatientOrientation (0020,0020)"
    if along_row in ("L", "R") and down_column in ("F", "H"):
        return Turn(False, down_column == "H", along_row == "R", source)
    if along_row in ("F", "H") and down_column in ("L", "R"):
        return Turn(True, along_row == "H", down_column == "R", source)
    raise UnreadableInput(name, source, "left-right and head-foot, such as L\\F", "\\".join(directions), "ING-SIDE")


def read_view(dataset: Dataset, name: str) -> str:
    """The tag that says the beam went from front to back, or "assumed".

    Raises:
        UnreadableInput: another view, or tags that contradict each other.
    """
    view = text(dataset, "ViewPosition").upper()
    sequence = dataset.get("ViewCodeSequence")
    code = text(sequence[0], "CodeValue") if sequence else ""
    coded = "AP" if code in AP_CODES else "PA" if code in PA_CODES else ""
    if view and coded and view != coded:
        raise UnreadableInput(name, "ViewPosition (0018,5101)", f"{coded} as in ViewCodeSequence", view, "ING-SIDE")
    if (view or coded or "AP") != "AP":
        raise UnreadableInput(name, "ViewPosition (0018,5101)", "AP", view or coded, "ING-XRAY")
    return "ViewPosition (0018,5101)" if view else "ViewCodeSequence (0054,0220)" if coded else "assumed"


def read_laterality(dataset: Dataset, name: str) -> str:
    """left, right, both, unpaired or unknown.

    Raises:
        UnreadableInput: Laterality and Image Laterality disagree.
    """
    image, series = text(dataset, "ImageLaterality"), text(dataset, "Laterality")
    if image and series and image != series:
        raise UnreadableInput(name, "ImageLaterality (0020,0062)", f"{series} as in Laterality", image, "ING-SIDE")
    return LATERALITY.get(image or series, "unknown")
