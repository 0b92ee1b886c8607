"""Bone models are made of what there is; a femur without bone costs its side, not the patient."""

from __future__ import annotations

import numpy as np
import pytest
from tests.registration.conftest import HEADS_MM

from osteoray.errors.unreadable import Withheld
from osteoray.imaging.bones import FEMUR, Side
from osteoray.imaging.volume import Volume
from osteoray.registration.bone_models import BODIES, FEMUR_NAME, patient_models

HEADS = {side: HEADS_MM[name] for side, name in FEMUR_NAME.items()}


def made(qct: np.ndarray, bones: np.ndarray, phantom, heads_mm=HEADS):
    grid = phantom.bones.grid
    options = {"soft_tissue_mg_cm3": 40.0, "dilation_voxels": 0, "pelvis_rim_mm": 0.0}
    return patient_models(Volume(qct, grid), Volume(bones, grid), heads_mm, (3.0, 2.0, 1.5), **options)


def test_a_femur_without_voxels_has_no_model(phantom):
    bones = np.where(phantom.bones.array == FEMUR[Side.LEFT], 0, phantom.bones.array)
    assert set(made(phantom.qct.array, bones, phantom)) == {"pelvis", "right_femur"}


def test_a_femur_no_denser_than_soft_tissue_has_no_model(phantom):
    qct = np.where(phantom.bones.array == FEMUR[Side.RIGHT], np.float32(40), phantom.qct.array)
    assert set(made(qct, phantom.bones.array, phantom)) == {"pelvis", "left_femur"}


def test_a_head_below_the_end_of_the_ct_has_no_model(phantom):
    heads_mm = HEADS | {Side.LEFT: HEADS[Side.LEFT] - np.array([0, 0, 400.0])}
    assert set(made(phantom.qct.array, phantom.bones.array, phantom, heads_mm)) == {"pelvis", "right_femur"}


def test_a_patient_without_a_pelvis_is_withheld(phantom):
    bones = np.where(np.isin(phantom.bones.array, BODIES["pelvis"]), 0, phantom.bones.array)
    with pytest.raises(Withheld, match="SEG-BONE: pelvis: bones: expected labelled voxels, got none"):
        made(phantom.qct.array, bones.astype(np.uint8), phantom)


def test_a_density_that_is_no_number_is_an_error_that_names_it(phantom):
    qct = phantom.qct.array.copy()
    qct[tuple(np.argwhere(phantom.bones.array == 1)[0])] = np.nan
    with pytest.raises(ValueError, match="qct_mg_cm3: expected finite densities"):
        made(qct, phantom.bones.array, phantom)
