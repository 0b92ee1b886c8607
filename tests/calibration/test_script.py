"""The script: a CT becomes a QCT and a picture, and a withheld patient stays withheld."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.calibration.conftest import Scan
from tests.paths import ROOT

from osteoray.calibration.hardening import Hardening, without_hardening
from osteoray.errors.unreadable import Withheld
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.store.manifest import Manifest, read_manifest, recording
from osteoray.store.nifti import read_volume, write_volume
from osteoray.store.tables import write_table

PHANTOM = ROOT / "resources" / "phantoms" / "b_mas200.yaml"
CT_FACTS = {"manufacturer": "Maker", "model": "One", "kvp": 120.0, "series": {"kernel": "STANDARD"}}


def calibrate(
    ingest: Path, phantom: Path = PHANTOM, reference: Path | None = None, water: Path | None = None, **config: object
) -> Manifest:
    output = ingest.parents[2] / "calibration" / "P1" / "calibration.json"
    command = [
        sys.executable, str(ROOT / "scripts" / "calibrate_ct.py"), "--ingest", str(ingest), "--phantom", str(phantom),
        "--reference", *([str(reference)] if reference else []), "--config", json.dumps(config),
        "--output", str(output), "--water", *([str(water)] if water else []),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return read_manifest(output)


def ingested(folder: Path, volume: Volume) -> Path:
    path = folder / "ingest" / "P1" / "manifest.json"
    with recording("ingest", "P1", path) as manifest:
        write_volume(path.parent / "ct.nii.gz", volume)
        manifest.add_file("ct", path.parent / "ct.nii.gz")
        manifest.facts["ct"] = CT_FACTS
    return path


def test_the_qct_is_the_line_of_the_ct(tmp_path: Path, draw: Callable[[Scan], Volume]) -> None:
    volume = draw(Scan())
    manifest = calibrate(ingested(tmp_path, volume))
    qct = read_volume(manifest.file("qct"))
    expected = volume.array * manifest.facts["slope_mg_cm3_per_hu"] + manifest.facts["intercept_mg_cm3"]
    np.testing.assert_allclose(qct.array, expected, atol=0.06)
    assert qct.grid.matches(volume.grid)
    with Image.open(manifest.file("picture")) as picture:
        assert picture.size == (1100, 640)
        assert len(np.unique(np.asarray(picture))) > 50


def test_the_picture_says_how_the_ct_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    drawing = import_module("scripts.calibrate_ct")
    monkeypatch.setattr(drawing, "png", lambda figure, _: shown.append(figure.get_suptitle()) or b"")
    # Physics alone needs nothing of the image.
    volume = Volume(np.zeros((4, 8, 8), np.int16), VoxelGrid.axial((4, 8, 8), (2.0, 2.0, 2.0)))
    arguments = ["--ingest", ingested(tmp_path, volume), "--phantom", PHANTOM, "--config", '{"ladder": ["none"]}']
    arguments += ["--output", tmp_path / "calibration" / "P1" / "calibration.json"]
    monkeypatch.setattr("sys.argv", ["calibrate_ct.py", *map(str, arguments)])
    drawing.main()
    assert shown[0].splitlines()[1] == "Maker One, 120 kV, kernel STANDARD"


def test_a_reversed_phantom_keeps_its_picture_and_gives_no_qct(tmp_path: Path, draw: Callable[[Scan], Volume]) -> None:
    manifest = calibrate(ingested(tmp_path, draw(Scan(mirrored=True))))
    assert manifest.is_withheld
    assert list(manifest.files) == ["picture"]


def test_a_patient_withheld_before_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "ingest" / "P1" / "manifest.json"
    with recording("ingest", "P1", path):
        raise Withheld("ING-EMPTY", "nothing")
    assert calibrate(path).blocked_by == "ingest"


def test_reference_scans_stand_in_where_the_configuration_lets_them(
    tmp_path: Path, draw: Callable[[Scan], Volume]
) -> None:
    volume, reference = draw(Scan(has_phantom=False)), tmp_path / "scanners.tsv"
    protocol = {"scanner": "Maker One", "kvp": 120.0, "kernel": "STANDARD", "phantom": "B-MAS200", "in_control": "yes"}
    lines = [{"slope_mg_cm3_per_hu": slope, "intercept_mg_cm3": -1.0} for slope in (0.70, 0.71, 0.72)]
    write_table(reference, [protocol | line for line in lines], [*protocol, *lines[0]])
    manifest = calibrate(ingested(tmp_path, volume), reference=reference, ladder=["phantom", "asynchronous"])
    assert (manifest.facts["level"], [finding.code for finding in manifest.findings]) == ("asynchronous", ["CAL-LEVEL"])
    np.testing.assert_allclose(read_volume(manifest.file("qct")).array, volume.array * 0.71 - 1.0, atol=1e-3)
    assert manifest.file("picture").exists()


def water_table(path: Path, kvp: float, bone_share: str = "") -> Path:
    row = {"water": 1, "scanner": "Maker One", "kvp": kvp, "kernel": "BONE", "code": "", "detail": ""}
    row |= {"diameter_mm": 300.0, "middle_less_rim_hu": -3.0, "relative": 1.0, "residual_hu": 0.1}
    row |= {"bone_share": bone_share}
    write_table(path, [row], list(row))
    return path


def test_cupping_is_taken_out_before_the_line_is_fitted(tmp_path: Path, draw: Callable[[Scan], Volume]) -> None:
    volume = draw(Scan())
    manifest = calibrate(ingested(tmp_path, volume), water=water_table(tmp_path / "water.tsv", 120.0))
    quadratic_per_cm = manifest.facts["quadratic_per_cm"]
    assert quadratic_per_cm == pytest.approx(np.pi * 3e-3 / (8 * 15))
    assert manifest.facts["bone_share"] is None
    expected = without_hardening(volume, Hardening(quadratic_per_cm), 120.0)
    line = manifest.facts["slope_mg_cm3_per_hu"], manifest.facts["intercept_mg_cm3"]
    np.testing.assert_allclose(read_volume(manifest.file("qct")).array, expected.array * line[0] + line[1], atol=0.06)
    assert (expected.array - volume.array).max() >= 2 and not manifest.findings


def test_what_is_left_of_bones_hardening_is_taken_out_where_rods_told_it(
    tmp_path: Path, draw: Callable[[Scan], Volume]
) -> None:
    volume = draw(Scan())
    water = water_table(tmp_path / "water.tsv", 120.0, bone_share="0.2")
    manifest = calibrate(ingested(tmp_path, volume), water=water)
    assert manifest.facts["bone_share"] == 0.2
    expected = without_hardening(volume, Hardening(manifest.facts["quadratic_per_cm"], 0.2), 120.0)
    line = manifest.facts["slope_mg_cm3_per_hu"], manifest.facts["intercept_mg_cm3"]
    np.testing.assert_allclose(read_volume(manifest.file("qct")).array, expected.array * line[0] + line[1], atol=0.06)


def test_a_scan_that_no_cylinder_stands_for_is_left_as_it_is_and_says_so(
    tmp_path: Path, draw: Callable[[Scan], Volume]
) -> None:
    volume = draw(Scan())
    manifest = calibrate(ingested(tmp_path, volume), water=water_table(tmp_path / "water.tsv", 100.0))
    (finding,) = manifest.findings
    assert (finding.code, manifest.facts["quadratic_per_cm"]) == ("CAL-WATER", None)
    assert (
        finding.detail
        == "Maker One, 120 kV: expected a usable cylinder of water, got none (one of Maker One, 100 kV, kernel BONE)"
    )
    line = manifest.facts["slope_mg_cm3_per_hu"], manifest.facts["intercept_mg_cm3"]
    np.testing.assert_allclose(read_volume(manifest.file("qct")).array, volume.array * line[0] + line[1], atol=0.06)


def test_lines_of_scans_with_cupping_do_not_calibrate_one_without(
    tmp_path: Path, draw: Callable[[Scan], Volume]
) -> None:
    reference, volume = tmp_path / "scanners.tsv", draw(Scan(has_phantom=False))
    protocol = {"scanner": "Maker One", "kvp": 120.0, "kernel": "STANDARD", "phantom": "B-MAS200", "in_control": "yes"}
    line = {"slope_mg_cm3_per_hu": 0.71, "intercept_mg_cm3": -1.0}
    rows = [protocol | line | {"taken_out": whose} for whose in ("", "nothing", "water and bone", "water")]
    write_table(reference, rows, list(rows[0]))
    options = {"reference": reference, "water": water_table(tmp_path / "water.tsv", 120.0), "ladder": ["asynchronous"]}
    (finding,) = calibrate(ingested(tmp_path, volume), **options).findings
    assert finding.code == "CAL-REFERENCE" and "at least 3 reference scans, got 1" in finding.detail


def test_a_bad_table_ends_in_one_line(tmp_path: Path, draw: Callable[[Scan], Volume]) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(PHANTOM.read_text().replace("diameter_mm: 12.5", "diameter_mm: thick"))
    with pytest.raises(subprocess.CalledProcessError) as failure:
        calibrate(ingested(tmp_path, draw(Scan(slices=8))), phantom=table)
    assert failure.value.stderr.strip() == f"{table}: diameter_mm: expected a number of at least 1, got 'thick'"
