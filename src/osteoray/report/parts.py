"""The sections of the report, from the tables and images that the stages left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from osteoray.report import tables
from osteoray.report.agreement_figures import Points, bland_altman, error_by_pose, scatter
from osteoray.report.cohort_flow import cohort_flow, draw_cohort_flow
from osteoray.report.definitions import DEFINITIONS
from osteoray.report.map_figures import Example, example_maps
from osteoray.report.page import Part, Picture
from osteoray.report.stage_figures import stage_quality
from osteoray.report.style import png
from osteoray.report.training_figures import Curve, training_curves
from osteoray.report.validation_figures import doubt_against_dice


@dataclass(frozen=True)
class Evidence:
    """Everything that the report is made of.

    Attributes:
        enrolled: patients in the cohort tables.
        tables: rows of agreement, precision, image_quality, significance, exclusions, stages, truth, validation and
            validation_summary.
        points: predicted and QCT aBMD of each experiment.
        examples: held-out half X-rays with their maps.
        curves: training logs by kind of training.
        segmentations: pictures of segmentations, the worst first.
        registrations: pictures of registrations, the worst first.
        max_doubt: doubt above which a segmented bone is called uncertain.
    """

    enrolled: int
    tables: Mapping[str, Sequence[Mapping[str, str]]]
    points: Sequence[Points]
    examples: Sequence[Example]
    curves: Mapping[str, Sequence[Curve]]
    segmentations: Sequence[Picture]
    registrations: Sequence[Picture]
    max_doubt: float


class Drawer:
    """Turns figures into pictures and keeps them by name, for the folder beside the report."""

    def __init__(self, dpi: int):
        self.dpi = dpi
        self.pictures: dict[str, Picture] = {}

    def __call__(self, name: str, figure: Figure | None, caption: str) -> list[Picture]:
        """The picture of a figure as a list, empty if there is no figure."""
        if figure is None:
            return []
        self.pictures[name] = Picture(png(figure, self.dpi), caption)
        return [self.pictures[name]]


def highlights(evidence: Evidence) -> list[tuple[str, str, str]]:
    """The numbers at the top of the page, from the experiment with the best agreement with QCT aBMD."""
    rows = [
        r for r in evidence.tables["agreement"] if r["reference"] == "qct_abmd" and r["subset"] == "all" and r["pcc"]
    ]
    found = [(str(evidence.enrolled), "patients enrolled", "in the cohort tables")]
    if not rows:
        return found
    best = max(rows, key=lambda row: float(row["pcc"]))
    of = f"{best['xrays']} half X-rays of {best['patients']} patients"
    name = f"best of {len(rows)}: {best['task']}" if len(rows) > 1 else best["task"]
    interval = f"95 % {float(best['pcc_low']):.3f} to {float(best['pcc_high']):.3f}; " if best["pcc_low"] else ""
    found.append((f"{float(best['pcc']):.3f}", "PCC", interval + name))
    found.append((f"{float(best['icc']):.3f}", "ICC", of))
    found.append((f"{float(best['mae_g_cm2']):.3f}", "MAE (g/cm²)", "mean absolute error against QCT aBMD"))
    keys = ("task", "backbone", "size")
    repeats = [row for row in evidence.tables["precision"] if all(row[key] == best[key] for key in keys)]
    found += [(f"{float(r['rms_cv_percent']):.1f} %", "RMS-CV", f"over poses, {r['hips']} hips") for r in repeats]
    return found


def report_parts(evidence: Evidence, draw: Drawer, error_range_g_cm2: float) -> list[Part]:
    """All sections in reading order; sections without content stay empty."""
    return [
        _agreement(evidence, draw),
        _maps(evidence, draw, error_range_g_cm2),
        _precision(evidence),
        _cohort(evidence, draw),
        _stages(evidence, draw),
        _segmentation(evidence, draw),
        _registration(evidence),
        _truth(evidence),
        _training(evidence, draw),
        Part("definitions", "Definitions", "How the numbers are defined, and their limits.", [DEFINITIONS]),
    ]


def _agreement(evidence: Evidence, draw: Drawer) -> Part:
    rows = evidence.tables["agreement"]
    part = Part(
        "agreement",
        "Agreement with QCT",
        "Every value is predicted by a model that has seen neither the patient nor any of the patient's X-rays. "
        "Patients are divided into folds; the predictions of all folds are pooled.",
        [tables.agreement_table(rows)] if rows else [],
    )
    if evidence.points:
        caption = "Predicted BMD against QCT aBMD, one dot per half X-ray; dashed: identity."
        part.items.extend(draw("scatter", scatter(evidence.points), caption))
        caption = "Bland–Altman: bias and 95 % limits of agreement of predicted minus QCT."
        part.items.extend(draw("bland_altman", bland_altman(evidence.points), caption))
        caption = "Signed error by pose of the X-ray; bars: mean ± SD."
        part.items.extend(draw("error_by_pose", error_by_pose(evidence.points), caption))
    if evidence.tables["significance"]:
        part.items.append(tables.significance_table(evidence.tables["significance"]))
    return part


def _maps(evidence: Evidence, draw: Drawer, error_range_g_cm2: float) -> Part:
    part = Part(
        "maps",
        "Predicted maps",
        "Held-out half X-rays evenly spread from the smallest to the largest error in BMD. All halves are turned to "
        "look like a right hip.",
    )
    if evidence.examples:
        caption = (
            "X-ray, reference map from the registered QCT, predicted map, and predicted minus reference (red over, "
            "blue under). One colour scale for all maps."
        )
        part.items.extend(draw("example_maps", example_maps(evidence.examples, error_range_g_cm2), caption))
    if evidence.tables["image_quality"]:
        part.items.append(tables.image_quality_table(evidence.tables["image_quality"]))
    return part


def _precision(evidence: Evidence) -> Part:
    rows = evidence.tables["precision"]
    lead = "How much the predicted BMD of one hip moves between X-rays in different poses, when its true BMD does not."
    return Part("precision", "Precision", lead, [tables.precision_table(rows)] if rows else [])


def _cohort(evidence: Evidence, draw: Drawer) -> Part:
    rows = evidence.tables["exclusions"]
    part = Part(
        "cohort",
        "Cohort flow and exclusions",
        "A patient who cannot be used is left out with a reason; the rest of the cohort goes on.",
    )
    figure = draw_cohort_flow(evidence.enrolled, cohort_flow(evidence.enrolled, rows))
    caption = "Patients behind each stage of the reference chain, and what was left out or flagged there."
    part.items.extend(draw("cohort_flow", figure, caption))
    if rows:
        part.items.append(tables.exclusion_table(rows))
    return part


def _stages(evidence: Evidence, draw: Drawer) -> Part:
    caption = "One dot per patient, X-ray or hip; bar: median."
    figure = stage_quality(evidence.tables["stages"])
    lead = "The numbers by which calibration, segmentation, registration and QCT densitometry are judged."
    return Part("stages", "Quality of each stage", lead, [*draw("stage_quality", figure, caption)])


def _segmentation(evidence: Evidence, draw: Drawer) -> Part:
    rows, summary = evidence.tables["validation"], evidence.tables["validation_summary"]
    lead = (
        "Cross-validation: every labelled patient is segmented by a network that was trained on other patients."
        if rows
        else "There is no cross-validation: it is switched off, or fewer than two patients have bone labels."
    )
    part = Part("segmentation", "Segmentation", lead)
    if summary:
        part.items.append(tables.validation_summary_table(summary))
        caption = (
            "Doubt of each held-out bone against its Dice coefficient and surface distance. Bones right "
            "of the dashed line would be called uncertain."
        )
        part.items.extend(draw("doubt_against_dice", doubt_against_dice(rows, summary, evidence.max_doubt), caption))
    if rows:
        part.items.append(tables.validation_table(rows))
    part.items.extend(evidence.segmentations)
    return part


def _registration(evidence: Evidence) -> Part:
    lead = (
        "Outlines of the CT's bones at the pose that was found, on the X-ray: pelvis cyan, left femur orange, right "
        "femur green; dashed red where a bone is not trusted and nothing is derived from it. Half of the X-rays are "
        "those with most findings, the others are spread evenly over the rest."
    )
    return Part("registration", "Registration", lead, [*evidence.registrations])


def _truth(evidence: Evidence) -> Part:
    rows = evidence.tables["truth"]
    lead = "The cohort is virtual, so the truth behind every stage is known. No stage reads it."
    return Part("truth", "Against ground truth (virtual cohort)", lead, [tables.truth_table(rows)] if rows else [])


def _training(evidence: Evidence, draw: Drawer) -> Part:
    part = Part(
        "training", "Training", "Losses on the training patients of each fold; held-out patients are never looked at."
    )
    for kind, curves in evidence.curves.items():
        caption = f"{kind.capitalize()}: logged quantities against the epoch, one line per fold."
        part.items.extend(draw(f"training_{kind}", training_curves(curves) if curves else None, caption))
    return part
