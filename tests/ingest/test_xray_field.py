"""What the collimator shades is told from the patient by the file's own edges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from osteoray.ingest.xray import read_xray
from osteoray.ingest.xray_field import exposed_field, inside_outline

SHAPE = (400, 500)


def collimated(**elements: object) -> Dataset:
    dataset = Dataset()
    dataset.ImagerPixelSpacing = [0.5, 0.5]
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def rectangle(top: int, bottom: int, left: int, right: int) -> dict:
    return {
        "CollimatorShape": "RECTANGULAR",
        "CollimatorUpperHorizontalEdge": top,
        "CollimatorLowerHorizontalEdge": bottom,
        "CollimatorLeftVerticalEdge": left,
        "CollimatorRightVerticalEdge": right,
    }


def test_a_rectangle_is_open_from_its_first_to_its_last_row_and_column_less_the_penumbra():
    field = exposed_field(collimated(**rectangle(31, 380, 51, 460)), SHAPE)
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    # 3 mm are 6 pixels.
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (36, 373, 56, 453)
    assert field[36:374, 56:454].all()


def test_edges_on_the_border_of_the_image_shade_nothing():
    assert exposed_field(collimated(**rectangle(1, 400, 1, 500)), SHAPE) is None
    field = exposed_field(collimated(**rectangle(1, 400, 1, 460)), SHAPE)
    assert field[:, :454].all() and not field[:, 454:].any()


def test_a_turned_rectangle_is_told_by_its_corners():
    vertices = [21, 41, 31, 481, 381, 471, 371, 31]
    field = exposed_field(collimated(CollimatorShape="POLYGONAL", VerticesOfThePolygonalCollimator=vertices), SHAPE)
    assert field[200, 250] and not field[22, 300] and not field[395, 250]
    assert 0.7 < field.mean() < 0.8


def test_a_polygon_is_what_an_even_odd_rule_says():
    notch = np.array([[0, 0], [0, 40], [40, 40], [40, 25], [20, 20], [40, 15], [40, 0]], float)
    inside = inside_outline(notch, (40, 40), 0.0)
    assert inside[10, 20] and inside[35, 5] and inside[35, 35] and not inside[35, 20]


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"CollimatorShape": "RECTANGULAR"},
        {"CollimatorShape": "POLYGONAL", "VerticesOfThePolygonalCollimator": [1, 2, 3]},
        rectangle(1, 20, 1, 20),
    ],
)
def test_edges_that_are_absent_or_absurd_shade_nothing(elements):
    assert exposed_field(collimated(**elements), SHAPE) is None


def test_no_later_stage_sees_the_bright_border(tmp_path: Path, clean_xray: Callable[..., Dataset]):
    stored = np.full((200, 240), 7000, np.uint16)
    stored[:, 200:] = 12000
    dataset = clean_xray(stored, ImagerPixelSpacing=[1.0, 1.0], **rectangle(1, 200, 1, 203))
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    xray = read_xray(
        tmp_path / "x.dcm", "X1", log_offset=8000.0, log_units_per_neper=1000.0, display_nepers=5.0,
        accepts_display=True, default_sid_mm=1100.0,
    )  # fmt: skip
    np.testing.assert_allclose(xray.radiograph.array, -1.0, atol=1e-6)
