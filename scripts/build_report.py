"""Build the report of the cohort: figures and one self-contained HTML file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from osteoray.config.report import ReportConfig
from osteoray.errors.verdict import Verdict
from osteoray.report.agreement_figures import Points
from osteoray.report.map_figures import Example
from osteoray.report.page import Picture, render
from osteoray.report.parts import Drawer, Evidence, highlights, report_parts
from osteoray.report.training_figures import Curve
from osteoray.report.wording import in_words
from osteoray.store.arrays import read_arrays
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.release import read_index, read_rows
from osteoray.store.tables import number, read_table
from osteoray.version import VERSION

TABLES = ("agreement", "precision", "image_quality", "significance", "exclusions", "stages", "truth")
VALIDATION = ("validation", "validation_summary")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bmd", required=True, nargs="+", type=Path, help="{release}/{task}/{backbone}/{size}/bmd.tsv")
    parser.add_argument("--statistics", required=True, nargs="+", type=Path, help=f"of {', '.join(TABLES)}: the .tsv")
    parser.add_argument("--validation", required=True, nargs=2, type=Path, help=f"{' and '.join(VALIDATION)}: the .tsv")
    parser.add_argument("--segmentations", required=True, nargs="+", type=Path, help="manifests of segmentation")
    parser.add_argument("--pictures", required=True, nargs="+", type=Path, help="their pictures, in the same order")
    parser.add_argument("--registrations", required=True, nargs="+", type=Path, help="manifests of registration")
    parser.add_argument("--max-doubt", required=True, type=float, help="segmentation.max_doubt")
    parser.add_argument("--predictions", required=True, nargs="+", type=Path, help="predictions/fold*.tsv of all")
    parser.add_argument("--releases", required=True, nargs="+", type=Path, help="{size}/index.tsv of the release")
    parser.add_argument("--logs", nargs="*", default=[], type=Path, help="log.tsv of every training")
    parser.add_argument("--patients", required=True, help="JSON: an entry per enrolled patient")
    parser.add_argument("--config", required=True, help="report section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="index.html to write; figures/ goes beside it")
    args = parser.parse_args()
    config = ReportConfig.model_validate_json(args.config)
    tables = {name: [] for name in TABLES + VALIDATION}
    tables |= {path.stem: read_table(path) for path in args.statistics + args.validation}
    bmd = {experiment_of(path): [row for row in read_table(path) if row["fold"]] for path in args.bmd}
    evidence = Evidence(
        len(json.loads(args.patients)) + len({r["patient_id"] for r in tables["exclusions"] if r["stage"] == "cohort"}),
        tables,
        [points for name, rows in bmd.items() if (points := read_points(name, rows, tables["agreement"]))],
        read_examples(bmd, args.predictions, args.releases, config.example_maps),
        {kind: read_curves(args.logs, kind) for kind in ("pretraining", "synthesis")},
        read_gallery(args.segmentations, args.pictures, config.example_segmentations),
        read_outlines(args.registrations, config.example_registrations),
        args.max_doubt,
    )
    draw = Drawer(config.dpi)
    parts = report_parts(evidence, draw, config.error_range_g_cm2)
    facts = {"Software": f"osteoray {VERSION}", "Experiments": ", ".join(map("/".join, bmd))}
    page = render(config.title, config.cohort, highlights(evidence), parts, facts)
    for name, picture in draw.pictures.items():
        with writing(args.output.parent / "figures" / f"{name}.png") as temporary:
            temporary.write_bytes(picture.png)
    with writing(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def experiment_of(path: Path) -> tuple[str, str, str]:
    """Task, backbone and size from the folders of a file."""
    task, backbone, size = path.parts[-4:-1]
    return task, backbone, size


def read_points(experiment: tuple[str, str, str], rows: list[dict], agreement: list[dict]) -> Points | None:
    known = [row for row in rows if row["predicted_bmd_g_cm2"] and row["qct_abmd_g_cm2"]]
    if len(known) < 3:
        return None
    statistics = next(
        r
        for r in agreement
        if (r["task"], r["backbone"], r["size"]) == experiment and (r["reference"], r["subset"]) == ("qct_abmd", "all")
    )
    lines = (("PCC", "pcc", ""), ("ICC", "icc", ""), ("MAE", "mae_g_cm2", " g/cm²"), ("SEE", "see_g_cm2", " g/cm²"))
    texts = [f"{n} {number(statistics[k]):.3f}{unit}" for n, k, unit in lines] + [f"n = {len(known)}"]
    values = (np.array([float(row[c]) for row in known]) for c in ("predicted_bmd_g_cm2", "qct_abmd_g_cm2"))
    return Points(" · ".join(experiment), *values, tuple(row["pose"] for row in known), "\n".join(texts))


def read_examples(
    bmd: dict[tuple[str, str, str], list[dict]], predictions: list[Path], releases: list[Path], count: int
) -> list[Example]:
    """Halves spread over the errors of the last experiment, with the maps of the first and last of its size."""
    last = list(bmd)[-1]
    shown = list(dict.fromkeys([next(name for name in bmd if name[2] == last[2]), last]))
    release = next(path for path in releases if path.parent.name == last[2])
    index = {(r["patient_id"], r["xray_id"], r["side"]): (i, r) for i, r in enumerate(read_index(release))}
    rows = [row for row in bmd[last] if row["map_bmd_g_cm2"] and row["qct_abmd_g_cm2"]]
    rows.sort(key=lambda row: abs(float(row["predicted_bmd_g_cm2"]) - float(row["qct_abmd_g_cm2"])))
    chosen = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int))] if rows else []
    found = []
    for row in chosen:
        key = (row["patient_id"], row["xray_id"], row["side"])
        place = [index[key][0]]
        xray, reference = (read_rows(release, name, place)[0] for name in ("xray", "proximal_femur"))
        predicted = {name: read_map(predictions, name, key) for name in shown}
        numbers = {
            name: next(r for r in bmd[name] if (r["patient_id"], r["xray_id"], r["side"]) == key) for name in shown
        }
        label = f"{key[0]}\n{key[1]} {key[2]}\n{row['pose']}\nQCT {float(row['qct_abmd_g_cm2']):.3f}"
        captions = {" · ".join(n): caption_of(r) for n, r in numbers.items()}
        found.append(Example(label, xray, reference, {" · ".join(n): m for n, m in predicted.items()}, captions))
    return found


def caption_of(row: dict) -> str:
    bmd, psnr_db, ssim = (number(row[name]) for name in ("predicted_bmd_g_cm2", "psnr_db", "ssim"))
    return f"BMD {bmd:.3f}\n{psnr_db:.1f} dB  SSIM {ssim:.3f}"


def read_map(predictions: list[Path], experiment: tuple[str, str, str], key: tuple[str, str, str]) -> np.ndarray:
    """The held-out map of a half."""
    for path in predictions:
        if path.parts[-5:-2] == experiment:
            for index, row in enumerate(read_table(path)):
                if (row["patient_id"], row["xray_id"], row["side"]) == key:
                    return read_arrays(path.with_suffix(".npz"))["maps"][index]
    raise ValueError(f"predictions: expected a map of {' '.join(key)} under {'/'.join(experiment)}, got none")


def read_gallery(manifests: list[Path], pictures: list[Path], count: int) -> list[Picture]:
    """Pictures of segmentations with the verdict in words: the worst half, and others spread over the rest."""
    ranked = sorted(zip(map(read_manifest, manifests), pictures, strict=True), key=lambda pair: trouble(pair[0]))
    return [
        Picture(path.read_bytes(), f"{m.patient_id}: {m.verdict}. {in_words(m.findings)}")
        for m, path in worst_and_spread(ranked, count)
    ]


def read_outlines(manifests: list[Path], count: int) -> list[Picture]:
    """Pictures of registered X-rays with what was found against them: the worst half, others spread over the rest."""
    found = []
    for manifest in map(read_manifest, manifests):
        for name in sorted(manifest.files):
            xray_id = name.removeprefix("outlines_")
            found.append((manifest, xray_id, [f for f in manifest.findings if f.xray_id in (None, xray_id)]))
    found.sort(key=lambda entry: (-sum(f.verdict is Verdict.WITHHELD for f in entry[2]), -len(entry[2])))
    return [
        Picture(m.file(f"outlines_{xray_id}").read_bytes(), f"{m.patient_id} {xray_id}. {in_words(against)}")
        for m, xray_id, against in worst_and_spread(found, count)
    ]


def worst_and_spread(ranked: list, count: int) -> list:
    """The first half of a number from the front of a list, the other half spread over what follows."""
    worst, rest = ranked[: count - count // 2], ranked[count - count // 2 :]
    places = np.unique(np.linspace(0, len(rest) - 1, count // 2).round().astype(int)) if rest else []
    return worst + [rest[place] for place in places]


def trouble(manifest: Manifest) -> tuple[int, float]:
    """Sorts the worst first: by the number of findings, then by the highest doubt."""
    doubt = manifest.facts.get("doubt") or {}
    return -len(manifest.findings), -max(doubt.values(), default=0.0)


def read_curves(logs: list[Path], kind: str) -> list[Curve]:
    """Logs below a folder of this name, each named by its experiment."""
    curves = []
    for path in logs:
        rows = read_table(path)
        if kind in path.parts and rows:
            names = [name for name in rows[0] if name not in ("epoch", "learning_rate")]
            losses = {name: np.array([number(row[name]) for row in rows]) for name in names}
            epochs = np.array([float(row["epoch"]) for row in rows])
            curves.append(Curve(" · ".join(path.parts[-5:-2]), epochs, losses))
    return curves


if __name__ == "__main__":
    main()
