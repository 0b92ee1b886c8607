"""One training loop for every task: the task says what is computed, the loop in which order it is learned.

Every random choice of an epoch follows from the seed and the epoch's number, so a run that is resumed from a
checkpoint goes on exactly as it would have without the interruption.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from osteoray.learning.batches import epoch_order, epoch_seed
from osteoray.learning.schedule import learning_rate


class Task(nn.Module, ABC):
    """Interface of what is trained: networks, a forward pass, and losses."""

    @property
    @abstractmethod
    def players(self) -> Mapping[str, nn.Module]:
        """The networks with an optimiser each, in the order of their steps."""

    @abstractmethod
    def forward(self, batch: Mapping[str, Tensor], rng: Generator) -> dict[str, Tensor]:
        """Outputs that the losses of all players need, from a batch of physical values and chance."""

    @abstractmethod
    def losses(self, player: str, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalar losses of a player by name; `loss` is minimised, the others are logged."""


@dataclass(frozen=True)
class Training:
    """How long and how fast to learn.

    Attributes:
        epochs: passes over the training set.
        batch_size: images per step at most.
        learning_rate: rate at the start of every cycle.
        weight_decay: decoupled weight decay of AdamW.
        seed: everything random follows from it.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int


@dataclass(frozen=True)
class Snapshot:
    """The run after an epoch; `state` is only valid until the loop is advanced.

    Attributes:
        epoch: epochs completed.
        learning_rate: rate of the last of them.
        losses: mean of every loss over the last of them.
        state: what `train` needs to go on from here: weights, optimisers and the epoch.
    """

    epoch: int
    learning_rate: float
    losses: dict[str, float]
    state: dict[str, Any]


def train(
    task: Task, data: Mapping[str, Tensor], training: Training, state: Mapping[str, Any] | None = None
) -> Iterator[Snapshot]:
    """Train a task, yielding a snapshot after every epoch.

    Args:
        task: on the device where it shall run.
        data: tensors of equal first dimension, one row per image.
        training: how to learn.
        state: the state of an earlier snapshot to go on from.
    """
    device = next(task.parameters()).device
    count = len(next(iter(data.values())))
    optimisers = {
        name: torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
        for name, network in task.players.items()
    }
    first = 0
    if state is not None:
        task.load_state_dict(state["task"])
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        first = state["epoch"]
    task.train()
    for epoch in range(first, training.epochs):
        rate = learning_rate(epoch, training.learning_rate)
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate
        seed = epoch_seed(training.seed, epoch)
        rng = Generator().manual_seed(seed)
        totals: dict[str, float] = {}
        # Dropout draws from torch's own state: set it for the epoch, and leave the caller's as it was.
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for rows in epoch_order(count, training.batch_size, training.seed, epoch):
                batch = {name: values[rows].to(device) for name, values in data.items()}
                for name, value in _step(task, batch, optimisers, rng).items():
                    totals[name] = totals.get(name, 0.0) + value * len(rows) / count
        yield Snapshot(epoch + 1, rate, totals, _state(task, optimisers, epoch + 1))


def _step(
    task: Task, batch: Mapping[str, Tensor], optimisers: Mapping[str, torch.optim.Optimizer], rng: Generator
) -> dict[str, float]:
    """One forward pass, then one step of each player on it."""
    outputs = task(batch, rng)
    values = {}
    for player, optimiser in optimisers.items():
        losses = task.losses(player, outputs)
        optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        optimiser.step()
        values.update({f"{player}_{name}": float(value.detach()) for name, value in losses.items()})
    return values


def _state(task: Task, optimisers: Mapping[str, torch.optim.Optimizer], epoch: int) -> dict[str, Any]:
    return {
        "task": task.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        "epoch": epoch,
    }
