"""Assemble the training arrays of a release: every half X-ray with its maps, at one size."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from osteoray.imaging.resampling import resize_image
from osteoray.store.arrays import read_arrays
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.release import ARRAYS, INDEX_COLUMNS, row_digest
from osteoray.store.tables import write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--halves", required=True, nargs="+", type=Path, help="manifests of laterality")
    parser.add_argument("--size", required=True, type=int, help="height of the arrays in pixels, twice their width")
    parser.add_argument("--output", required=True, type=Path, help="index.tsv to write; the arrays go beside it")
    args = parser.parse_args()
    patients = [manifest for manifest in map(read_manifest, args.halves) if not manifest.is_withheld]
    index = [_row(manifest, half) for manifest in patients for half in manifest.facts["halves"]]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(index), args.size, args.size // 2)
    paths = [args.output.with_name(f"{name}.npy") for name in ARRAYS]
    with writing(paths[0]) as a, writing(paths[1]) as b, writing(paths[2]) as c:
        # Written in place, one patient at a time: a full release is larger than memory.
        arrays = {
            name: np.lib.format.open_memmap(path, "w+", np.float32, shape)
            for name, path in zip(ARRAYS, (a, b, c), strict=True)
        }
        row = 0
        for manifest in patients:
            parts = read_arrays(manifest.file("halves"))
            for half in manifest.facts["halves"]:
                for name, array in arrays.items():
                    part = parts.get(f"{half['xray_id']}_{half['side']}_{name}")
                    # A row without a map says so in the index; NaN makes any use of it visible.
                    array[row] = np.nan if part is None else resize_image(part, shape[1:])
                index[row]["digest"] = row_digest(*(array[row] for array in arrays.values()))
                row += 1
    write_table(args.output, index, INDEX_COLUMNS)


def _row(manifest: Manifest, half: dict) -> dict:
    row = {column: half[column] for column in INDEX_COLUMNS if column in half}
    flags = {name: int(half[name]) for name in ("has_bone", "has_proximal_femur")}
    return {"patient_id": manifest.patient_id, **row, **flags}


if __name__ == "__main__":
    main()
