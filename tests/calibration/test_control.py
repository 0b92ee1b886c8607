"""A scanner that leaves its usual line is told; what it usually does is not moved by that."""

from __future__ import annotations

from importlib import import_module
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from osteoray.calibration.control import COLUMNS, control_limits, control_rows
from osteoray.calibration.reference import reference_scans
from osteoray.errors.unreadable import Withheld
from osteoray.report.scanner_chart import scanner_chart
from osteoray.store.manifest import recording
from osteoray.store.tables import read_table


def facts(slope: float, scanner: str = "A", phantom: str = "B-MAS200") -> dict:
    return {
        "level": "phantom",
        "phantom": phantom,
        "slope_mg_cm3_per_hu": slope,
        "intercept_mg_cm3": -1.0 + 10 * (slope - 0.7),
        "r2": 0.99999,
        "field": {"tilt_hu": 0.4},
        "protocol": {"scanner": scanner, "kvp": 120.0, "kernel": "STANDARD"},
    }


def slopes(count: int = 20) -> np.ndarray:
    return 0.7 + np.random.default_rng(3).normal(0, 0.001, count)


def test_limits_are_three_deviations_of_steady_values() -> None:
    values = np.random.default_rng(1).normal(5.0, 0.2, 4000)
    limits = control_limits(values)
    assert limits is not None
    assert (limits.mean, limits.high - limits.mean) == pytest.approx((5.0, 0.6), rel=0.05)


def test_a_drift_does_not_widen_its_own_limits() -> None:
    values = np.random.default_rng(1).normal(5.0, 0.2, 60) + np.linspace(0, 3, 60)
    limits = control_limits(values)
    assert limits is not None and not limits.hold(values).all()


def test_few_scans_have_no_limits() -> None:
    assert control_limits(slopes(7)) is None
    rows = control_rows((f"P{i}", "reported", facts(s)) for i, s in enumerate(slopes(7)))
    assert {row["in_control"] for row in rows} == {"yes"} and "slope_mg_cm3_per_hu_low" not in rows[0]


def test_a_scan_off_the_line_is_out_of_control() -> None:
    values = slopes()
    values[12] += 0.02
    scans = [(f"P{i}", "reported", facts(s)) for i, s in enumerate(values)]
    rows = control_rows([*scans, ("P98", "withheld", facts(0.5)), ("P99", "reported", {"level": "internal"})])
    assert [row["patient_id"] for row in rows if row["in_control"] == "no"] == ["P12", "P98"]
    assert [row["scan"] for row in rows] == list(range(1, 22))


def test_scanners_are_charted_apart() -> None:
    scans = [(f"P{i}", "reported", facts(s + 0.05 * (i % 2), "AB"[i % 2])) for i, s in enumerate(slopes(30))]
    rows = control_rows(scans)
    assert all(row["slope_mg_cm3_per_hu_high"] - row["slope_mg_cm3_per_hu_low"] < 0.02 for row in rows)
    assert [row["scanner"] for row in rows] == ["A"] * 15 + ["B"] * 15


def test_phantoms_are_charted_apart() -> None:
    ordered = [(s + 0.12 * (i % 2), ("B-MAS200", "Mindways")[i % 2]) for i, s in enumerate(slopes(30))]
    rows = control_rows((f"P{i}", "reported", facts(s, phantom=name)) for i, (s, name) in enumerate(ordered))
    means = {row["phantom"]: row["slope_mg_cm3_per_hu_mean"] for row in rows}
    assert means == pytest.approx({"B-MAS200": 0.70, "Mindways": 0.82}, abs=0.002)
    assert [row["scan"] for row in rows] == [*range(1, 16), *range(1, 16)]
    titles = [ax.get_title(loc="left") for ax in scanner_chart(rows).axes]
    assert [title for title in titles if title] == [
        "A, 120 kV, kernel STANDARD, B-MAS200: 15 scans",
        "A, 120 kV, kernel STANDARD, Mindways: 15 scans",
    ]


def test_labels_of_neighbouring_scans_do_not_overlap() -> None:
    values = slopes(40)
    values[[18, 19, 20, 21, 37, 38, 39]] += 0.02
    figure = scanner_chart(control_rows((f"V{i:04d}", "reported", facts(s)) for i, s in enumerate(values)))
    figure.draw_without_rendering()
    for ax in figure.axes:
        labels = [text for text in ax.texts if text.get_text().startswith("V")]
        assert {"V0018", "V0019", "V0020", "V0021", "V0037", "V0038", "V0039"} <= {t.get_text() for t in labels}
        boxes = [Text.get_window_extent(text) for text in labels]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        assert all(ax.get_window_extent().x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_the_chart_draws_the_mean_of_the_table() -> None:
    rows = control_rows((f"P{i}", "reported", facts(s)) for i, s in enumerate(slopes()))
    moved = [row | {"slope_mg_cm3_per_hu_mean": 0.7004} for row in rows]
    levels = [line.get_ydata()[0] for line in scanner_chart(moved).axes[0].lines[:3]]
    assert levels[1] == 0.7004


def test_the_script_writes_a_table_that_can_be_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"P{i}" / "calibration.json" for i in range(10)]
    for path, slope in zip(paths[:-1], slopes(9), strict=True):
        with recording("calibration", path.parent.name, path) as manifest:
            manifest.facts.update(facts(float(slope)))
    with recording("calibration", "P9", paths[-1]):
        raise Withheld("CAL-PHANTOM", "none")
    table, picture = tmp_path / "scanners.tsv", tmp_path / "scanners.png"
    arguments = ["--calibrations", *map(str, paths), "--table", str(table), "--picture", str(picture)]
    monkeypatch.setattr("sys.argv", ["chart_scanners.py", *arguments])
    import_module("scripts.chart_scanners").main()
    rows = read_table(table)
    assert tuple(rows[0]) == COLUMNS and len(rows) == len(reference_scans(rows)) == 9
    with Image.open(picture) as image:
        assert image.width > 800


def test_an_empty_cohort_still_has_a_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, picture = tmp_path / "scanners.tsv", tmp_path / "scanners.png"
    arguments = ["--calibrations", "--table", str(table), "--picture", str(picture)]
    monkeypatch.setattr("sys.argv", ["chart_scanners.py", *arguments])
    import_module("scripts.chart_scanners").main()
    assert picture.exists() and read_table(table) == []
