import re

import pytest

from osteoray.errors.codes import REASONS
from osteoray.errors.unreadable import UnreadableInput
from osteoray.errors.verdict import Finding, Verdict, worst


def test_every_code_says_what_it_means_and_how_to_mend_it():
    for code, reason in REASONS.items():
        assert re.fullmatch(r"[A-Z]{3,4}-[A-Z0-9]+", code), code
        assert reason.meaning.endswith(".")
        assert reason.fix.endswith(".")


def test_an_unknown_code_is_refused():
    with pytest.raises(ValueError, match=r"code: expected one of .*, got 'NO-SUCH'"):
        Finding("NO-SUCH", "x")


def test_the_worst_finding_decides():
    warning, withheld = Finding("ING-GEOMETRY", "x"), Finding("CAL-PHANTOM", "x")
    assert worst([]) is Verdict.REPORTED
    assert worst([warning]) is Verdict.WARNING
    assert worst([warning, withheld]) is Verdict.WITHHELD


def test_unreadable_input_tells_the_whole_story_in_one_line():
    error = UnreadableInput("P1/a.dcm", "PixelSpacing (0028,0030)", "two lengths in mm", [0.7], "ING-DICOM")
    assert "\n" not in str(error)
    assert str(error).startswith(
        "ING-DICOM: P1/a.dcm: PixelSpacing (0028,0030): expected two lengths in mm, got [0.7]. Fix: "
    )
