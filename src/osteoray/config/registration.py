"""Configuration of 2D-3D registration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from osteoray.config.section import Section

Size = Annotated[float, Field(ge=0.5, le=10)]


class RegistrationConfig(Section):
    """How bones of the CT are found in an X-ray, and when the result is trusted."""

    seed: int = Field(20240, ge=0)
    """Seed of every random choice."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where bones are rendered; `cuda` registers all X-rays of a patient at once and makes it ask for one GPU."""
    soft_tissue_mg_cm3: float = Field(40.0, ge=0, le=150)
    """Density subtracted from the QCT before projection: bone shows by its contrast to muscle, mg/cm³ HA."""
    dilation_voxels: int = Field(1, ge=0, le=3)
    """Voxels by which a bone's mask grows; a mask that is too small costs accuracy, one too large nothing."""
    pelvis_rim_mm: float = Field(3.0, ge=0, le=6)
    """What lies so near to the pelvis and is no other bone is rendered with it: its thin cortex blurs far, mm."""
    voxel_mm: tuple[Size, Size, Size] = (3.0, 2.0, 1.5)
    """Voxel size of the bone models, coarse to fine, mm."""
    pixel_mm: tuple[Size, Size, Size] = (3.4, 2.0, 1.7)
    """Pixel size of the X-ray at the detector at each level, coarse to fine, mm."""
    object_detector_mm: float = Field(150.0, ge=0, le=600)
    """Distance from mid-patient to detector where the X-ray does not tell, mm."""
    population: int = Field(24, ge=8, le=200)
    """Poses per generation of a search."""
    generations: int = Field(25, ge=5, le=300)
    """Most generations of one search for the pelvis."""
    femur_generations: int = Field(15, ge=5, le=300)
    """Most generations of one search for a femur."""
    most_searches: int = Field(6, ge=2, le=30)
    """Searches after which disagreement is accepted as failure."""
    rotation_range_deg: float = Field(22.0, gt=0, le=60)
    """Half width of the pelvis search about each axis, degrees."""
    lateral_range_mm: float = Field(80.0, gt=0, le=200)
    """Half width of the pelvis search across the beam, mm."""
    depth_range_mm: float = Field(120.0, gt=0, le=300)
    """Half width of the pelvis search along the beam, mm."""
    unknown_depth_range_mm: float = Field(180.0, gt=0, le=400)
    """The same where the X-ray does not tell its distances, mm."""
    femur_rotation_range_deg: float = Field(42.0, gt=0, le=90)
    """Half width of the search of a femur's rotation relative to the pelvis, about each axis, degrees."""
    femur_shift_range_mm: float = Field(6.0, gt=0, le=30)
    """Half width of the search of the femoral head's place relative to the pelvis across the beam, mm."""
    femur_depth_range_mm: float = Field(6.0, gt=0, le=100)
    """Half width of the search of the femoral head's place relative to the pelvis along the beam, mm."""
    most_disagreement_mm: float = Field(4.0, gt=0)
    """Mean distance between the bones at two independent search results that counts as agreement, mm."""
    least_z: float = Field(4.5, ge=-10, le=100)
    """Least similarity of the pelvis, in standard deviations above that of random poses."""
    least_femur_z: float = Field(2.0, ge=-10, le=100)
    """The same for a femur, which is a smaller part of the picture."""
    most_split_mm: float = Field(3.0, gt=0)
    """Largest distance between the image of the bone fitted to either half of the image rows, mm at the bone."""
    most_unsettled_mm: float = Field(0.1, gt=0)
    """Largest distance by which one more step of the refinement would move the bone's image, mm at the bone."""
    most_edge: float = Field(0.98, gt=0)
    """Distance from the middle of the search box, in half widths, at which a pose counts as lying on its edge."""
    least_field: float = Field(0.8, ge=0, le=1)
    """Least fraction of the bone within 120 mm of its centre that must project into the X-ray."""
    most_joint_shift_mm: float = Field(6.0, gt=0)
    """Largest shift of the femoral head from its place in the pelvis across the beam, mm."""
    most_joint_depth_mm: float = Field(10.0, gt=0)
    """Largest shift of the femoral head from its place in the pelvis along the beam, which is poorly seen, mm."""
    least_mirror_lead: float = Field(0.015, ge=0, lt=1)
    """Least gradient correlation by which the pelvis must fit the X-ray better than the mirrored one."""
    least_femur_ratio: float = Field(1.1, ge=0)
    """Least gradient correlation of a femur, over that of the pelvis in the same X-ray."""
    enough_femur_similarity: float = Field(0.8, ge=0, le=1)
    """Gradient correlation of a femur that is enough whatever the pelvis's: in a clear picture both are high."""
    most_rival_lead: float = Field(0.003, ge=0, lt=1)
    """Gradient correlation by which a femur may fit better in a pose that is turned by 15 or 32 degrees and refined."""
    most_flexion_deg: float = Field(12.0, gt=0)
    """Flexion or extension of the femur relative to the detector beyond which a warning is given, degrees."""
    most_abduction_deg: float = Field(15.0, gt=0)
    """Abduction or adduction of the femur relative to the image rows beyond which a warning is given, degrees."""
    rotation_deg: tuple[float, float] = (-25.0, 20.0)
    """Range of the neck's rotation out of the detector plane, internal positive, without a warning, degrees."""

    @field_validator("voxel_mm", "pixel_mm")
    @classmethod
    def _coarse_to_fine(cls, sizes_mm: tuple[float, ...]) -> tuple[float, ...]:
        if list(sizes_mm) != sorted(sizes_mm, reverse=True):
            raise ValueError(f"expected sizes from coarse to fine, got {sizes_mm}")
        return sizes_mm

    @field_validator("rotation_deg")
    @classmethod
    def _low_to_high(cls, range_deg: tuple[float, float]) -> tuple[float, float]:
        if not range_deg[0] < range_deg[1]:
            raise ValueError(f"expected the lower end first, got {range_deg}")
        return range_deg
