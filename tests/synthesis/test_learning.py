"""On toy hips whose only cue of density is contrast, a short training predicts the density of unseen patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from osteoray.learning.augmentation import Augmentation
from osteoray.learning.discriminator import PatchDiscriminator
from osteoray.learning.generator import Generator
from osteoray.learning.inference import predict
from osteoray.learning.loop import Training, train
from osteoray.learning.normalisation import map_window, xray_window
from osteoray.synthesis.gan import MapGan, Weights


def mean_density(maps: np.ndarray) -> np.ndarray:
    bone = maps > 0.15
    return (maps * bone).sum(axis=(1, 2)) / np.maximum(bone.sum(axis=(1, 2)), 1)


@pytest.mark.slow
def test_held_out_density_is_predicted_and_brightness_alone_does_not_tell_it(toy: Any) -> None:
    training = toy.patient % 2 == 0
    truth = mean_density(toy.proximal_femur[~training])
    torch.manual_seed(0)
    generator = Generator("resnet10t", 32, initial_output=-1.0)
    xrays, maps = xray_window(toy.xray[training]), map_window(toy.proximal_femur[training])
    gentle = Augmentation(6, 2, 0.05, 0.05, 0.5, 0, 0.02, 0.1, 0.05)
    task = MapGan(generator, PatchDiscriminator(16), xrays, maps, Weights(10, 1, 0.1), gentle)
    data = {n: torch.from_numpy(getattr(toy, n)[training]) for n in ("xray", "proximal_femur")}
    list(train(task, data, Training(30, 8, 1e-3, 1e-4, seed=0)))
    predicted = mean_density(predict(generator, toy.xray[~training], xrays, maps))
    brightness = toy.xray[~training].mean(axis=(1, 2))
    assert np.corrcoef(predicted, truth)[0, 1] > 0.6
    assert abs(np.corrcoef(brightness, truth)[0, 1]) < 0.4
