"""A pretraining task learns an encoder from the release's own X-rays; only its encoder is handed on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from osteoray.learning.augmentation import Augmentation
from osteoray.learning.generator import Generator
from osteoray.learning.loop import Task
from osteoray.learning.normalisation import Window


@dataclass(frozen=True)
class Setting:
    """What every pretraining task is built from.

    Attributes:
        backbone: key of `learning.backbones.BACKBONES`.
        decoder_width: channels inside the decoder.
        xray_window: normalisation of the X-rays, the same in every stage of a cascade.
        augmentation: ranges.
    """

    backbone: str
    decoder_width: int
    xray_window: Window
    augmentation: Augmentation


class PretrainingTask(Task):
    """Interface of the task modules: a generator trained alone.

    Args:
        setting: see `Setting`.
        data: the release arrays named in `arrays`, training rows only.
    """

    arrays: ClassVar[tuple[str, ...]]
    """Release arrays that the task needs; only halves that have them all are used."""

    generator: Generator

    @abstractmethod
    def __init__(self, setting: Setting, data: Mapping[str, np.ndarray]):
        super().__init__()

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """The generator is the only network."""
        return {"generator": self.generator}

    def losses(self, player: str, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one loss that the forward pass computed."""
        return {"loss": outputs["loss"]}
