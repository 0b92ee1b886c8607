"""The drawn parameters of a virtual patient: size, shape, pose in the CT, bone density, soft tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoray.imaging.bones import Side


@dataclass(frozen=True)
class FemurParameters:
    """Shape, pose and density of one femur.

    Attributes:
        neck_shaft_angle_deg: angle of the neck to the distal shaft.
        femoral_offset_mm: distance of the head's centre from the shaft axis.
        head_radius_mm: radius of the bony head.
        anteversion_deg: anatomical anteversion of the neck.
        flexion_deg: of the hip in the CT.
        adduction_deg: of the hip in the CT; a straight leg is adducted by about 5 degrees.
        rotation_deg: external rotation of the hip in the CT.
        bmd_scale: density relative to a patient of mean areal density.
    """

    neck_shaft_angle_deg: float
    femoral_offset_mm: float
    head_radius_mm: float
    anteversion_deg: float
    flexion_deg: float
    adduction_deg: float
    rotation_deg: float
    bmd_scale: float


@dataclass(frozen=True)
class AnatomyParameters:
    """Everything drawn about a patient.

    Attributes:
        sex: F or M.
        age_years: age.
        height_cm: height.
        weight_kg: weight.
        size: linear size of the skeleton relative to the templates.
        pelvis_blend: 0 the pelvis of the first template, 1 of the second.
        pelvis_width: stretch of the pelvis from left to right.
        pelvic_tilt_deg: backward tilt of the pelvis in the CT.
        joint_gap_mm: cartilage between femoral head and socket.
        bmd_scale: density of the patient relative to the mean; the femurs have their own.
        yellow_marrow: volume fraction of fat in the marrow of the pelvis.
        muscle_scale: thickness of muscles relative to the template.
        muscle_fat: mean volume fraction of fat inside muscles.
        fat_mm: thickness of subcutaneous fat at front, side and back.
        femurs: per side.
        disc_scale: height of the lumbar discs relative to the template.
        lumbar_tilt_deg: forward tilt of the top of L1; negative leans backwards. It sets the lordosis.
        spine_bend_deg: sideways tilt in the middle of a mild lumbar curve, to the left positive.
        rim_mm: prominence of the rims of the vertebral endplates (osteophytes).
    """

    sex: str
    age_years: float
    height_cm: float
    weight_kg: float
    size: float
    pelvis_blend: float
    pelvis_width: float
    pelvic_tilt_deg: float
    joint_gap_mm: float
    bmd_scale: float
    yellow_marrow: float
    muscle_scale: float
    muscle_fat: float
    fat_mm: tuple[float, float, float]
    femurs: dict[Side, FemurParameters]
    disc_scale: float
    lumbar_tilt_deg: float
    spine_bend_deg: float
    rim_mm: float

    @property
    def bmi(self) -> float:
        """Body mass index, kg/m²."""
        return self.weight_kg / (self.height_cm / 100) ** 2

    def described(self) -> dict[str, float | str]:
        """Flat table of the parameters."""
        flat: dict[str, float | str] = {k: v for k, v in vars(self).items() if isinstance(v, (str, float, int))}
        flat |= {f"fat_{name}_mm": value for name, value in zip(("front", "side", "back"), self.fat_mm, strict=True)}
        for side, femur in self.femurs.items():
            flat |= {f"{side}_{name}": value for name, value in vars(femur).items()}
        return flat


_MEAN_SIZE = {"F": 0.98, "M": 1.03}
"""Linear size of the skeleton relative to the templates: women of 165 cm and men of 172 cm."""

_TYPICAL_SIZE = {"F": 0.942, "M": 1.013}
"""The same for women of 156 cm and men of 168 cm, to whom the means of the femur belong."""

_FEMUR_MEANS = {
    "F": {"angle_deg": 126.0, "version_deg": 16.5, "offset_mm": 41.5, "head_mm": 43.3},
    "M": {"angle_deg": 123.9, "version_deg": 13.3, "offset_mm": 43.7, "head_mm": 48.5},
}
"""Means of the femur's shape by sex; sources in `_draw_femur`."""

MEAN_AREAL_G_CM2 = 0.76
"""Areal density of the proximal femur of a patient with `bmd_scale` 1 (Gu 2023: 0.759, SD 0.151)."""


