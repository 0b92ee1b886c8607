"""Segment a patient's bones, find the landmarks of both femurs, and cut out the proximal femurs and DXA's regions."""

import argparse
from pathlib import Path

import numpy as np

from osteoray.config.segmentation import SegmentationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import FEMUR, HIP, PROXIMAL_FEMUR, Side
from osteoray.imaging.volume import Volume
from osteoray.segmentation import quality
from osteoray.segmentation.backends import FoundBones
from osteoray.segmentation.cleaning import broken_bones, cleaned, dropped_cm3
from osteoray.segmentation.femur import FemurGeometry, locate_femur
from osteoray.segmentation.fracture import largest_gap
from osteoray.segmentation.head_completion import completed_head
from osteoray.segmentation.head_leak import refuse_leaking_head
from osteoray.segmentation.hip_regions import hip_regions
from osteoray.segmentation.metal import metal_at_hips
from osteoray.segmentation.provided import provided_bones, provided_region, with_given_regions
from osteoray.segmentation.proximal_femur import proximal_femur
from osteoray.segmentation.symmetry import unlike_sides
from osteoray.segmentation.totalsegmentator import bones_of_masks
from osteoray.store.manifest import Manifest, read_manifest, recording, write_json
from osteoray.store.nifti import read_volume, write_volume


def by_network(ct_hu: Volume, args: argparse.Namespace, config: SegmentationConfig, manifest: Manifest) -> FoundBones:
    """Bones by the network that was trained on the patients with labels."""
    model = read_manifest(args.model) if args.model else None
    if model is None or model.is_withheld:
        raise Withheld("SEG-MODEL", "no trained network, and no bone_labels for this patient")
    # Here, because the other backends do not need torch and it takes seconds to import.
    from osteoray.segmentation.inference import segment_ct
    from osteoray.segmentation.segmenter import load_segmenter

    return segment_ct(load_segmenter(model.file("model")), ct_hu, config.samples, config.seed)


def by_labels(ct_hu: Volume, args: argparse.Namespace, config: SegmentationConfig, manifest: Manifest) -> FoundBones:
    """Bones by the labels that came with the patient."""
    if not args.bone_labels:
        raise Withheld("SEG-ABSENT", f"bone_labels: expected a file, because backend is {config.backend}, got none")
    return FoundBones(provided_bones(read_volume(args.bone_labels, name="bone_labels"), ct_hu.grid))


def by_totalsegmentator(
    ct_hu: Volume, args: argparse.Namespace, config: SegmentationConfig, manifest: Manifest
) -> FoundBones:
    """Bones by the masks that TotalSegmentator has written for the patient."""
    tool = read_manifest(args.totalsegmentator)
    if tool.is_withheld:
        raise Withheld(tool.findings[0].code, tool.findings[0].detail)
    manifest.facts["totalsegmentator"] = tool.facts
    return FoundBones(bones_of_masks({name: read_volume(tool.file(name)) for name in tool.files}, ct_hu.grid))


BACKENDS = {"network": by_network, "provided": by_labels, "totalsegmentator": by_totalsegmentator}
"""What finds the bones, by the name in the configuration; labels that came with a patient go before."""


def find_bones(
    ct_hu: Volume, args: argparse.Namespace, config: SegmentationConfig, manifest: Manifest
) -> tuple[np.ndarray, np.ndarray]:
    """Bones, every one as a single piece, and as the backend found them; doubt and what was dropped become facts."""
    method = "provided" if args.bone_labels else config.backend
    manifest.facts["method"] = method
    found = BACKENDS[method](ct_hu, args, config, manifest)
    if found.uncertainty is not None:
        path = manifest.path.parent / "uncertainty.nii.gz"
        write_volume(path, Volume(found.uncertainty, ct_hu.grid), step=1e-4)
        manifest.add_file("uncertainty", path)
        manifest.facts["doubt"] = quality.doubt_of_bones(Volume(found.bones, ct_hu.grid), found.uncertainty)
        manifest.findings.extend(quality.doubtful_bones(manifest.facts["doubt"], config.max_doubt))
    if found.taken_cm3:
        manifest.facts["taken_cm3"] = found.taken_cm3
    as_found = Volume(found.bones, ct_hu.grid)
    bones = cleaned(as_found)
    manifest.facts["dropped_cm3"] = dropped_cm3(as_found, bones)
    whole_cm3 = quality.volumes_cm3(Volume(bones, ct_hu.grid))
    manifest.findings.extend(broken_bones(manifest.facts["dropped_cm3"], whole_cm3))
    if method == "provided":
        return bones, found.bones
    manifest.facts["completed_head_cm3"] = {}
    for side in Side:
        bones, completed_cm3 = completed_head(Volume(bones, ct_hu.grid), side)
        manifest.facts["completed_head_cm3"][side.value] = completed_cm3
    return bones, np.where(np.isin(bones, list(FEMUR.values())), bones, found.bones)


def look_for_metal(ct_hu: Volume, bones: np.ndarray, manifest: Manifest, config: SegmentationConfig) -> None:
    """Withhold every side with an implant."""
    found = metal_at_hips(ct_hu, bones, config.metal_hu)
    manifest.facts["metal"] = {side.value: metal.facts() for side, metal in found.items()}
    for side, metal in found.items():
        if metal.volume_mm3 > config.metal_mm3:
            detail = f"expected up to {config.metal_mm3:g} mm3, got {metal.volume_mm3:.0f}"
            manifest.findings.append(Finding("SEG-METAL", f"metal near the femur: {detail}", side=side.value))


