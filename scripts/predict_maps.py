"""Predict the proximal-femur maps of the patients that a fold holds out."""

from __future__ import annotations

import argparse
from pathlib import Path

from osteoray.learning.inference import predict
from osteoray.learning.transfer import unpack_generator
from osteoray.store.arrays import write_arrays
from osteoray.store.release import PREDICTION_COLUMNS, read_index, read_rows, row_digest, select_rows
from osteoray.store.tables import write_table
from osteoray.store.training_run import read_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path, help="model.pt of the fold")
    parser.add_argument("--release", required=True, type=Path, help="index.tsv of the release")
    parser.add_argument("--folds", required=True, type=Path, help="folds of the release")
    parser.add_argument("--fold", required=True, type=int, help="the fold that was held out")
    parser.add_argument("--output", required=True, type=Path, help="fold{k}.tsv to write; fold{k}.npz goes beside it")
    args = parser.parse_args()
    index = read_index(args.release)
    rows = select_rows(index, args.folds, args.fold, held_out=True)
    generator, xray_window, map_window = unpack_generator(read_weights(args.model))
    maps = predict(generator, read_rows(args.release, "xray", rows), xray_window, map_window)
    write_arrays(args.output.with_suffix(".npz"), {"maps": maps})
    write_table(
        args.output,
        (
            {name: index[row][name] for name in PREDICTION_COLUMNS} | {"digest": row_digest(predicted)}
            for row, predicted in zip(rows, maps, strict=True)
        ),
        PREDICTION_COLUMNS,
    )


if __name__ == "__main__":
    main()
