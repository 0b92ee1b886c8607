"""The zoo of pretraining tasks by the name used in folders and configuration.

`none` trains nothing and so is not listed; a cascade is the names joined (`mp_bd`), each started from the encoder of
the one before.
"""

from __future__ import annotations

from osteoray.pretraining.bone_decomposition import BoneDecomposition
from osteoray.pretraining.masked_patches import MaskedPatches
from osteoray.pretraining.task import PretrainingTask

TASKS: dict[str, type[PretrainingTask]] = {
    "mp": MaskedPatches,
    "bd": BoneDecomposition,
}