def look_for_fractures(ct_hu: Volume, bones: np.ndarray, manifest: Manifest, config: SegmentationConfig) -> None:
    """Withhold every side whose femur is broken; `bones` with all pieces."""
    manifest.facts["cortical_gap"] = {}
    for side in Side:
        if manifest.withholds(side=side.value):
            continue
        gap = largest_gap(ct_hu, bones == FEMUR[side], bones == HIP[side])
        manifest.facts["cortical_gap"][side.value] = gap.facts()
        if gap.is_fracture(config.fracture_share):
            detail = f"expected up to {config.fracture_share:g} of the circumference, got {gap.share:.2f}"
            detail += f" ({gap.length_mm:.0f} mm); loose: {gap.loose_cm3:.0f} cm3"
            manifest.findings.append(Finding("SEG-FRACTURE", f"{gap.at}, cortical gap: {detail}", side=side.value))


def divide_hip(mask: Volume, femur: FemurGeometry, manifest: Manifest, config: SegmentationConfig) -> np.ndarray:
    """Labels of DXA's regions on the mask's grid, none if they are undefined; their measures become facts."""
    try:
        regions = hip_regions(mask, femur, config.total_hip_cut_mm, config.head_cut_radii)
    except ValueError as error:
        manifest.findings.append(Finding("SEG-REGIONS", str(error), side=femur.side.value))
        return np.zeros(mask.array.shape, np.uint8)
    manifest.facts["hip_regions"][femur.side.value] = regions.facts()
    return regions.labels


def measure_sides(
    ct_hu: Volume, bones: np.ndarray, manifest: Manifest, config: SegmentationConfig
) -> tuple[dict, np.ndarray, np.ndarray]:
    """Geometry, proximal femur and DXA's regions of every side that can be used."""
    femurs, proximal, regions = {}, np.zeros(bones.shape, np.uint8), np.zeros(bones.shape, np.uint8)
    manifest.facts["hip_regions"] = {}
    for side in Side:
        if manifest.withholds(side=side.value):
            continue
        mask = Volume(bones == FEMUR[side], ct_hu.grid)
        try:
            femur = locate_femur(mask, side, config.distal_cut_mm, Volume(bones == HIP[side], ct_hu.grid))
            refuse_leaking_head(Volume(bones, ct_hu.grid), side, femur.head.centre_mm, femur.head.radius_mm)
        except Withheld as error:
            manifest.findings.append(error.finding)
            continue
        femurs[side.value] = femur.facts()
        manifest.findings.extend(femur.findings())
        window = mask.window(mask.array)
        mask = mask.cut(window)
        part = proximal_femur(mask, femur, config.distal_cut_mm, config.head_cut_radii)
        proximal[window][part] = PROXIMAL_FEMUR[side]
        regions[window] = np.maximum(regions[window], divide_hip(mask, femur, manifest, config))
    manifest.findings.extend(unlike_sides(femurs))
    return femurs, proximal, regions


def segment(ingest: Manifest, args: argparse.Namespace, config: SegmentationConfig, manifest: Manifest) -> None:
    """Segment, measure, and write the files of the stage."""
    ct_hu = read_volume(ingest.file("ct"))
    bones, in_pieces = find_bones(ct_hu, args, config, manifest)
    manifest.facts["volumes_cm3"] = quality.volumes_cm3(Volume(bones, ct_hu.grid))
    look_for_metal(ct_hu, bones, manifest, config)
    # An implant may have taken the place of the bone that is missing.
    missing = quality.missing_bones(manifest.facts["volumes_cm3"])
    manifest.findings.extend(finding for finding in missing if not manifest.withholds(side=finding.side))
    look_for_fractures(ct_hu, in_pieces, manifest, config)
    femurs, region, hip = measure_sides(ct_hu, bones, manifest, config)
    if args.proximal_femur:
        given = provided_region(read_volume(args.proximal_femur, name="proximal_femur"), ct_hu.grid, bones)
        region = with_given_regions(region, given, map(Side, femurs))
    manifest.facts["proximal_femur_cm3"] = {
        side: float(np.count_nonzero(region == PROXIMAL_FEMUR[Side(side)]) * ct_hu.grid.voxel_mm3 / 1000)
        for side in femurs
    }
    out = manifest.path.parent
    write_json(out / "femur.json", femurs)
    write_volume(out / "bones.nii.gz", Volume(bones, ct_hu.grid))
    write_volume(out / "proximal_femur.nii.gz", Volume(region, ct_hu.grid))
    write_volume(out / "regions.nii.gz", Volume(hip, ct_hu.grid))
    manifest.add_file("femur", out / "femur.json")
    for name in ("bones", "proximal_femur", "regions"):
        manifest.add_file(name, out / f"{name}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--model", default="", help="manifest of the trained network; empty if there is none")
    parser.add_argument("--bone-labels", default="", help="bone labels (NIfTI); empty to use the backend")
    parser.add_argument("--totalsegmentator", default="", help="manifest of its masks; empty unless it is the backend")
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
