"""Files of several people are never measured as one: patient identifiers are compared, and told to nobody."""

from __future__ import annotations

from osteoray.errors.unreadable import UnreadableInput

_ELEMENT = "PatientID (0010,0020)"


def one_person(stored: list[str]) -> str:
    """The identifier that all images of a CT series carry; an absent one is empty.

    Raises:
        UnreadableInput: they carry several.
    """
    if count := len(set(stored)) - 1:
        others = sum(identifier != stored[0] for identifier in stored)
        raise UnreadableInput(
            "CT series", _ELEMENT, "the same in every image", f"{count + 1} different ones, {others} images with "
            "another than the first", "ING-PERSON",
        )  # fmt: skip
    return stored[0]


def check_same_person(stored: str, person_of_ct: str, name: str) -> None:
    """Refuse an X-ray whose identifier is not the CT's.

    Args:
        stored: the X-ray's identifier; empty if absent.
        person_of_ct: the CT's.
        name: how messages call the X-ray.

    Raises:
        UnreadableInput: they differ.
    """
    if stored != person_of_ct:
        got = "another" if stored and person_of_ct else f"none in the {'CT' if stored else 'X-ray'}"
        raise UnreadableInput(name, _ELEMENT, "the same as in the CT", got, "ING-PERSON")
