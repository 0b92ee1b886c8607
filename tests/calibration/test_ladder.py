"""What stands in for the phantom says so, and stands in for nothing that hides a mirrored image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.calibration.conftest import Scan

from osteoray.calibration.calibrating import Settings
from osteoray.calibration.gates import Gates
from osteoray.calibration.internal import internal_line, physical_line
from osteoray.calibration.ladder import Fallback, Outcome, calibrate_by_ladder
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.physics import expected
from osteoray.calibration.protocol import Protocol
from osteoray.calibration.reference import ReferenceScan, reference_line, reference_scans
from osteoray.config.calibration import CalibrationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume

Draw = Callable[[Scan], Volume]
PROTOCOL = Protocol("Maker One", 120.0, "STANDARD")
EMPTY = Scan(has_phantom=False)


def earlier(slope: float, protocol: Protocol = PROTOCOL, phantom: str = "B-MAS200") -> ReferenceScan:
    return ReferenceScan(protocol, phantom, slope, 1.0)


REFERENCE = [earlier(0.60), earlier(0.71), earlier(0.72), earlier(0.73), earlier(0.9, Protocol("Other", 120.0, "B"))]


def climb(volume: Volume, phantom: Phantom, *levels: str, protocol: Protocol = PROTOCOL) -> Outcome:
    config = CalibrationConfig(reference_scans=3)
    gates, settings, fallback = (
        part(**{name: getattr(config, name) for name in part.__dataclass_fields__})
        for part in (Gates, Settings, Fallback)
    )
    given = {"phantoms": [phantom], "protocol": protocol, "reference": REFERENCE}
    return calibrate_by_ladder(volume, levels, **given, gates=gates, settings=settings, fallback=fallback)


def test_a_good_phantom_is_never_replaced(draw: Draw, phantom: Phantom) -> None:
    outcome = climb(draw(Scan()), phantom, "phantom", "asynchronous", "internal", "none")
    assert (outcome.facts["level"], outcome.findings) == ("phantom", [])
    assert outcome.facts["protocol"] == {"scanner": "Maker One", "kvp": 120.0, "kernel": "STANDARD"}


def test_without_a_phantom_the_latest_scans_of_the_same_protocol_speak(draw: Draw, phantom: Phantom) -> None:
    outcome = climb(draw(EMPTY), phantom, "phantom", "asynchronous", "internal")
    assert outcome.facts["level"] == "asynchronous"
    assert outcome.line.slope_mg_cm3_per_hu == pytest.approx(0.72)
    assert outcome.facts["reference"] == {"scans": 3, "slope_sd": 0.01, "intercept_sd": 0.0}
    assert [finding.code for finding in outcome.findings] == ["CAL-LEVEL"]
    assert "CAL-PHANTOM" in outcome.findings[0].detail


def test_another_protocol_goes_one_step_further(draw: Draw, phantom: Phantom) -> None:
    levels = ("phantom", "asynchronous", "none")
    outcome = climb(draw(EMPTY), phantom, *levels, protocol=Protocol("Maker One", 100.0, "STANDARD"))
    assert outcome.facts["level"] == "none"
    assert outcome.line.slope_mg_cm3_per_hu == pytest.approx(expected(100.0).slope_mg_cm3_per_hu)


def test_by_default_a_patient_without_phantom_is_withheld(draw: Draw, phantom: Phantom) -> None:
    assert CalibrationConfig().ladder == ("phantom",)
    with pytest.raises(Withheld, match="CAL-PHANTOM"):
        climb(draw(EMPTY), phantom, *CalibrationConfig().ladder)


def test_a_mirrored_image_is_never_stepped_over(draw: Draw, phantom: Phantom) -> None:
    outcome = climb(draw(Scan(mirrored=True)), phantom, "phantom", "asynchronous", "none")
    assert outcome.facts["level"] == "phantom"
    assert [finding.code for finding in outcome.findings] == ["CAL-ORDER"]


def test_a_poor_line_gives_way(draw: Draw, phantom: Phantom) -> None:
    outcome = climb(draw(Scan(intercept=40.0)), phantom, "phantom", "asynchronous")
    assert outcome.facts["level"] == "asynchronous" and outcome.calibration is None
    alone = climb(draw(Scan(intercept=40.0)), phantom, "phantom")
    assert [finding.code for finding in alone.findings] == ["CAL-SLOPE"]


def test_too_few_reference_scans_are_refused() -> None:
    with pytest.raises(
        Withheld, match="Maker One, 120 kV, kernel STANDARD: expected at least 5 reference scans, got 4"
    ):
        reference_line(REFERENCE, PROTOCOL, latest=10, fewest=5)
    unknown = Protocol("", None, "")
    with pytest.raises(Withheld, match="CAL-REFERENCE"):
        reference_line([earlier(0.7, unknown)], unknown, latest=10, fewest=1)


def test_reference_scans_of_two_phantoms_are_not_averaged() -> None:
    mixed = [earlier(0.71), earlier(0.83, phantom="Mindways"), earlier(0.71), earlier(0.83, phantom="Mindways")]
    with pytest.raises(Withheld, match="kernel STANDARD: expected reference scans of one phantom, got B-MAS200, Mind"):
        reference_line(mixed, PROTOCOL, latest=1, fewest=1)
    elsewhere = [*REFERENCE, earlier(0.83, Protocol("Other", 120.0, "B"), "Mindways")]
    assert reference_line(elsewhere, PROTOCOL, latest=2, fewest=2).line.slope_mg_cm3_per_hu == pytest.approx(0.725)


def test_scans_out_of_control_are_no_reference() -> None:
    row = {
        "scanner": "A",
        "kvp": "120",
        "kernel": "B",
        "phantom": "C",
        "slope_mg_cm3_per_hu": "0.7",
        "intercept_mg_cm3": "1",
    }
    assert len(reference_scans([row | {"in_control": "yes"}, row | {"in_control": "no"}])) == 1


def tissues(gain: float, offset_hu: float, kvp: float) -> Volume:
    """A body of pure fat and muscle in air, as a scanner with gain and offset reads it."""
    grid = VoxelGrid.axial((30, 100, 150), (4.0, 2.0, 2.0), (-150.0, -100.0, 0.0))
    points_mm = grid.coordinates_mm()
    x_mm, y_mm = points_mm[..., 0], points_mm[..., 1]
    ideal = np.full(grid.shape, -1000.0)
    ideal[(x_mm / 130) ** 2 + (y_mm / 80) ** 2 < 1] = expected(kvp).fat_hu
    ideal[(x_mm / 105) ** 2 + (y_mm / 55) ** 2 < 1] = expected(kvp).muscle_hu
    ideal[np.hypot(x_mm - 60, y_mm) < 22] = 400.0
    noise = np.random.default_rng(0).normal(0, 20, grid.shape)
    return Volume(np.round(np.maximum(gain * ideal + offset_hu + noise, -1024)).astype(np.int16), grid)


@pytest.mark.parametrize(("gain", "offset_hu", "kvp"), [(1.0, 0.0, 120.0), (0.97, 6.0, 120.0), (1.01, -4.0, 80.0)])
def test_tissues_take_out_gain_and_offset(gain: float, offset_hu: float, kvp: float) -> None:
    found = internal_line(tissues(gain, offset_hu, kvp), kvp, 20.0)
    slope = expected(kvp).slope_mg_cm3_per_hu / gain
    assert found.line.slope_mg_cm3_per_hu == pytest.approx(slope, rel=0.01)
    assert found.line.intercept_mg_cm3 == pytest.approx(-slope * offset_hu, abs=2.0)


def test_tissues_that_do_not_fit_are_refused() -> None:
    volume = tissues(1.0, 0.0, 120.0)
    volume.array[(volume.array > -40) & (volume.array < 200)] += 70
    with pytest.raises(Withheld, match="expected a line within 20 HU, got"):
        internal_line(volume, 120.0, 20.0)
    with pytest.raises(Withheld, match="kvp: expected 80 to 140 kV"):
        internal_line(tissues(1.0, 0.0, 120.0), None, 20.0)
    with pytest.raises(Withheld, match="patient: expected a body"):
        internal_line(
            Volume(np.full((9, 40, 40), -1000, np.int16), VoxelGrid.axial((9, 40, 40), (4.0,) * 3)), 120.0, 9.0
        )


def test_physics_alone_assumes_120_kv() -> None:
    assert physical_line(None).slope_mg_cm3_per_hu == physical_line(120.0).slope_mg_cm3_per_hu
