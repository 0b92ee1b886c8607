"""Tables of phantoms are read, or refused in one line that names the key."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from tests.paths import ROOT

from osteoray.calibration.phantom import Phantom

FOLDER = ROOT / "resources" / "phantoms"
TABLES = sorted(FOLDER.glob("*.yaml"))


def table(name: str = "b_mas200") -> dict:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_table_is_a_phantom(path) -> None:
    phantom = Phantom.from_table(yaml.safe_load(path.read_text()))
    assert phantom.levels_mg_cm3.size == len(phantom.rods) + 1
    clearance = np.abs(phantom.body_offsets_mm[:, None] - [rod.offset_mm for rod in phantom.rods]).min()
    assert clearance > phantom.diameter_mm / 2 + 2
    expected = phantom.expected_hu[:-1]
    assert not np.allclose(expected, expected[::-1], atol=50), "a mirrored scan could not be told"


def test_mindways_rods_read_as_its_equation_says() -> None:
    """Oracle: HU at 70 keV from mass attenuations (xraylib)."""
    hu = Phantom.from_table(table("mindways_model3")).expected_hu[:-1]
    np.testing.assert_allclose(hu, [-68.8, -26.5, 195.6, 365.0, 510.6], atol=0.5)


def test_the_slab_is_a_level_only_where_its_density_is_certified() -> None:
    assert Phantom.from_table(table()).is_certified.all()
    assert not Phantom.from_table(table("mindways_model3")).is_certified[-1]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("b_mas200", {"unit": "CaCO3 mg/cm3"}, "unit: expected one of HA mg/cm3, K2HPO4 mg/cm3, got 'CaCO3 mg/cm3'"),
        ("b_mas200", {"colour": "blue"}, "table: expected no key but .*, got colour"),
        ("b_mas200", {"diameter_mm": "wide"}, "diameter_mm: expected a number of at least 1, got 'wide'"),
        ("b_mas200", {"rods": []}, r"rods: expected a list of at least two, got \[\]"),
        ("b_mas200", {"rods": [{"offset_mm": 1}, {"offset_mm": 2}]}, r"rods\[0\]: expected .*, got no density_mg_cm3"),
        ("b_mas200", {"slab_width_mm": 80}, "rods: expected offset_mm inside slab_width_mm 80"),
        ("b_mas200", {"diameter_mm": 30}, "rods: expected offset_mm more than a diameter_mm apart, got 26"),
        ("mindways_model3", {"conversion": None}, "conversion: expected keys with values, got None"),
        ("mindways_model3", {"unit": "HA mg/cm3", "rods": 3}, "rods: expected a list"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(name: str, change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        Phantom.from_table(table(name) | change)
    assert "\n" not in str(refusal.value)


def test_a_missing_key_is_named() -> None:
    short = table()
    del short["diameter_mm"]
    with pytest.raises(ValueError, match=r"table: expected .*, got no diameter_mm"):
        Phantom.from_table(short)
    with pytest.raises(ValueError, match="table: expected keys with values, got None"):
        Phantom.from_table(None)
