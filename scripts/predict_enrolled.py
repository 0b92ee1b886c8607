"""Predict the proximal-femur maps of patients enrolled after the release, as the mean of all folds' models."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from osteoray.imaging.resampling import resize_image
from osteoray.learning.inference import predict
from osteoray.learning.transfer import unpack_generator
from osteoray.store.arrays import read_arrays, write_arrays
from osteoray.store.manifest import read_manifest
from osteoray.store.release import PREDICTION_COLUMNS, row_digest
from osteoray.store.tables import write_table
from osteoray.store.training_run import read_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", required=True, nargs="+", type=Path, help="model.pt of every fold")
    parser.add_argument("--halves", required=True, nargs="+", type=Path, help="manifests of laterality")
    parser.add_argument("--size", required=True, type=int, help="height of the network's images in pixels")
    parser.add_argument("--output", required=True, type=Path, help="table to write; the maps go beside it as .npz")
    args = parser.parse_args()
    index, xrays = [], []
    for manifest in map(read_manifest, args.halves):
        parts = {} if manifest.is_withheld else read_arrays(manifest.file("halves"))
        for half in manifest.facts["halves"] if parts else []:
            xray = parts[f"{half['xray_id']}_{half['side']}_xray"]
            xrays.append(resize_image(xray, (args.size, args.size // 2)))
            index.append({"patient_id": manifest.patient_id} | {n: half[n] for n in PREDICTION_COLUMNS if n in half})
    stack = np.array(xrays, np.float32).reshape(-1, args.size, args.size // 2)
    maps = np.zeros_like(stack)
    for path in args.models:
        generator, xray_window, map_window = unpack_generator(read_weights(path))
        maps += predict(generator, stack, xray_window, map_window) / len(args.models)
    write_arrays(args.output.with_suffix(".npz"), {"maps": maps})
    rows = (row | {"digest": row_digest(predicted)} for row, predicted in zip(index, maps, strict=True))
    write_table(args.output, rows, PREDICTION_COLUMNS)


if __name__ == "__main__":
    main()
