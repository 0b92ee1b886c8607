"""Inference: a trained generator applied to X-rays in physical units."""

from __future__ import annotations

import numpy as np
import torch

from osteoray.learning.generator import Generator
from osteoray.learning.normalisation import Window

BATCH = 8
"""Images per forward pass."""


def predict(generator: Generator, xrays: np.ndarray, xray_window: Window, map_window: Window) -> np.ndarray:
    """Maps (n, rows, columns) in the unit of `map_window`, clipped to it, from X-rays of the same shape.

    Args:
        generator: trained, on the device where it shall run.
        xrays: log attenuation.
        xray_window: the window the generator was trained with.
        map_window: the window of its target.
    """
    device = next(generator.parameters()).device
    generator.eval()
    maps = np.empty(xrays.shape, np.float32)
    with torch.inference_mode():
        for start in range(0, len(xrays), BATCH):
            part = torch.from_numpy(np.ascontiguousarray(xrays[start : start + BATCH], np.float32))[:, None]
            output = map_window.denormalise(generator(xray_window.normalise(part.to(device))))
            maps[start : start + BATCH] = output[:, 0].float().clamp(map_window.low, map_window.high).cpu().numpy()
    return maps
