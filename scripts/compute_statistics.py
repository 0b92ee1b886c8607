"""Agreement, precision, image quality and significance of every experiment."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from osteoray.config.statistics import StatisticsConfig
from osteoray.statistics.experiments import (
    AGREEMENT_COLUMNS,
    IMAGE_QUALITY_COLUMNS,
    PRECISION_COLUMNS,
    QUALITIES,
    REFERENCES,
    SIGNIFICANCE_COLUMNS,
    Experiment,
    agreement_rows,
    image_quality_row,
    precision_rows,
    significance_rows,
)
from osteoray.store.tables import number, read_table, write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bmd", required=True, nargs="+", type=Path, help="{task}/{backbone}/{size}/bmd.tsv")
    parser.add_argument("--config", required=True, help="statistics section as JSON")
    parser.add_argument("--output-dir", required=True, type=Path, help="folder of the four tables")
    args = parser.parse_args()
    config = StatisticsConfig.model_validate_json(args.config)
    experiments = [read_experiment(path) for path in args.bmd]
    tables = {
        "agreement": (
            [row for e in experiments for row in agreement_rows(e, config.resamples, config.confidence, config.seed)],
            AGREEMENT_COLUMNS,
        ),
        "precision": ([row for e in experiments for row in precision_rows(e)], PRECISION_COLUMNS),
        "image_quality": ([image_quality_row(e) for e in experiments], IMAGE_QUALITY_COLUMNS),
        "significance": (significance_rows(experiments), SIGNIFICANCE_COLUMNS),
    }
    for name, (rows, columns) in tables.items():
        write_table(args.output_dir / f"{name}.tsv", rows, columns)


def read_experiment(path: Path) -> Experiment:
    """The held-out half X-rays of a bmd.tsv, named by its three folders; patients outside the release are left out."""
    rows = [row for row in read_table(path) if row["fold"]]
    task, backbone, size = path.parts[-4:-1]
    numbers = ("predicted_bmd_g_cm2", *REFERENCES.values(), *QUALITIES)
    columns = {name: np.array([number(row[name]) for row in rows]) for name in numbers}
    texts = (tuple(row[name] for row in rows) for name in ("patient_id", "xray_id", "side", "verdict"))
    return Experiment(task, backbone, size, *texts, columns)


if __name__ == "__main__":
    main()
