"""Segment a patient's bones, find the landmarks of both femurs, and cut out the proximal femurs."""

import argparse
from pathlib import Path

import numpy as np

from osteoray.config.segmentation import SegmentationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation import quality
from osteoray.segmentation.femur import locate_femur
from osteoray.segmentation.metal import metal_near_mm3
from osteoray.segmentation.provided import provided_bones, provided_region
from osteoray.segmentation.proximal_femur import proximal_femur
from osteoray.store.manifest import Manifest, read_manifest, recording, write_json
from osteoray.store.nifti import read_volume, write_volume


def infer_bones(ct_hu: Volume, model: Path, config: SegmentationConfig, manifest: Manifest) -> np.ndarray:
    """Bones by the network; its doubt goes to a file and into the facts."""
    # Here, because patients with labels do not need torch and it takes seconds to import.
    import torch

    from osteoray.segmentation.inference import segment_ct
    from osteoray.segmentation.network import from_checkpoint

    torch.set_num_threads(1)
    network = from_checkpoint(torch.load(model, weights_only=True))
    window_hu = (config.window_low_hu, config.window_high_hu)
    found = segment_ct(network, ct_hu, config.inplane_mm, config.slice_mm, window_hu, config.samples, config.seed)
    path = manifest.path.parent / "uncertainty.nii.gz"
    write_volume(path, Volume(found.uncertainty, ct_hu.grid), step=1e-4)
    manifest.add_file("uncertainty", path)
    manifest.facts["surface_uncertainty"] = quality.surface_doubt(found.bones, found.uncertainty)
    limit = config.max_boundary_uncertainty
    manifest.findings.extend(quality.doubtful_bones(manifest.facts["surface_uncertainty"], limit))
    return found.bones


def find_bones(ct_hu: Volume, args: argparse.Namespace, config: SegmentationConfig, manifest: Manifest) -> np.ndarray:
    """Bones by the labels that were provided, or by the network."""
    if args.bone_labels:
        manifest.facts["method"] = "provided"
        return provided_bones(read_volume(args.bone_labels, name="bone_labels"), ct_hu.grid)
    model = read_manifest(args.model) if args.model else None
    if model is None or model.is_withheld:
        raise Withheld("SEG-MODEL", "no trained network, and no bone_labels for this patient")
    manifest.facts["method"] = "network"
    return infer_bones(ct_hu, model.file("model"), config, manifest)


def measure_sides(
    ct_hu: Volume, bones: np.ndarray, manifest: Manifest, config: SegmentationConfig
) -> tuple[dict, np.ndarray]:
    """Geometry and proximal femur of every side that can be used."""
    femurs, region = {}, np.zeros(bones.shape, np.uint8)
    for side in Side:
        if manifest.withholds(side=side.value):
            continue
        mask = Volume(bones == FEMUR[side], ct_hu.grid)
        metal_mm3 = metal_near_mm3(ct_hu, mask, config.metal_hu)
        if metal_mm3 > config.metal_mm3:
            detail = f"up to {config.metal_mm3:g} mm3 above {config.metal_hu:g} HU expected, got {metal_mm3:.0f}"
            manifest.findings.append(Finding("SEG-METAL", detail, side=side.value))
            continue
        try:
            femur = locate_femur(mask, side, config.distal_cut_mm)
        except Withheld as error:
            manifest.findings.append(error.finding)
            continue
        femurs[side.value] = femur.facts()
        cut = proximal_femur(mask, femur, config.distal_cut_mm, config.head_cut_radii)
        region[cut] = PROXIMAL_FEMUR[side]
    return femurs, region


def segment(ingest: Manifest, args: argparse.Namespace, config: SegmentationConfig, manifest: Manifest) -> None:
    """Segment, measure, and write the files of the stage."""
    ct_hu = read_volume(ingest.file("ct"))
    bones = find_bones(ct_hu, args, config, manifest)
    manifest.facts["volumes_cm3"] = quality.volumes_cm3(Volume(bones, ct_hu.grid))
    manifest.findings.extend(quality.missing_bones(manifest.facts["volumes_cm3"]))
    femurs, region = measure_sides(ct_hu, bones, manifest, config)
    if args.proximal_femur:
        given = provided_region(read_volume(args.proximal_femur, name="proximal_femur"), ct_hu.grid, bones)
        usable = [PROXIMAL_FEMUR[Side(side)] for side in femurs]
        region = np.where(np.isin(given, usable), given, np.uint8(0))
    out = manifest.path.parent
    write_json(out / "femur.json", femurs)
    write_volume(out / "bones.nii.gz", Volume(bones, ct_hu.grid))
    write_volume(out / "proximal_femur.nii.gz", Volume(region, ct_hu.grid))
    for name, file in (("bones", "bones.nii.gz"), ("proximal_femur", "proximal_femur.nii.gz"), ("femur", "femur.json")):
        manifest.add_file(name, out / file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--model", default="", help="manifest of the trained network; empty if there is none")
    parser.add_argument("--bone-labels", default="", help="bone labels (NIfTI); empty to use the network")
    parser.add_argument("--proximal-femur", default="", help="mask of the proximal femur (NIfTI); empty to cut it")
    parser.add_argument("--config", required=True, help="segmentation section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = SegmentationConfig.model_validate_json(args.config)
    ingest = read_manifest(args.ingest)
    with recording("segmentation", ingest.patient_id, args.output, ingest) as manifest:
        if not manifest.blocked_by:
            segment(ingest, args, config, manifest)


if __name__ == "__main__":
    main()
