"""A virtual patient's CT over the phantom: what was wrong with it, the image, and its truth."""

from __future__ import annotations

from dataclasses import dataclass

from osteoray.config.simulation import Defect, SimulationConfig
from osteoray.imaging.bones import Side
from osteoray.simulation.body import Body
from osteoray.simulation.ct_defects import design_of, grid_of, scan_of, slice_mm_of, subject_of
from osteoray.simulation.ct_response import ct_response
from osteoray.simulation.ct_setup import Scan, ct_grid, draw_scan
from osteoray.simulation.defects import defects_of
from osteoray.simulation.dicom_ct import CtHeader
from osteoray.simulation.enrolment import VirtualPatient, generator
from osteoray.simulation.fracture import FRACTURE_SIDE, broken_body
from osteoray.simulation.gantry_tilt import TILT_DEG, tilted_ct
from osteoray.simulation.implant import IMPLANT_SIDE
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner import CtScan, scan_subject
from osteoray.simulation.scanner_unit import scanner_unit
from osteoray.simulation.truth import grid_facts


@dataclass(frozen=True, eq=False)
class CtExamination:
    """A CT with its truth.

    Attributes:
        scan: what was drawn for it.
        design: the phantom as it lay there.
        ct: image and truth.
        defects: what the configuration asks to be wrong with the patient, CT and X-rays alike.
        defect_facts: what was drawn for the CT's defects; JSON values.
    """

    scan: Scan
    design: PhantomDesign
    ct: CtScan
    defects: frozenset[Defect]
    defect_facts: dict

    @property
    def disturbed_sides(self) -> frozenset[Side]:
        """Hips that the CT does not show as they are: displaced by motion, replaced, or broken."""
        if "motion" in self.defects:
            return frozenset(Side)
        changed = {"implant_ct": IMPLANT_SIDE, "fracture_ct": FRACTURE_SIDE}
        return frozenset(side for defect, side in changed.items() if defect in self.defects)


def examine_ct(config: SimulationConfig, patient: VirtualPatient, body: Body, design: PhantomDesign) -> CtExamination:
    """Scan the patient over the phantom, with the defects that the configuration asks for."""
    defects = defects_of(config, patient.patient_id)
    rng = generator(config.seed, patient.index, "ct")
    unit = scanner_unit(config.seed, patient.index % config.ct.scanners)
    design = design_of(design, defects)
    scan = draw_scan(body, design, config.ct, unit, rng)
    slice_mm = slice_mm_of(config.ct.slice_mm, defects)
    grid = ct_grid(body, scan, config.ct.matrix, config.ct.pixel_mm, slice_mm, config.ct.extent_mm)
    grid = grid_of(grid, body, defects)
    scan = scan_of(scan, design, grid, defects)
    broken = None
    if "fracture_ct" in defects:
        body, broken = broken_body(config, patient, body)
    subject, facts = subject_of(body, defects, generator(config.seed, patient.index, "ct", 1))
    if broken is not None:
        facts |= broken.facts()
    if "gantry_tilt" in defects:
        ct = tilted_ct(subject, scan, design, grid, rng)
        facts["gantry_tilt_deg"] = TILT_DEG
    else:
        ct = scan_subject(subject, scan, design, grid, rng)
    return CtExamination(scan, design, ct, defects, facts)


def ct_facts(examination: CtExamination) -> dict:
    """The CT's truth as JSON values."""
    scan, ct, design = examination.scan, examination.ct, examination.design
    response = ct_response(scan.kvp)
    rods = [
        {
            "density_mg_cm3": rod.density_mg_cm3,
            "ideal_hu": 1000 * (design.relative_attenuation(rod, response) - 1),
            "centre_mm": centres.mean(axis=0).tolist(),
            "path_mm": centres[::10].tolist(),
        }
        for rod, centres in zip(design.rods, ct.rods_mm, strict=True)
        if len(centres)
    ]
    return {
        "grid": grid_facts(ct.grid),
        "slope_mg_cm3_per_hu": ct.slope_mg_cm3_per_hu,
        "intercept_mg_cm3": ct.intercept_mg_cm3,
        "kvp": scan.kvp,
        "kernel": scan.kernel,
        "scanner": scan.unit.number,
        "noise_hu": scan.noise_hu,
        "cupping_hu": scan.cupping_hu,
        "blur_mm": scan.blur_mm,
        "phantom": design.name if scan.placement else None,
        "unit": design.unit,
        "rods": rods,
        "defects": sorted(examination.defects),
        **examination.defect_facts,
    }


def ct_header(examination: CtExamination, transfer_syntax: str) -> CtHeader:
    """What the files of the CT say."""
    scan = examination.scan
    return CtHeader(
        kvp=scan.kvp,
        kernel=scan.kernel,
        model=scan.unit.model,
        station=scan.unit.station,
        serial=scan.unit.serial,
        phantom=examination.design.name if scan.placement else "",
        current_ma=examination.ct.current_ma,
        transfer_syntax=transfer_syntax,
        defects=examination.defects,
    )
