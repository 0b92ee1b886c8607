"""The GAN's losses are those of the paper, and a short training learns a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osteoray.learning.augmentation import Augmentation
from osteoray.learning.discriminator import PatchDiscriminator
from osteoray.learning.generator import Generator
from osteoray.learning.inference import predict
from osteoray.learning.loop import Training, train
from osteoray.learning.normalisation import Window
from osteoray.learning.transfer import pack_generator, unpack_generator
from osteoray.synthesis.gan import MapGan, Weights

XRAYS, MAPS = Window(0.0, 6.0), Window(0.0, 2.0)
NONE = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0)


def make_task(weights: Weights, seed: int = 0) -> MapGan:
    torch.manual_seed(seed)
    return MapGan(Generator("resnet10t", 8, -1.0), PatchDiscriminator(8), XRAYS, MAPS, weights, NONE)


@pytest.fixture
def outputs() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {name: torch.rand((4, 1, 64, 32), generator=rng) for name in ("prediction", "target")}


def test_the_generator_weighs_three_losses(outputs: dict[str, torch.Tensor]) -> None:
    losses = make_task(Weights(10.0, 1.0, 0.5)).losses("generator", outputs)
    assert losses["loss"].item() == pytest.approx(
        (10 * losses["l2"] + losses["gc"] + 0.5 * losses["gan"]).item(), rel=1e-6
    )
    assert losses["l2"].item() == pytest.approx((outputs["prediction"] - outputs["target"]).square().mean().item())


def test_the_discriminator_does_not_train_the_generator(outputs: dict[str, torch.Tensor]) -> None:
    prediction = outputs["prediction"].requires_grad_()
    task = make_task(Weights(10.0, 1.0, 1.0))
    task.losses("discriminator", {**outputs, "prediction": prediction})["loss"].backward()
    assert prediction.grad is None
    assert all(p.grad is not None for p in task.discriminator.parameters())


def test_both_players_move_in_a_step() -> None:
    task = make_task(Weights(10.0, 1.0, 1.0))
    before = {name: value.clone() for name, value in task.named_parameters()}
    data = {"xray": torch.rand(4, 64, 32) * 6, "proximal_femur": torch.rand(4, 64, 32)}
    next(iter(train(task, data, Training(1, 4, 1e-3, 0, 0))))
    for network in ("generator.encoder", "generator.decoder", "discriminator"):
        moved = [n for n, p in task.named_parameters() if n.startswith(network) and not torch.equal(p, before[n])]
        assert moved, network


def test_a_model_file_predicts_the_same_maps_within_the_window() -> None:
    task = make_task(Weights(10.0, 1.0, 1.0))
    xrays = np.random.default_rng(0).uniform(0, 6, (3, 64, 32)).astype(np.float32)
    maps = predict(task.generator, xrays, XRAYS, MAPS)
    loaded, xray_window, map_window = unpack_generator(pack_generator(task.generator, XRAYS, MAPS))
    np.testing.assert_array_equal(predict(loaded, xrays, xray_window, map_window), maps)
    assert maps.shape == xrays.shape
    assert maps.min() >= 0
    assert maps.max() <= 2


def test_a_prediction_depends_on_its_own_xray_only() -> None:
    task = make_task(Weights(10.0, 1.0, 1.0))
    xrays = np.random.default_rng(0).uniform(0, 6, (10, 64, 32)).astype(np.float32)
    together = predict(task.generator, xrays, XRAYS, MAPS)
    alone = predict(task.generator, xrays[3:4], XRAYS, MAPS)
    np.testing.assert_allclose(together[3:4], alone, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_epoch_on_the_gpu_has_the_losses_of_the_processor() -> None:
    data = {"xray": torch.rand(8, 64, 32) * 6, "proximal_femur": torch.rand(8, 64, 32)}
    losses = [
        next(iter(train(make_task(Weights(10.0, 1.0, 1.0)).to(device), data, Training(1, 4, 1e-3, 0, 0)))).losses
        for device in ("cpu", "cuda")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
