"""Each defect switch raises its reason code and no other, and a harmless one raises none."""

from __future__ import annotations

import pytest
from tests.workflow.one_patient import run_patient

from osteoray.imaging.bones import Side
from osteoray.simulation.defects import EXPECTED
from osteoray.store.manifest import Manifest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

DETECTED = sorted(name for name, expected in EXPECTED.items() if expected.codes)
HARMLESS = sorted(name for name, expected in EXPECTED.items() if not expected.codes and not expected.undetected)


def findings(manifests: dict[str, Manifest]) -> set[tuple[str, str | None, str | None]]:
    """Reason code, X-ray and side of every finding of all stages."""
    return {(f.code, f.xray_id, f.side) for manifest in manifests.values() for f in manifest.findings}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return run_patient(tmp_path_factory.mktemp("clean"))


def test_without_a_defect_nothing_is_withheld(clean):
    assert not any(manifest.is_withheld for manifest in clean.values())
    # The patient's own pose may be unusual.
    assert all(code.startswith("POSE-") for code, _, _ in findings(clean))


@pytest.mark.parametrize("defect", DETECTED)
def test_a_defect_raises_its_code_and_no_other(defect, clean, tmp_path):
    new = findings(run_patient(tmp_path, (defect,))) - findings(clean)
    assert new, "nothing found"
    assert {code for code, _, _ in new} <= set(EXPECTED[defect].codes)
    # What concerns one X-ray or one side says so, and blames no other.
    if defect.startswith("xray_"):
        assert {xray for _, xray, _ in new} == {"X1"}
    if defect.startswith("implant_"):
        assert {side for _, _, side in new} == {"left"}


@pytest.mark.parametrize("defect", HARMLESS)
def test_a_harmless_defect_changes_nothing_that_is_measured(defect, clean, tmp_path):
    manifests = run_patient(tmp_path, (defect,))
    assert findings(manifests) == findings(clean)
    for side in Side:
        before, after = (run["densitometry"].facts[side]["abmd_g_cm2"] for run in (clean, manifests))
        assert after == pytest.approx(before, rel=1e-3)
