"""A resumed run is the same run; the data order follows from seed and epoch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from osteoray.learning.augmentation import Augmentation, augment
from osteoray.learning.batches import epoch_order
from osteoray.learning.loop import Task, Training, train
from osteoray.learning.normalisation import Window, map_window, xray_window

RANGES = Augmentation(10, 4, 0.1, 0.1, 0.5, 0, 0.1, 0.1, 0.1)


class Denoising(Task):
    """A network with dropout and batch statistics, and two players."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1),
            torch.nn.BatchNorm2d(4),
            torch.nn.Dropout2d(0.5),
            torch.nn.Conv2d(4, 1, 1),
        )
        self.critic = torch.nn.Conv2d(1, 1, 3)

    @property
    def players(self) -> dict[str, torch.nn.Module]:
        return {"net": self.net, "critic": self.critic}

    def forward(self, batch: dict[str, torch.Tensor], rng: torch.Generator) -> dict[str, torch.Tensor]:
        x, y = augment(batch["x"][:, None], batch["x"][:, None], RANGES, rng)
        return {"out": self.net(x), "y": y}

    def losses(self, player: str, outputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if player == "critic":
            return {"loss": self.critic(outputs["out"].detach()).square().mean()}
        return {"loss": (outputs["out"] - outputs["y"]).square().mean() + self.critic(outputs["out"]).mean()}


def start() -> Denoising:
    torch.manual_seed(0)
    return Denoising()


DATA = {"x": torch.rand((10, 16, 8), generator=torch.Generator().manual_seed(5))}
TRAINING = Training(epochs=6, batch_size=4, learning_rate=1e-2, weight_decay=1e-2, seed=3)


def test_a_resumed_run_is_the_same_run_bit_by_bit() -> None:
    whole = start()
    states = [copy.deepcopy(s.state) for s in train(whole, DATA, TRAINING)]
    torch.manual_seed(99)
    resumed = start()
    logs = list(train(resumed, DATA, TRAINING, states[2]))
    assert [s.epoch for s in logs] == [4, 5, 6]
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name
    for mine, theirs in zip(
        logs[-1].state["optimisers"]["net"]["state"].values(),
        states[-1]["optimisers"]["net"]["state"].values(),
        strict=True,
    ):
        assert torch.equal(mine["exp_avg_sq"], theirs["exp_avg_sq"])


def test_the_same_seed_gives_the_same_losses_and_another_seed_others() -> None:
    first, again = ([s.losses for s in train(start(), DATA, TRAINING)] for _ in range(2))
    other = [s.losses for s in train(start(), DATA, Training(6, 4, 1e-2, 1e-2, seed=4))]
    assert first == again
    assert first != other


def test_training_leaves_the_callers_random_state_alone() -> None:
    task = start()
    before = torch.get_rng_state()
    next(iter(train(task, DATA, TRAINING)))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_loss_falls() -> None:
    losses = [s.losses["net_loss"] for s in train(start(), DATA, Training(30, 4, 1e-2, 0, 0))]
    assert losses[-1] < losses[0]


def test_an_epoch_shows_every_image_once_in_even_batches() -> None:
    batches = epoch_order(41, 8, seed=1, epoch=2)
    assert sorted(np.concatenate(batches).tolist()) == list(range(41))
    assert {len(b) for b in batches} == {6, 7}
    assert not torch.equal(batches[0], epoch_order(41, 8, seed=1, epoch=3)[0])


def test_windows_are_lines_with_inverses() -> None:
    window = Window(2.0, 6.0)
    assert window.normalise(np.array([2.0, 4.0, 6.0])).tolist() == [-1, 0, 1]
    assert window.denormalise(window.normalise(np.array([1.5, 9.0]))).tolist() == [1.5, 9.0]
    with pytest.raises(ValueError, match="expected finite and increasing"):
        Window(1.0, 1.0)


def test_windows_belong_to_the_set_and_keep_exposure_apart() -> None:
    xrays = np.stack([np.linspace(0, 1, 50).reshape(10, 5), np.linspace(4, 5, 50).reshape(10, 5)])
    window = xray_window(xrays)
    assert window.low == pytest.approx(0, abs=0.05)
    assert window.high == pytest.approx(5, abs=0.05)
    assert map_window(np.array([[[0.2, 1.7]]])) == Window(0.0, 1.7)
