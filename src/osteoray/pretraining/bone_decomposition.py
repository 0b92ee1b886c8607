"""Bone decomposition (bd): the areal density map of pelvis and femur from the X-ray, both sides, squared error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from osteoray.learning import augmentation
from osteoray.learning.generator import Generator
from osteoray.learning.losses import squared_error
from osteoray.learning.normalisation import map_window
from osteoray.pretraining.task import PretrainingTask, Setting


class BoneDecomposition(PretrainingTask):
    """Predict bone maps of X-rays; see `PretrainingTask` for the arguments."""

    arrays = ("xray", "bone")

    def __init__(self, setting: Setting, data: Mapping[str, np.ndarray]):
        super().__init__(setting, data)
        self.setting = setting
        self.map_window = map_window(data["bone"])
        self.generator = Generator(setting.backbone, setting.decoder_width, initial_output=-1.0)

    def forward(self, batch: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """Squared error of the maps of augmented X-rays."""
        xrays = self.setting.xray_window.normalise(batch["xray"])[:, None]
        maps = self.map_window.normalise(batch["bone"])[:, None]
        xrays, maps = augmentation.augment(xrays, maps, self.setting.augmentation, rng)
        return {"loss": squared_error(self.generator(xrays), maps)}
