"""Masked patches (mp): most patches of the X-ray are replaced by noise, and the network restores them.

All patches pass through the convolutional encoder; the error counts on the masked patches only (Gu 2024 with the
settings of He 2022). The number of patches is fixed, so their size grows with the resolution.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from osteoray.learning import augmentation
from osteoray.learning.generator import Generator
from osteoray.pretraining.task import PretrainingTask, Setting

PATCHES = (16, 8)
"""Patches along rows and columns."""

MASKED = 0.75
"""Share of the patches that are masked."""


class MaskedPatches(PretrainingTask):
    """Restore masked patches of X-rays; see `PretrainingTask` for the arguments."""

    arrays = ("xray",)

    def __init__(self, setting: Setting, data: Mapping[str, np.ndarray]):
        super().__init__(setting, data)
        self.setting = setting
        self.generator = Generator(setting.backbone, setting.decoder_width, initial_output=0.0)

    def forward(self, batch: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """Error on the masked patches of augmented X-rays."""
        xrays = self.setting.xray_window.normalise(batch["xray"])[:, None]
        count, shape = len(xrays), xrays.shape[-2:]
        geometry = augmentation.draw_geometry(count, shape, self.setting.augmentation, rng)
        photometry = augmentation.draw_photometry(count, shape, self.setting.augmentation, rng)
        xrays = photometry.apply(augmentation.warp_xrays(xrays, geometry))
        mask = draw_mask(count, shape, rng).to(xrays.device)
        noise = torch.randn(xrays.shape, generator=rng).to(xrays)
        restored = self.generator(torch.where(mask, noise, xrays))
        return {"loss": (restored - xrays).square()[mask].mean()}


def draw_mask(count: int, shape: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Masks (count, 1, rows, columns), True where masked; every image has the same number of masked patches."""
    patches = PATCHES[0] * PATCHES[1]
    order = torch.rand((count, patches), generator=rng).argsort(dim=1)
    mask = (order < round(MASKED * patches)).view(count, 1, *PATCHES)
    return functional.interpolate(mask.float(), size=shape, mode="nearest") > 0