def draw_anatomy(
    sex: str, age_years: float, height_cm: float, weight_kg: float, rng: np.random.Generator
) -> AnatomyParameters:
    """Draw the parameters of a patient, with correlations to sex, age, height and weight.

    Subcutaneous fat is independent of density given weight, so that raw X-ray brightness does not predict density.
    """
    bmi = weight_kg / (height_cm / 100) ** 2
    size = (height_cm / (165.0 if sex == "F" else 172.0)) ** 0.7 * rng.normal(1.0, 0.03)
    size *= _MEAN_SIZE[sex]
    bmd_scale = _draw_bmd(sex, age_years, weight_kg, rng) / MEAN_AREAL_G_CM2
    common = rng.normal(size=4)
    # Means of front, side and back; women carry more at the side. A lognormal factor makes each independent.
    base = np.array([14.0, 22.0, 16.0]) if sex == "F" else np.array([12.0, 14.0, 12.0])
    fat = np.maximum(base + np.array([2.0, 1.8, 1.2]) * (bmi - 22.0), 4.0) * np.exp(rng.normal(0, 0.3, 3))
    return AnatomyParameters(
        sex=sex,
        age_years=age_years,
        height_cm=height_cm,
        weight_kg=weight_kg,
        size=float(np.clip(size, 0.85, 1.18)),
        pelvis_blend=float(rng.uniform(-0.1, 1.1)),
        pelvis_width=float(rng.normal(1.03 if sex == "F" else 0.98, 0.025)),
        pelvic_tilt_deg=float(np.clip(rng.normal(0.0, 4.0), -9, 9)),
        joint_gap_mm=float(np.clip(rng.normal(4.0, 0.5), 3.0, 5.0)),
        bmd_scale=bmd_scale,
        yellow_marrow=float(np.clip(rng.normal(0.45 + 0.003 * (age_years - 50), 0.08), 0.2, 0.8)),
        muscle_scale=float(np.clip(rng.normal(1.0, 0.07), 0.82, 1.12)),
        muscle_fat=float(np.clip(rng.normal(0.06 + 0.0015 * (age_years - 50), 0.03), 0.02, 0.2)),
        fat_mm=(float(fat[0]), float(fat[1]), float(fat[2])),
        femurs={side: _draw_femur(sex, size, bmd_scale, common, rng) for side in Side},
        disc_scale=float(np.clip(rng.normal(1.05 - 0.004 * max(age_years - 40.0, 0.0), 0.12), 0.55, 1.2)),
        lumbar_tilt_deg=float(np.clip(rng.normal(-8.0, 5.0), -20.0, 4.0)),
        spine_bend_deg=float(np.clip(rng.normal(0.0, 3.0), -8.0, 8.0)),
        rim_mm=float(np.clip(rng.normal(0.04 * (age_years - 45.0), 0.7), 0.0, 3.0)),
    )


def _draw_bmd(sex: str, age_years: float, weight_kg: float, rng: np.random.Generator) -> float:
    """Areal density in g/cm²: loss after 45, men higher, 2 to 3 mg/cm² per kg, and a person's own share."""
    expected = 0.82 + (0.08 if sex == "M" else 0.0) - (0.0048 if sex == "F" else 0.0025) * max(age_years - 45.0, 0)
    expected += 0.0025 * (weight_kg - (57.0 if sex == "F" else 68.0))
    return float(np.clip(expected + rng.normal(0.0, 0.115), 0.38, 1.25))


def _draw_femur(
    sex: str, size: float, bmd_scale: float, common: np.ndarray, rng: np.random.Generator
) -> FemurParameters:
    """One femur; `common` is what both sides share (three quarters of the variance).

    Neck-shaft angle 124.7 ± 6.2 degrees, version 14.5 ± 8.1 degrees and offset 42.9 ± 6.8 mm with women more valgus
    and anteverted (Carmona et al. 2019, J. Arthroplasty, 2487-2493, CT of 628 healthy people, 63 % men). How the
    means split between the sexes is assumed, and that a varus neck and a large skeleton have more offset. Head
    diameter 43.3 mm in women and 48.5 mm in men (Cho et al. 2015, BioMed Res. Int. 730538, CT of 202 Korean femurs);
    its spread within a sex is assumed.
    """
    own = np.sqrt(0.75) * common + np.sqrt(0.25) * rng.normal(size=4)
    mean = _FEMUR_MEANS[sex]
    relative_size = size / _TYPICAL_SIZE[sex]
    offset = mean["offset_mm"] * relative_size + 6.4 * (-0.4 * own[0] + np.sqrt(1 - 0.4**2) * own[1])
    radius = mean["head_mm"] / 2 * (0.4 + 0.6 * relative_size)
    return FemurParameters(
        neck_shaft_angle_deg=float(np.clip(mean["angle_deg"] + 6.1 * own[0], 110.0, 140.0)),
        femoral_offset_mm=float(np.clip(offset, 28.0, 60.0)),
        head_radius_mm=float(np.clip(radius * (1.0 + 0.045 * own[2]), 18.5, 29.0)),
        anteversion_deg=float(np.clip(mean["version_deg"] + 8.0 * own[3], -8.0, 38.0)),
        flexion_deg=float(np.clip(rng.normal(4.0, 3.5), -4.0, 14.0)),
        adduction_deg=float(np.clip(rng.normal(4.0, 3.0), -4.0, 10.0)),
        rotation_deg=float(np.clip(rng.normal(0.0, 7.0), -15.0, 15.0)),
        bmd_scale=float(bmd_scale * np.exp(rng.normal(0.0, 0.03))),
    )
