"""Pretraining masks what it should, learns from training rows, and hands its whole encoder on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osteoray.learning.augmentation import Augmentation
from osteoray.learning.backbones import Encoder
from osteoray.learning.loop import Training, train
from osteoray.learning.normalisation import Window
from osteoray.learning.transfer import pack_encoder, unpack_encoder
from osteoray.pretraining.masked_patches import MaskedPatches, draw_mask
from osteoray.pretraining.task import Setting
from osteoray.pretraining.tasks import TASKS

WINDOW = Window(0.0, 5.0)
SETTING = Setting("resnet10t", 8, WINDOW, Augmentation(5, 0, 0.05, 0.05, 0.5, 0, 0.05, 0.05, 0.05))


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    """Blobs whose attenuation is their density."""
    rng = np.random.default_rng(0)
    r, c = np.mgrid[:64, :32]
    centres = rng.uniform([20, 10], [44, 22], (8, 2))
    bone = np.exp(-((r - centres[:, :1, None]) ** 2 + (c - centres[:, 1:, None]) ** 2) / 40)
    return {"xray": (2 + bone).astype(np.float32), "bone": bone.astype(np.float32)}


@pytest.mark.parametrize("shape", [(64, 32), (128, 64), (256, 128)])
def test_three_quarters_of_128_patches_are_masked_at_every_size(shape: tuple[int, int]) -> None:
    mask = draw_mask(5, shape, torch.Generator().manual_seed(0))
    side = shape[0] // 16
    patches = mask.float().view(5, 16, side, 8, side).mean(dim=(2, 4))
    assert ((patches == 0) | (patches == 1)).all()
    assert (patches.sum(dim=(1, 2)) == 96).all()
    assert not torch.equal(patches[0], patches[1])


def test_visible_patches_cost_nothing(data: dict[str, np.ndarray]) -> None:
    """The gradient of the loss with respect to the restored image vanishes where nothing is masked."""
    torch.manual_seed(0)
    task = MaskedPatches(SETTING, data)
    kept = []
    task.generator.register_forward_hook(lambda _m, _i, out: (out.retain_grad(), kept.append(out))[1])
    task({"xray": torch.from_numpy(data["xray"])}, torch.Generator().manual_seed(0))["loss"].backward()
    touched = (kept[0].grad != 0).float().mean(dim=(1, 2, 3))
    torch.testing.assert_close(touched, torch.full((8,), 0.75), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_learns(name: str, data: dict[str, np.ndarray]) -> None:
    torch.manual_seed(0)
    task = TASKS[name](SETTING, data)
    tensors = {array: torch.from_numpy(data[array]) for array in TASKS[name].arrays}
    losses = [s.losses["generator_loss"] for s in train(task, tensors, Training(10, 4, 1e-3, 0, 0))]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]


def test_an_encoder_is_handed_on_with_every_key_and_its_window() -> None:
    torch.manual_seed(0)
    first, second = Encoder("resnet10t"), Encoder("resnet10t")
    assert unpack_encoder(pack_encoder(first, WINDOW), second) == WINDOW
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_a_missing_key_or_another_backbone_is_refused() -> None:
    content = pack_encoder(Encoder("resnet10t"), WINDOW)
    with pytest.raises(ValueError, match="expected an encoder 'resnet18', got 'resnet10t'"):
        unpack_encoder(content, Encoder("resnet18"))
    content["encoder"].popitem(last=False)
    with pytest.raises(RuntimeError, match="Missing key"):
        unpack_encoder(content, Encoder("resnet10t"))
