"""The phantom that lies there is recognised, and no other is ever accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.calibration.conftest import NAMES, Scan, drawn

from osteoray.calibration.calibrating import Calibration
from osteoray.calibration.phantom import Phantom
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Verdict, worst
from osteoray.imaging.volume import Volume

Measure = Callable[..., Calibration]
SCAN = Scan(slices=26, seed=21, noise_hu=20.0)


@pytest.fixture(scope="module")
def volumes(phantoms: dict[str, Phantom]) -> dict[str, Volume]:
    return {name: drawn(SCAN, phantom) for name, phantom in phantoms.items()}


@pytest.mark.parametrize("name", NAMES)
def test_the_phantom_is_recognised_among_all(
    name: str, volumes: dict[str, Volume], phantoms: dict[str, Phantom], measure: Measure
) -> None:
    calibration = measure(volumes[name], *phantoms.values())
    assert calibration.phantom is phantoms[name]
    assert calibration.findings == []
    assert set(calibration.likeness) == {phantom.name for phantom in phantoms.values()}
    ranked = sorted(calibration.likeness.values())
    assert ranked[-1] == calibration.likeness[phantoms[name].name] > ranked[-2] + 0.05


@pytest.mark.parametrize("there", NAMES)
@pytest.mark.parametrize("table", NAMES)
def test_a_wrong_table_is_refused(
    there: str, table: str, volumes: dict[str, Volume], phantoms: dict[str, Phantom], measure: Measure
) -> None:
    if there == table:
        assert measure(volumes[there], phantoms[table]).findings == []
        return
    try:
        calibration = measure(volumes[there], phantoms[table])
    except Withheld:
        return
    assert worst(calibration.findings) is Verdict.WITHHELD


@pytest.mark.parametrize("name", NAMES)
def test_a_mirrored_image_is_refused(
    name: str, volumes: dict[str, Volume], phantoms: dict[str, Phantom], measure: Measure
) -> None:
    mirrored = Volume(np.ascontiguousarray(volumes[name].array[:, :, ::-1]), volumes[name].grid)
    calibration = measure(mirrored, *phantoms.values())
    assert [finding.code for finding in calibration.findings] == ["CAL-ORDER"]
    assert calibration.paths.is_turned


def test_two_certificates_of_one_model_are_told_to_be_named(
    volumes: dict[str, Volume], phantom: Phantom, measure: Measure
) -> None:
    with pytest.raises(Withheld, match="expected one to lead"):
        measure(volumes["b_mas200"], phantom, replace(phantom, name="B-MAS200 of ward 3"))


def test_mindways_is_converted_and_says_so(
    volumes: dict[str, Volume], phantoms: dict[str, Phantom], measure: Measure
) -> None:
    calibration = measure(volumes["mindways_model3"], phantoms["mindways_model3"])
    own, ratio = calibration.own_line.slope_mg_cm3_per_hu, calibration.k2hpo4_per_ha
    assert own == pytest.approx(0.743, rel=0.01)
    assert ratio == pytest.approx(0.8267, abs=1e-4)
    assert calibration.line.slope_mg_cm3_per_hu == pytest.approx(own / ratio)
