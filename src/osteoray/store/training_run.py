"""A training on disk: the result with its log, and while it runs a checkpoint to go on from after an interruption."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from osteoray.store.atomic import writing
from osteoray.store.tables import write_table

SECONDS_BETWEEN_CHECKPOINTS = 60.0


class TrainingRun:
    """Checkpoint, log and result of one training.

    Args:
        output: the result; checkpoint.pt and log.tsv lie beside it.
        identity: configuration and code of the run.
        data: the training arrays. A checkpoint of another identity or of other data is ignored.
    """

    def __init__(self, output: Path, identity: dict[str, str], data: dict[str, np.ndarray]):
        self.output = output
        self.identity = {**identity, "data": _digest(data)}
        self.log: list[dict[str, Any]] = []
        self.state: dict[str, Any] | None = None
        self.saved = time.monotonic()
        if self._checkpoint.is_file():
            content = read_weights(self._checkpoint)
            if content["identity"] == self.identity:
                self.log, self.state = content["log"], content["state"]

    @property
    def _checkpoint(self) -> Path:
        return self.output.with_name("checkpoint.pt")

    def record(self, row: dict[str, Any], state: dict[str, Any]) -> None:
        """Log an epoch; keep its state if the last one kept is old."""
        self.log.append(row)
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        if time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS:
            write_weights(self._checkpoint, {"identity": self.identity, "log": self.log, "state": state})
            self.saved = time.monotonic()

    def finish(self, content: dict[str, Any]) -> None:
        """Write log and result, and drop the checkpoint."""
        write_table(self.output.with_name("log.tsv"), self.log, list(self.log[-1]))
        write_weights(self.output, {**content, "identity": self.identity})
        self._checkpoint.unlink(missing_ok=True)


def write_weights(path: str | Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values."""
    with writing(path) as temporary:
        torch.save(content, temporary)


def read_weights(path: str | Path) -> dict[str, Any]:
    """Read tensors and plain values, onto the CPU; never pickled code."""
    return torch.load(path, map_location="cpu", weights_only=True)


def _digest(data: dict[str, np.ndarray]) -> str:
    sha = hashlib.sha256()
    for name, array in data.items():
        sha.update(f"{name} {array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
