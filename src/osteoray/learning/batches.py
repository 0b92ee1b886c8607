"""The order of images in an epoch, and all chance inside it, follow from the seed and the epoch's number alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def epoch_seed(seed: int, epoch: int) -> int:
    """A well-mixed seed for one epoch of one run."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def epoch_order(count: int, batch_size: int, seed: int, epoch: int) -> list[Tensor]:
    """Indices of the epoch's batches: every image once, in batches that differ by at most one in size.

    An even split leaves no small last batch, whose batch statistics would be poor.
    """
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return [torch.from_numpy(part) for part in np.array_split(order, -(-count // batch_size))]
