"""The virtual cohort: how many patients, and the CT scanner and X-ray system that image them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from osteoray.config.section import Section


class CtScannerConfig(Section):
    """The simulated CT scan."""

    matrix: int = Field(default=256, ge=32, le=1024)
    """Pixels per row and column of a slice."""
    pixel_mm: float = Field(default=1.8, ge=0.4, le=8)
    """Pixel size in mm."""
    slice_mm: float = Field(default=2.5, ge=0.5, le=10)
    """Slice thickness and distance in mm."""
    extent_mm: float = Field(default=275.0, ge=60, le=500)
    """Scanned length in mm, from the iliac crests downwards."""
    kvp: Literal[80, 100, 120, 140] = 120
    """Tube voltage in kV."""
    kernel: Literal["soft", "standard", "sharp"] = "standard"
    """Reconstruction kernel: point spread and noise texture; `sharp` overshoots at edges."""
    noise_hu: float = Field(default=12.0, ge=0, le=100)
    """Standard deviation of the noise in HU in a body of 28 cm water-equivalent diameter, at 5 mm³ voxels, 120 kV and
    the standard kernel."""
    cupping_hu: float = Field(default=6.0, ge=0, le=60)
    """Largest beam hardening left after correction: how many HU too low the middle of a thick body reads."""
    scanners: int = Field(default=1, ge=1, le=20)
    """Scanners that share the patients; each has its own slope and offset and drifts from day to day."""
    phantom: Literal["b_mas200", "mindways_model3", "qrm_bdc3", "qrm_bdc6"] = "b_mas200"
    """Calibration phantom under the patient: a table of `resources/phantoms/`."""
    phantom_offset_mm: float = Field(default=6.0, ge=0, le=40)
    """Standard deviation of the phantom's lateral place in mm."""
    phantom_tilt_deg: float = Field(default=0.6, ge=0, le=10)
    """Standard deviation of the phantom's roll and skew in degrees."""
    transfer_syntax: Literal["raw", "jpeg_lossless", "jpeg_ls", "jpeg_2000", "rle"] = "raw"
    """How pixel data are stored in the files; all are lossless."""


class XraySystemConfig(Section):
    """The simulated X-ray system."""

    rows: int = Field(default=480, ge=32, le=4096)
    """Detector rows."""
    columns: int = Field(default=600, ge=32, le=4096)
    """Detector columns."""
    pitch_mm: float = Field(default=0.75, ge=0.05, le=10)
    """Detector pixel size in mm."""
    sid_mm: float = Field(default=1150.0, ge=800, le=2000)
    """Mean distance from focus to detector in mm."""
    sid_sd_mm: float = Field(default=25.0, ge=0, le=100)
    """Standard deviation of that distance over X-rays in mm."""
    kvp: Literal[70, 75, 80, 85, 90] = 80
    """Tube voltage in kV."""
    soft_tissue_mm: float = Field(default=3.0, ge=1, le=12)
    """Voxel size in mm at which soft tissue follows the femurs; bones move at the anatomy's own voxel size."""
    modality: Literal["DX", "CR"] = "DX"
    """Flat detector or storage phosphor: point spread, noise, and the tags that the file carries."""
    storage: Literal["log", "linear", "presentation"] = "log"
    """Stored values: log attenuation or exposure FOR PROCESSING, or the vendor's picture FOR PRESENTATION."""
    vendor: Literal["a", "b", "c"] = "a"
    """Tone curve and multi-scale contrast of presentation images."""
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = "MONOCHROME2"
    """Whether small values are shown white (1) or black (2)."""
    collimation: bool = True
    """Whether the field is collimated to the body; what lies outside is stored as the file says."""
    pose_text: bool = False
    """Whether the technologist burns in the pose, such as STANDING, beside the lead marker."""


class DxaConfig(Section):
    """The simulated DXA scan."""

    cv_percent: float = Field(default=1.8, ge=0, le=10)
    """Precision error of an areal density with repositioning, as a coefficient of variation in percent."""


Defect = Literal[
    "implant_ct",
    "implant_xray",
    "fracture_ct",
    "contrast",
    "motion",
    "very_large",
    "ct_cropped",
    "phantom_absent",
    "phantom_cut",
    "phantom_clipped",
    "phantom_turned",
    "rods_swapped",
    "ct_empty",
    "ct_corrupt",
    "ct_localizer_only",
    "slice_missing",
    "slice_duplicate",
    "slice_uneven",
    "gantry_tilt",
    "not_hu",
    "thick_slices",
    "localizer",
    "padding",
    "feet_first",
    "compressed",
    "xray_unreadable",
    "xray_one_hip",
    "xray_flipped",
    "xray_wrong_laterality",
    "xray_wrong_photometric",
    "xray_no_geometry",
    "xray_no_pitch",
    "xray_flexed",
    "xray_rotated",
    "xray_abducted",
    "xray_cropped",
    "xray_motion",
]
"""What can be wrong with a virtual patient; `osteoray.simulation.defects` says what each does and what finds it."""

