"""A multi-frame CT gives the very volume of its single images, through the same gates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import RLELossless
from tests.ingest.multiframe import enhanced
from tests.ingest.reading import assert_same_world, independent, read

from osteoray.errors.unreadable import Withheld

Series = Callable[..., list[Dataset]]
Save = Callable[..., Path]


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_are_sorted_by_position_and_rescaled_each(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, compressed: bool
) -> None:
    images = clean_series()
    images[4].RescaleIntercept = -1000
    whole = enhanced(images)
    if compressed:
        whole.compress(RLELossless, encoding_plugin="pylibjpeg")
    scan = read(save(tmp_path, [whole]))
    expected = hu.copy()
    expected[4] += 24
    assert (scan.volume.array == expected).all()
    np.testing.assert_allclose(scan.volume.grid.spacing_mm, [2.0, 1.5, 1.25])
    np.testing.assert_allclose(scan.volume.grid.world_from_index[:3, 3], [-40, -30, 100])
    assert scan.facts["kernel"] == "STANDARD" and scan.facts["kvp"] == 120


def test_single_images_of_the_same_series_are_the_same_volume(tmp_path: Path, clean_series: Series, save: Save) -> None:
    one = read(save(tmp_path / "one", [enhanced(clean_series())])).volume
    assert_same_world(one, independent(save(tmp_path / "many", clean_series())))


def test_the_parts_of_a_concatenation_are_joined(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray
) -> None:
    images = clean_series()
    parts = [enhanced(images[:8]), enhanced(images[8:])]
    assert (read(save(tmp_path, parts)).volume.array == hu).all()


def test_stacks_and_times_are_series_of_their_own(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray
) -> None:
    whole = enhanced(clean_series() + clean_series())
    seen = set()
    for frame in whole.PerFrameFunctionalGroupsSequence:
        z_mm = frame.PlanePositionSequence[0].ImagePositionPatient[2]
        frame.FrameContentSequence[0].TemporalPositionIndex = 2 if z_mm in seen else 1
        seen.add(z_mm)
    scan = read(save(tmp_path, [whole]))
    assert (scan.volume.array == hu).all() and len(scan.facts["alternatives"]) == 1


def test_a_missing_frame_is_refused_as_a_missing_slice(tmp_path: Path, clean_series: Series, save: Save) -> None:
    images = clean_series()
    with pytest.raises(Withheld, match=r"1 slice.* missing.*frame \d+ and") as refusal:
        read(save(tmp_path, [enhanced(images[:7] + images[8:])]))
    assert refusal.value.finding.code == "ING-MISSING"


def test_groups_that_do_not_describe_every_frame_are_refused(tmp_path: Path, clean_series: Series, save: Save) -> None:
    whole = enhanced(clean_series())
    del whole.PerFrameFunctionalGroupsSequence[3]
    with pytest.raises(Withheld, match="expected 19 as described, got 20"):
        read(save(tmp_path / "a", [whole]))
    whole = enhanced(clean_series())
    del whole.PerFrameFunctionalGroupsSequence
    with pytest.raises(Withheld, match=r"functional groups .*expected one for every frame"):
        read(save(tmp_path / "b", [whole]))
