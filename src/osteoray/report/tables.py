"""The statistics as tables a reader understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from osteoray.report.page import Table

Row = Mapping[str, str]

_REFERENCE = {"qct_abmd": "QCT aBMD", "map_bmd": "reference map", "dxa_bmd": "DXA BMD"}


def experiment(row: Row) -> str:
    """Name of the experiment of a row."""
    return f"{row['task']} · {row['backbone']} · {row['size']}"


def interval(row: Row, name: str, digits: int = 3, unit: str = "") -> str:
    """A statistic with its interval."""
    value, low, high = (row[f"{part}{unit}"] for part in (name, f"{name}_low", f"{name}_high"))
    if not value:
        return "–"
    text = f"{float(value):.{digits}f}"
    return f"{text} ({float(low):.{digits}f} to {float(high):.{digits}f})" if low and high else text


def number(text: str, digits: int = 3, sign: str = "") -> str:
    """A field with some digits; a dash where it is absent."""
    return f"{float(text):{sign}.{digits}f}" if text else "–"


def agreement_table(rows: Sequence[Row]) -> Table:
    """Agreement of every experiment with every reference."""
    head = (
        "Pretraining · backbone · size",
        "Against",
        "n",
        "PCC",
        "ICC",
        "ICC(A,1)",
        "MAE ± SD",
        "SEE",
        "Bias",
        "Slope",
    )
    body = [
        (
            experiment(row),
            _REFERENCE[row["reference"]] + (" (withheld left out)" if row["subset"] == "kept" else ""),
            f"{row['xrays']} / {row['patients']}",
            interval(row, "pcc"),
            interval(row, "icc"),
            number(row["icc_a1"]),
            f"{number(row['mae_g_cm2'])} ± {number(row['mae_sd_g_cm2'])}",
            number(row["see_g_cm2"]),
            number(row["bias_g_cm2"], sign="+"),
            number(row["slope"], 2),
        )
        for row in rows
    ]
    caption = (
        "Held-out predictions of all folds pooled. n: half X-rays / patients. Intervals: 95 %, bootstrap over "
        "patients. MAE, SEE (to the identity line) and bias in g/cm². ICC: Fisher's pairwise form. Slope below 1: "
        "extremes are drawn to the mean."
    )
    return Table(head, body, caption, frozenset(range(2, 10)))


def precision_table(rows: Sequence[Row]) -> Table:
    """Precision over repeated X-rays."""
    head = (
        "Pretraining · backbone · size",
        "Hips / patients",
        "RMS-CV (%)",
        "Mean CV (%)",
        "Precision error",
        "LSC",
        "LSC (%)",
    )
    body = [
        (
            experiment(row),
            f"{row['hips']} / {row['patients']}",
            number(row["rms_cv_percent"], 2),
            f"{number(row['mean_cv_percent'], 2)} ± {number(row['sd_cv_percent'], 2)}",
            number(row["precision_error_g_cm2"]),
            number(row["lsc_g_cm2"]),
            number(row["lsc_percent"], 1),
        )
        for row in rows
    ]
    caption = "Repeats are a hip's X-rays. Precision error and least significant change (LSC, 2.77 times it) in g/cm²."
    return Table(head, body, caption, frozenset(range(1, 7)))


def image_quality_table(rows: Sequence[Row]) -> Table:
    """PSNR and SSIM."""
    names = ("psnr_db", "ssim", "psnr_roi_db", "ssim_roi", "psnr_mask_db")
    head = ("Pretraining · backbone · size", "n", "PSNR (dB)", "SSIM", "PSNR, box (dB)", "SSIM, box", "PSNR, bone (dB)")
    body = [
        (
            experiment(row),
            row["xrays"],
            *(_mean_sd(row, n, 3 if "ssim" in n else 1) for n in names),
        )
        for row in rows
    ]
    caption = "Mean ± SD over half X-rays at native size. Box: bounding box of the reference bone. Bone: its pixels."
    return Table(head, body, caption, frozenset(range(1, 7)))


def _mean_sd(row: Row, name: str, digits: int) -> str:
    return f"{number(row[f'{name}_mean'], digits)} ± {number(row[f'{name}_sd'], digits)}"


def significance_table(rows: Sequence[Row]) -> Table:
    """Tests between experiments."""
    head = ("Against", "Test", "Models", "Patients", "Difference in MAE", "Statistic (df)", "p", "p, Holm")
    body = [
        (
            _REFERENCE[row["reference"]],
            row["test"],
            f"{row['first']} − {row['second']}" if row["second"] else row["first"].replace("|", "·"),
            row["patients"],
            number(row["difference_g_cm2"], 4, "+"),
            f"{float(row['statistic']):.2f} ({row['degrees_of_freedom']})",
            probability(row["p"]),
            probability(row["p_holm"]),
        )
        for row in rows
    ]
    caption = (
        "Absolute errors averaged within each patient; only patients measured by every model. Difference in g/cm²; "
        "below 0 the first is better."
    )
    return Table(head, body, caption, frozenset(range(3, 8)))


def validation_summary_table(rows: Sequence[Row]) -> Table:
    """Cross-validation of the segmentation, per bone."""
    head = ("Bone", "n", "Dice, median", "lowest", "ASD (mm), median", "largest", "95 % HD (mm)", "Volume", "r", "ρ")
    body = [
        (
            row["bone"].replace("_", " "),
            row["n"],
            number(row["dice_median"]),
            number(row["dice_min"]),
            number(row["asd_mm_median"], 2),
            number(row["asd_mm_max"], 2),
            number(row["hd95_mm_median"], 1),
            f"{number(row['volume_error_percent_median'], 1, '+')} %",
            number(row["pearson"], 2),
            number(row["spearman"], 2),
        )
        for row in rows
    ]
    caption = (
        "Labelled patients, each segmented by a network that was trained without them, against their labels. ASD: "
        "average symmetric surface distance; HD: Hausdorff distance; volume: median error. r, ρ: Pearson's and "
        "Spearman's correlation of Dice with doubt; –1 would be a doubt that foretells every error. Bones that were "
        "not found have a Dice of 0 and no doubt, and are not in it."
    )
    return Table(head, body, caption, frozenset(range(1, 10)))


def validation_table(rows: Sequence[Row]) -> Table:
    """Cross-validation of the segmentation, per patient: the worst bone, or why there is none."""
    patients = list(dict.fromkeys(row["patient_id"] for row in rows))
    body = [_validated([row for row in rows if row["patient_id"] == patient]) for patient in patients]
    head = ("Patient", "Fold", "Lowest Dice", "Bone", "ASD (mm)", "Highest doubt", "Bone", "Not used because")
    return Table(head, body, "", frozenset({1, 2, 4, 5}))


def _validated(rows: Sequence[Row]) -> tuple[str, ...]:
    start = (rows[0]["patient_id"], rows[0]["fold"])
    if rows[0]["code"]:
        return (*start, "–", "–", "–", "–", "–", f"{rows[0]['code']}: {rows[0]['detail']}")
    worst = min(rows, key=lambda row: float(row["dice"]))
    doubted = max(rows, key=lambda row: float(row["doubt"] or 0))
    names = [row["bone"].replace("_", " ") for row in (worst, doubted)]
    asd_mm = number(worst["asd_mm"], 2)
    return (*start, number(worst["dice"]), names[0], asd_mm, number(doubted["doubt"]), names[1], "")


def exclusion_table(rows: Sequence[Row]) -> Table:
    """Who was left out or flagged."""
    head = ("Patient", "X-ray", "Side", "Stage", "Code", "State", "What was found", "What to do")
    names = ("patient_id", "xray_id", "side", "stage", "code", "verdict", "detail", "fix")
    return Table(head, [[row[name] or "–" for name in names] for row in rows], "")


def truth_table(rows: Sequence[Row]) -> Table:
    """Errors of the stages against the truth of the virtual cohort."""
    head = ("Stage", "Quantity", "Value", "Unit", "n", "Note")
    body = [(r["stage"], r["quantity"], significant(r["value"]), r["unit"], r["n"], r["note"]) for r in rows]
    return Table(head, body, "", frozenset({2, 4}))


def significant(text: str) -> str:
    """A number with three significant digits; other text as it is."""
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text or "–"


def probability(text: str) -> str:
    """A p-value."""
    if not text:
        return "–"
    return "< 0.001" if float(text) < 0.001 else f"{float(text):.3f}"
