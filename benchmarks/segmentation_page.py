"""A page of segmentations: contours on a coronal slice and along neck and shaft, and the surfaces, of several patients.

Run after a workflow: python benchmarks/segmentation_page.py --results results --patients V001 V002 --output page.jpg
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from osteoray.report.body_planes import coronal_plane, femur_planes
from osteoray.report.segmentation_picture import draw_cut, draw_surfaces
from osteoray.report.segmented import Segmented, focus
from osteoray.store.manifest import read_json, read_manifest
from osteoray.store.nifti import read_volume

PANELS = 4
PER_ROW = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default=Path("results"), type=Path, help="results folder of a workflow")
    parser.add_argument("--patients", required=True, nargs="+", help="patient_ids")
    parser.add_argument("--output", default=Path("segmentation.jpg"), type=Path, help="JPEG or PNG to write")
    args = parser.parse_args()
    rows = -(-len(args.patients) // PER_ROW)
    figure = Figure(figsize=(2.6 * PANELS * PER_ROW, 2.35 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, PANELS * PER_ROW, squeeze=False, width_ratios=[1.3, 0.7, 1.2, 1.2] * PER_ROW)
    for ax in axes.flat:
        ax.axis("off")
    for place, patient in enumerate(args.patients):
        row, block = divmod(place, PER_ROW)
        show(axes[row, PANELS * block : PANELS * (block + 1)], patient, args.results)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output, dpi=80, **({"pil_kwargs": {"quality": 82}} if args.output.suffix == ".jpg" else {}))


def show(axes, patient: str, results: Path) -> None:
    """A patient in four panels."""
    manifest = read_manifest(results / "segmentation" / patient / "segmentation.json")
    seen = Segmented(
        read_volume(read_manifest(results / "ingest" / patient / "manifest.json").file("ct")),
        read_volume(manifest.file("bones")),
        read_volume(manifest.file("proximal_femur")),
        read_volume(manifest.file("uncertainty")) if "uncertainty" in manifest.files else None,
        read_json(manifest.file("femur")),
    )
    focus_mm = focus(seen)
    draw_cut(axes[0], coronal_plane(focus_mm, seen.top_mm), seen)
    draw_cut(axes[1], femur_planes(seen, focus_mm)[1], seen)
    draw_surfaces(axes[2], 0.0, seen)
    draw_surfaces(axes[3], 205.0, seen)
    axes[0].set_title(f"{patient}: {manifest.verdict}, {manifest.facts['method']}", fontsize=9, loc="left")


if __name__ == "__main__":
    main()
