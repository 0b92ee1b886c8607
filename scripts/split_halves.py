"""Split a patient's X-rays and maps into left and right halves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from osteoray.config.laterality import LateralityConfig
from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import Side
from osteoray.imaging.radiograph import Radiograph
from osteoray.laterality.halves import Half, is_inside, locate_half
from osteoray.laterality.midline import image_centre, midline_between
from osteoray.store.arrays import read_arrays, write_arrays
from osteoray.store.manifest import Manifest, read_manifest, recording
from osteoray.store.nifti import read_radiograph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--registration", required=True, type=Path, help="manifest of registration")
    parser.add_argument("--projection", required=True, type=Path, help="manifest of projection")
    parser.add_argument("--target-side", required=True, choices=("left", "right", "both"))
    parser.add_argument("--config", required=True, help="laterality section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = LateralityConfig.model_validate_json(args.config)
    ingest, registration, projection = map(read_manifest, (args.ingest, args.registration, args.projection))
    # A patient whose CT cannot be used still has X-rays to predict from: only ingest can block.
    with recording("laterality", ingest.patient_id, args.output, ingest) as manifest:
        if manifest.blocked_by:
            return
        targets = [side for side in Side if args.target_side in (side, "both")]
        arrays: dict[str, np.ndarray] = {}
        manifest.facts["halves"] = []
        for xray_id, facts in ingest.facts["xrays"].items():
            xray = read_radiograph(ingest.file(f"xray_{xray_id}"))
            maps = _maps(registration, projection, xray_id)
            for half, common in _halves(xray, maps):
                if ingest.withholds(xray_id, half.side):
                    continue
                parts = _cut(half, xray, maps[half.side], half.side in targets)
                border, exposed = _border(xray, config), _exposed(facts.get("field"), xray, config)
                here = None if exposed is None else half.cut(exposed)
                if "proximal_femur" in parts and not is_inside(parts["proximal_femur"], border, here):
                    del parts["proximal_femur"]
                    detail = (
                        f"the proximal femur reaches within {config.border_mm:g} mm of its half's or the field's edge"
                    )
                    manifest.findings.append(Finding("LAT-FIELD", detail, xray_id, half.side))
                arrays.update({f"{xray_id}_{half.side}_{name}": part for name, part in parts.items()})
                entry = {"xray_id": xray_id, "pose": facts["pose"], **common, **_placement(half, xray, parts)}
                manifest.facts["halves"].append(entry)
        path = args.output.with_suffix(".npz")
        write_arrays(path, arrays)
        manifest.add_file("halves", path)


def _maps(registration: Manifest, projection: Manifest, xray_id: str) -> dict[Side, dict[str, np.ndarray]]:
    """Areal density maps by side; none for a side that was not registered, whose bone map would lack the femur."""
    arrays = read_arrays(projection.file(xray_id)) if xray_id in projection.files else {}
    found = registration.facts.get("xrays", {}).get(xray_id, {}).get("camera_from_world", {})
    maps: dict[Side, dict[str, np.ndarray]] = {}
    for side in Side:
        # A side that an earlier stage withheld was never looked for, so that no finding of registration tells.
        is_whole = f"{side}_femur" in found
        names = {} if not is_whole else {"bone": "bone", "proximal_femur": f"proximal_femur_{side}"}
        maps[side] = {name: arrays[key] for name, key in names.items() if key in arrays}
    return maps


def _halves(xray: Radiograph, maps: dict[Side, dict[str, np.ndarray]]) -> Iterator[tuple[Half, dict]]:
    """The two halves of an X-ray, and where its midline came from."""
    femurs = [maps[side]["proximal_femur"] for side in Side if maps[side].get("proximal_femur", np.zeros(1)).any()]
    # Both hips tell the midline, also where only one of them is a target.
    are_known = len(femurs) == len(Side)
    midline = midline_between(femurs) if are_known else image_centre(xray.array.shape[1])
    for side in Side:
        half = locate_half(xray.array.shape, xray.spacing_mm, midline, side)
        yield half, {"midline_column": midline, "midline_from": "hips" if are_known else "image centre"}


def _cut(half: Half, xray: Radiograph, maps: dict[str, np.ndarray], is_target: bool) -> dict[str, np.ndarray]:
    """The half of an X-ray and of its maps; only a target side has a map of the proximal femur."""
    images = {"xray": xray.array, **maps}
    return {name: half.cut(image) for name, image in images.items() if is_target or name != "proximal_femur"}


def _border(xray: Radiograph, config: LateralityConfig) -> tuple[int, int]:
    rows, columns = (int(np.ceil(config.border_mm / spacing)) for spacing in xray.spacing_mm)
    return rows, columns


def _exposed(field: list[int] | None, xray: Radiograph, config: LateralityConfig) -> np.ndarray | None:
    """Pixels inside the collimated field less the border; None if the whole image was exposed."""
    if field is None:
        return None
    first_row, end_row, first_column, end_column = field
    rows, columns = _border(xray, config)
    exposed = np.zeros(xray.array.shape, bool)
    exposed[first_row + rows : end_row - rows, first_column + columns : end_column - columns] = True
    return exposed


def _placement(half: Half, xray: Radiograph, parts: dict[str, np.ndarray]) -> dict:
    """Everything needed to put the half back into its X-ray, and which maps it has."""
    return {
        "side": half.side,
        "rows": half.rows,
        "columns": half.columns,
        "spacing_mm": list(xray.spacing_mm),
        "crop": [half.row, half.column, half.rows, half.columns],
        "flipped": half.flipped,
        "has_bone": "bone" in parts,
        "has_proximal_femur": "proximal_femur" in parts,
    }


if __name__ == "__main__":
    main()
