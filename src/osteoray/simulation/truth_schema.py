"""What the truth of a virtual patient holds: every fact and map with its unit, its reading of density and its meaning.

The table of `docs/simulation.md` is `as_markdown()`; a manifest is held against the same list, so that neither the
documentation nor the files can drift.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

TRUTH_VERSION = 2
"""Rises whenever a quantity is renamed, removed or redefined; 1 had neither DXA nor shadows."""

TRUE, QCT, NEITHER = "true HA", "ideal QCT", ""


@dataclass(frozen=True)
class Quantity:
    """One quantity of the truth.

    Attributes:
        path: keys joined by dots; `{side}`, `{xray}`, `{bone}` and `{name}` stand for any key, `[]` for every entry of
            a list.
        unit: of its numbers; empty for names, counts and ratios.
        reading: true hydroxyapatite, ideal QCT, or neither.
        meaning: its definition.
        is_optional: absent where the examination does not show it.
    """

    path: str
    unit: str
    reading: str
    meaning: str
    is_optional: bool = False

    def matches(self, path: str) -> bool:
        """Whether a path of a manifest is this quantity."""
        pattern = re.sub(r"\\{(\w+)\\}", r"[^.]+", re.escape(self.path))
        return re.fullmatch(pattern, path) is not None


FACTS: tuple[Quantity, ...] = (
    Quantity("truth_version", "", NEITHER, f"version of this table: {TRUTH_VERSION}"),
    Quantity("body.{name}", "in the name", NEITHER, "what was drawn about the anatomy"),
    Quantity("ct.grid.shape", "voxels", NEITHER, "slices, rows, columns of the CT and of every volume of the truth"),
    Quantity("ct.grid.world_from_index", "mm", NEITHER, "affine from (k, j, i) to LPS"),
    Quantity("ct.slope_mg_cm3_per_hu", "mg/cm³ per HU", QCT, "perfect calibration of this scan, drift included"),
    Quantity("ct.intercept_mg_cm3", "mg/cm³", QCT, "its intercept"),
    Quantity("ct.noise_hu", "HU", NEITHER, "noise in the reference body and voxel"),
    Quantity("ct.cupping_hu", "HU", NEITHER, "how much too low the middle of the body reads"),
    Quantity("ct.blur_mm", "mm", NEITHER, "standard deviation of the in-plane point spread"),
    Quantity("ct.kvp", "kV", NEITHER, "tube voltage"),
    Quantity("ct.kernel", "", NEITHER, "reconstruction kernel"),
    Quantity("ct.scanner", "", NEITHER, "which of the cohort's scanners, from 0"),
    Quantity("ct.phantom", "", NEITHER, "name of the phantom; null without one"),
    Quantity("ct.unit", "", NEITHER, "what the phantom's rods are certified in"),
    Quantity("ct.rods", "", NEITHER, "empty without a phantom", True),
    Quantity("ct.rods[].density_mg_cm3", "mg/cm³", NEITHER, "certified density of a rod, in the phantom's unit", True),
    Quantity("ct.rods[].ideal_hu", "HU", NEITHER, "what its attenuation gives, without drift and cupping", True),
    Quantity("ct.rods[].centre_mm", "mm", NEITHER, "LPS mean of its centres over the slices that it reaches", True),
    Quantity("ct.rods[].path_mm", "mm", NEITHER, "LPS centre in every tenth of these slices", True),
    Quantity("ct.defects", "", NEITHER, "what the configuration asks to be wrong with the patient"),
    Quantity("ct.implant_side", "", NEITHER, "side of an implant in the CT", True),
    Quantity("ct.fracture_side", "", NEITHER, "side of a fracture", True),
    Quantity("ct.fracture_at", "", NEITHER, "neck or trochanteric", True),
    Quantity("ct.fracture_gap_mm", "mm", NEITHER, "width of the crack", True),
    Quantity(
        "ct.fracture_varus_deg", "°", NEITHER, "by this much the neck has turned down about the head's centre", True
    ),
    Quantity(
        "ct.motion_below_z_mm", "mm", NEITHER, "the patient moved while slices below this height were taken", True
    ),
    Quantity("ct.motion_mm", "mm", NEITHER, "by this much, LPS", True),
    Quantity("ct.gantry_tilt_deg", "°", NEITHER, "tilt of the gantry", True),
    Quantity("femur.{side}.head_centre_mm", "mm", NEITHER, "LPS centre of the head's sphere, in the pose of the CT"),
    Quantity("femur.{side}.head_radius_mm", "mm", NEITHER, "radius of the bony head"),
    Quantity("femur.{side}.neck_axis", "", NEITHER, "unit vector from the neck to the head"),
    Quantity("femur.{side}.neck_centre_mm", "mm", NEITHER, "centre of the neck's waist"),
    Quantity("femur.{side}.shaft_axis", "", NEITHER, "unit vector along the shaft, towards the hip"),
    Quantity("femur.{side}.shaft_point_mm", "mm", NEITHER, "a point on the shaft's axis below the lesser trochanter"),
    Quantity("femur.{side}.lesser_trochanter_mm", "mm", NEITHER, "lower edge of the lesser trochanter"),
    Quantity("femur.{side}.neck_shaft_angle_deg", "°", NEITHER, "between neck axis and distal shaft"),
    Quantity("femur.{side}.anteversion_deg", "°", NEITHER, "drawn anteversion; null where condyles are unknown"),
    Quantity("femur.{side}.femoral_offset_mm", "mm", NEITHER, "distance of the head's centre from the shaft's axis"),
    Quantity("femur.{side}.neck_length_mm", "mm", NEITHER, "from the head's centre to where both axes come closest"),
    Quantity("density.{side}.abmd_g_cm2", "g/cm²", TRUE, "areal density of the proximal femur in the neutral view"),
    Quantity("density.{side}.abmd_g_cm2_qct", "g/cm²", QCT, "the same, on the voxels of the body"),
    Quantity(
        "density.{side}.abmd_g_cm2_ct",
        "g/cm²",
        QCT,
        "the same, on the voxels of the CT, without noise; absent where it is cut off, moved or replaced",
        True,
    ),
    Quantity("density.{side}.area_cm2", "cm²", NEITHER, "area of the region in the neutral view"),
    Quantity("density.{side}.bmc_g", "g", TRUE, "areal density times area"),
    Quantity("density.{side}.bmc_g_qct", "g", QCT, "the same of the ideal QCT"),
    Quantity("density.{side}.vbmd_mg_cm3", "mg/cm³", TRUE, "mean over the labelled region in 3-D"),
    Quantity("density.{side}.vbmd_mg_cm3_qct", "mg/cm³", QCT, "the same of the ideal QCT"),
    Quantity("density.{side}.mineral_g", "g", TRUE, "mineral of the labelled region, summed over voxels"),
    Quantity("density.{side}.cortical_share", "", TRUE, "part of it in voxels above 500 mg/cm³, at the body's spacing"),
    Quantity("density.{side}.trabecular_vbmd_mg_cm3", "mg/cm³", TRUE, "mean of the region's other voxels"),
    Quantity("dxa.{side}.total_hip_g_cm2", "g/cm²", TRUE, "total hip as DXA reports it, precision error included"),
    Quantity("dxa.{side}.total_hip_true_g_cm2", "g/cm²", TRUE, "total hip without that error"),
    Quantity("dxa.{side}.total_hip_area_cm2", "cm²", NEITHER, "its area"),
    Quantity("dxa.{side}.neck_g_cm2", "g/cm²", TRUE, "femoral neck as DXA reports it"),
    Quantity("dxa.{side}.neck_true_g_cm2", "g/cm²", TRUE, "femoral neck without the precision error"),
    Quantity("dxa.{side}.neck_area_cm2", "cm²", NEITHER, "its area"),
    Quantity("dxa.{side}.neck_box_mm", "mm", NEITHER, "length of the neck box across the neck"),
    Quantity("dxa.{side}.internal_rotation_deg", "°", NEITHER, "turn of the femur from the CT's pose into the scan's"),
    Quantity("xrays.{xray}.K", "pixels", NEITHER, "intrinsic matrix: K (x, y, z) = z (column, row, 1)"),
    Quantity("xrays.{xray}.shape", "pixels", NEITHER, "rows and columns of the detector"),
    Quantity("xrays.{xray}.pitch_mm", "mm", NEITHER, "pixel size along rows and columns, at the detector"),
    Quantity("xrays.{xray}.camera_from_world.{bone}", "mm", NEITHER, "rigid pose of a bone: camera from the CT's LPS"),
    Quantity("xrays.{xray}.pose", "", NEITHER, "name of the pose"),
    Quantity("xrays.{xray}.pose_deg.{side}.flexion", "°", NEITHER, "flexion from the pose of the CT"),
    Quantity("xrays.{xray}.pose_deg.{side}.abduction", "°", NEITHER, "abduction from the pose of the CT"),
    Quantity("xrays.{xray}.pose_deg.{side}.rotation", "°", NEITHER, "internal rotation from the pose of the CT"),
    Quantity("xrays.{xray}.pelvis_tilt_deg", "°", NEITHER, "posterior tilt of the pelvis from the pose of the CT"),
    Quantity("xrays.{xray}.sid_mm", "mm", NEITHER, "distance from focus to detector"),
    Quantity("xrays.{xray}.source_patient_mm", "mm", NEITHER, "distance from focus to the middle of the patient"),
    Quantity("xrays.{xray}.kvp", "kV", NEITHER, "tube voltage"),
    Quantity("xrays.{xray}.mas", "mAs", NEITHER, "tube load"),
    Quantity("xrays.{xray}.scatter_ratio", "", NEITHER, "scatter over primary behind grid and a thick body"),
    Quantity("xrays.{xray}.aec_factor", "", NEITHER, "how far exposure control missed its aim"),
    Quantity("xrays.{xray}.exposure_index", "", NEITHER, "exposure index of the image (IEC 62494-1)"),
    Quantity("xrays.{xray}.focal_spot_mm", "mm", NEITHER, "width of the focal spot"),
    Quantity("xrays.{xray}.shading_per_100_mm", "1/100 mm", NEITHER, "slope of the primary down and right"),
    Quantity("xrays.{xray}.motion_mm", "mm", NEITHER, "motion during the exposure, down and right, at the detector"),
    Quantity("xrays.{xray}.field_corners", "pixels", NEITHER, "(row, column) of the collimated field's corners"),
    Quantity("xrays.{xray}.marker", "", NEITHER, "letter of the lead marker"),
    Quantity("xrays.{xray}.marker_text", "", NEITHER, "burned-in name of the pose; empty without"),
    Quantity("xrays.{xray}.storage", "", NEITHER, "log, linear or presentation"),
    Quantity("xrays.{xray}.defects", "", NEITHER, "what is wrong with this X-ray"),
    Quantity("xrays.{xray}.is_mirrored", "", NEITHER, "column c of the truth is columns - 1 - c of the file"),
    Quantity("xrays.{xray}.is_inverted", "", NEITHER, "the picture is inverted, the tags are not"),
    Quantity("xrays.{xray}.has_metal", "", NEITHER, "an implant shows"),
    Quantity(
        "xrays.{xray}.proximal_femur.{side}.abmd_g_cm2",
        "g/cm²",
        TRUE,
        "mean of the map over the shadow, in its pose",
        True,
    ),
    Quantity("xrays.{xray}.proximal_femur.{side}.abmd_g_cm2_qct", "g/cm²", QCT, "the same of the ideal QCT", True),
    Quantity("xrays.{xray}.proximal_femur.{side}.pixels", "pixels", NEITHER, "size of the shadow", True),
)

VOLUMES: tuple[Quantity, ...] = (
    Quantity("bones.nii.gz", "", NEITHER, "labels of `Bone` on the CT's grid"),
    Quantity("proximal_femur.nii.gz", "", NEITHER, "1 left, 2 right: between head-neck cut and distal cut"),
    Quantity("ha.nii.gz", "mg/cm³", TRUE, "mineral per volume; full truth only", True),
    Quantity("qct_ideal.nii.gz", "mg/cm³", QCT, "what a noiseless, unblurred scan reads; full truth only", True),
)

MAPS: tuple[Quantity, ...] = (
    Quantity("{xray}.npz: bone", "g/cm²", TRUE, "areal density of pelvis and both femurs on the detector"),
    Quantity("{xray}.npz: bone_qct", "g/cm²", QCT, "the same of the ideal QCT"),
    Quantity("{xray}.npz: proximal_femur_{side}", "g/cm²", TRUE, "areal density of a proximal femur on the detector"),
    Quantity("{xray}.npz: proximal_femur_{side}_qct", "g/cm²", QCT, "the same of the ideal QCT"),
    Quantity("{xray}.npz: quantum_g_cm2", "g/cm²", NEITHER, "compact truth only: maps are multiples of it", True),
)


def paths_of(facts: Any, prefix: str = "") -> set[str]:
    """Paths of every value of a JSON object; numbers, texts and lists of either are values."""
    if isinstance(facts, dict):
        return {path for key, value in facts.items() for path in paths_of(value, f"{prefix}.{key}" if prefix else key)}
    if isinstance(facts, list) and facts and all(isinstance(entry, dict) for entry in facts):
        return {path for entry in facts for path in paths_of(entry, f"{prefix}[]")}
    return {prefix}


def problems_of(paths: set[str], quantities: tuple[Quantity, ...]) -> list[str]:
    """How paths differ from the quantities that should be there: undocumented ones, and missing ones."""
    unknown = [
        f"{path}: expected a documented quantity" for path in paths if not any(q.matches(path) for q in quantities)
    ]
    missing = [
        f"{quantity.path}: expected in the truth, got none"
        for quantity in quantities
        if not quantity.is_optional and not any(quantity.matches(path) for path in paths)
    ]
    return sorted(unknown) + missing


def as_markdown() -> str:
    """The table of the documentation."""
    lines = ["| quantity | unit | reading | definition |", "|---|---|---|---|"]
    return "\n".join(
        lines + [f"| `{q.path}` | {q.unit} | {q.reading} | {q.meaning} |" for q in (*FACTS, *VOLUMES, *MAPS)]
    )
