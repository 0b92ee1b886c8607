"""The report shows the X-rays with most against them first, and others spread over the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.build_report import read_outlines, worst_and_spread

from osteoray.errors.verdict import Finding
from osteoray.store.manifest import Manifest

LOST, WARNED = Finding("REG-WEAK", "weak", "X2", "left"), Finding("POSE-FLEXION", "20°", "X1", "right")


@pytest.fixture
def manifests(tmp_path: Path) -> list[Path]:
    """Three patients with two X-rays each; a side of P2's second is lost, and a pose of P3's first is warned of."""
    paths = []
    for patient, findings in (("P1", []), ("P2", [LOST]), ("P3", [WARNED])):
        manifest = Manifest("registration", patient, tmp_path / f"{patient}.json", findings=list(findings))
        for xray_id in ("X1", "X2"):
            picture = tmp_path / patient / f"{xray_id}.png"
            picture.parent.mkdir(exist_ok=True)
            picture.write_bytes(f"{patient} {xray_id}".encode())
            manifest.add_file(f"outlines_{xray_id}", picture)
        manifest.write()
        paths.append(manifest.path)
    return paths


def test_the_worst_xrays_come_first_with_their_own_findings(manifests: list[Path]) -> None:
    shown = read_outlines(manifests, 4)
    assert [picture.png.decode() for picture in shown[:2]] == ["P2 X2", "P3 X1"]
    assert shown[0].caption.startswith("P2 X2. Left: ") and "(REG-WEAK)" in shown[0].caption
    assert "(POSE-FLEXION)" in shown[1].caption
    assert [picture.caption.split(". ", 1)[1] for picture in shown[2:]] == ["No findings."] * 2


def test_no_picture_is_shown_where_none_is_asked_for_or_made(manifests: list[Path], tmp_path: Path) -> None:
    assert read_outlines(manifests, 0) == []
    bare = Manifest("registration", "P4", tmp_path / "P4.json", findings=[LOST])
    bare.write()
    assert read_outlines([bare.path], 4) == []


def test_the_rest_is_spread_from_its_first_to_its_last() -> None:
    assert worst_and_spread(list(range(10)), 6) == [0, 1, 2, 3, 6, 9]
    assert worst_and_spread([1], 6) == [1]
