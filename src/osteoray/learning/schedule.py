"""Cosine annealing with warm restarts (SGDR, Loshchilov 2017): the learning rate of every epoch."""

from __future__ import annotations

import math

FIRST_CYCLE = 10
"""Epochs of the first cycle; each further cycle is twice as long, so cycles end at 10, 30, 70, 150, 310, 630, 1270."""

LOWEST_RATE = 1e-7
"""Learning rate at the end of a cycle."""


def learning_rate(epoch: float, highest: float) -> float:
    """Learning rate at a (fractional) number of completed epochs.

    Args:
        epoch: epochs completed so far, at least 0.
        highest: rate at the start of every cycle.
    """
    cycle = math.floor(math.log2(epoch / FIRST_CYCLE + 1))
    length = FIRST_CYCLE * 2**cycle
    position = (epoch - (length - FIRST_CYCLE)) / length
    return LOWEST_RATE + (highest - LOWEST_RATE) * (1 + math.cos(math.pi * position)) / 2


def cycle_end(cycles: int) -> int:
    """Epochs completed when a number of cycles has ended: 10·(2^k − 1)."""
    return FIRST_CYCLE * (2**cycles - 1)
