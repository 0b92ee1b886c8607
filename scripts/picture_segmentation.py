"""Draw a patient's segmentation: contours on slices, landmarks, surfaces, and the verdict in words."""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from osteoray.report.segmentation_picture import message_picture, segmentation_picture, small_png
from osteoray.report.segmented import Segmented
from osteoray.report.wording import in_words
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_json, read_manifest
from osteoray.store.nifti import read_volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--segmentation", required=True, type=Path, help="manifest of segmentation")
    parser.add_argument("--output", required=True, type=Path, help="PNG to write")
    args = parser.parse_args()
    figure = picture(read_manifest(args.ingest), read_manifest(args.segmentation))
    with writing(args.output) as temporary:
        temporary.write_bytes(small_png(figure))


def picture(ingest: Manifest, segmentation: Manifest) -> Figure:
    """The picture of a patient, or a sentence where there is nothing to draw."""
    title = f"{segmentation.patient_id}: {segmentation.verdict}"
    if "bones" not in segmentation.files:
        reason = f"blocked by {segmentation.blocked_by}" if segmentation.blocked_by else in_words(segmentation.findings)
        return message_picture(title, reason)
    uncertainty = read_volume(segmentation.file("uncertainty")) if "uncertainty" in segmentation.files else None
    seen = Segmented(
        ct_hu=read_volume(ingest.file("ct")),
        bones=read_volume(segmentation.file("bones")),
        region=read_volume(segmentation.file("proximal_femur")),
        uncertainty=uncertainty,
        femurs=read_json(segmentation.file("femur")),
    )
    words = in_words(segmentation.findings) + "\n" + numbers(segmentation, seen.femurs)
    return segmentation_picture(seen, f"{title}, bones by: {segmentation.facts['method']}", words)


def numbers(manifest: Manifest, femurs: dict) -> str:
    """Volumes, doubt and the angles of the femurs."""
    parts = [f"{name.replace('_', ' ')} {value:.0f} cm³" for name, value in manifest.facts["volumes_cm3"].items()]
    doubt = manifest.facts.get("doubt") or {}
    if doubt:
        worst = max(doubt, key=doubt.__getitem__)
        parts.append(f"doubt up to {doubt[worst]:.3f} ({worst.replace('_', ' ')})")
    parts += [f"{side} neck-shaft {femur['neck_shaft_angle_deg']:.0f}°" for side, femur in femurs.items()]
    return " · ".join(parts)


if __name__ == "__main__":
    main()