_NO_CT: tuple[Defect, ...] = ("ct_empty", "ct_localizer_only", "ct_corrupt")
_ALONE: tuple[Defect, ...] = (*_NO_CT, "xray_unreadable")
_EXCLUSIVE: tuple[tuple[Defect, ...], ...] = (
    ("implant_ct", "implant_xray", "fracture_ct"),
    _NO_CT,
    ("phantom_absent", "phantom_cut", "phantom_clipped", "phantom_turned"),
    ("phantom_absent", "rods_swapped"),
    # The second scan of the slice would fill the gap.
    ("slice_missing", "slice_duplicate"),
)
"""Defects of which a patient can have one: a broken hip is not yet replaced, a phantom that is absent lies nowhere."""


def _hidden_by(defect: Defect) -> frozenset[str]:
    """Defects that nobody can see beside one that leaves no CT, or no X-ray, to look at; the patient's own remain."""
    of_xray = {name for name in get_args(Defect) if name.startswith("xray_")}
    of_body = {"implant_ct", "implant_xray", "fracture_ct", "very_large"}
    return frozenset((of_xray if defect in of_xray else set(get_args(Defect)) - of_xray - of_body) - {defect})


def _can_coexist(defects: tuple[Defect, ...]) -> tuple[Defect, ...]:
    """Refuse what cannot be wrong, or cannot show, in one patient at once."""
    for exclusive in _EXCLUSIVE:
        if len(set(defects) & set(exclusive)) > 1:
            raise ValueError(f"expected at most one of {', '.join(exclusive)}; remove the others")
    for defect in set(defects) & set(_ALONE):
        if hidden := sorted(_hidden_by(defect) & set(defects)):
            raise ValueError(f"expected {defect} without {', '.join(hidden)}, which it hides; remove either")
    return defects


class SimulationConfig(Section):
    """Virtual patients with everything a hospital would deliver, and the truth."""

    patients: int = Field(default=20, ge=1, le=10000)
    """Number of virtual patients; raising it appends patients and changes none."""
    labelled: int = Field(default=6, ge=0)
    """The first this many patients come with bone labels."""
    xrays_per_patient: int = Field(default=2, ge=1, le=5)
    """X-rays per patient; poses rotate, so that patients differ."""
    seed: int = Field(default=2026, ge=0)
    """Seed of the cohort."""
    anatomy: Literal["procedural", "labelmaps"] = "procedural"
    """Where shapes come from: drawn by formula, or bone and body label maps on disk."""
    labelmaps: str = ""
    """Folder of `*_label.nii.gz` and `*_mask.nii.gz` pairs, for anatomy `labelmaps`."""
    anatomy_spacing_mm: float = Field(default=1.8, ge=0.5, le=8)
    """Voxel size of the virtual body in mm."""
    ct: CtScannerConfig = CtScannerConfig()
    """CT scanner."""
    xray: XraySystemConfig = XraySystemConfig()
    """X-ray system."""
    dxa: DxaConfig = DxaConfig()
    """DXA scanner."""
    defects: dict[str, Annotated[tuple[Defect, ...], AfterValidator(_can_coexist)]] = Field(default_factory=dict)
    """Defects on demand by patient, such as `V003: [phantom_turned]`; those of X-rays hit the patient's first one.
    Refused for unknown patients, and where one cannot be or show beside another."""
    truth: Literal["full", "compact"] = "full"
    """Keep the truth's volumes, or only its maps, labels and numbers (a large cohort)."""

    @field_validator("defects")
    @classmethod
    def _of_patients_of_the_cohort(
        cls, defects: dict[str, tuple[Defect, ...]], info: ValidationInfo
    ) -> dict[str, tuple[Defect, ...]]:
        count = info.data.get("patients")
        # With a number of patients that is wrong itself, its own error is enough.
        if count is not None and (unknown := sorted(set(defects) - {f"V{n:03d}" for n in range(1, count + 1)})):
            raise ValueError(
                f"expected patients from V001 to V{count:03d}, not {', '.join(unknown)}; correct them or raise patients"
            )
        return defects

    @model_validator(mode="after")
    def _labelmaps_have_a_folder(self) -> SimulationConfig:
        if (self.anatomy == "labelmaps") != bool(self.labelmaps):
            raise ValueError(
                f"labelmaps: expected a folder exactly when anatomy is labelmaps, got {self.labelmaps!r} "
                f"with anatomy {self.anatomy}"
            )
        return self
