"""Simulate the virtual hospital's cylinder of water with rods of bone on one scanner: raw CT series and truth."""

import argparse
from pathlib import Path

import yaml

from osteoray.config.simulation import SimulationConfig
from osteoray.simulation.dicom_ct import write_ct
from osteoray.simulation.dicom_study import Study
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.water_scan import scan_water
from osteoray.store.manifest import recording


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scanner", required=True, type=int, help="number of the scanner, from 1")
    parser.add_argument("--config", required=True, help="seed and ct of the virtual cohort as JSON")
    parser.add_argument("--phantom", required=True, type=Path, help="table of the patients' phantom (YAML)")
    parser.add_argument("--raw", required=True, type=Path, help="folder of raw data to write")
    parser.add_argument("--output", required=True, type=Path, help="manifest of the truth to write")
    args = parser.parse_args()
    config = SimulationConfig.model_validate_json(args.config)
    design = PhantomDesign.from_table(yaml.safe_load(args.phantom.read_text(encoding="utf-8")))
    scanned = scan_water(config, args.scanner - 1, design)
    with recording("simulation", scanned.phantom.patient_id, args.output) as manifest:
        study = Study(scanned.phantom, "CT", config.seed)
        write_ct(args.raw, study, scanned.hu, scanned.grid, scanned.couch_y_mm, scanned.header)
        manifest.facts.update(cupping_hu=scanned.cupping_hu, bone_share=scanned.bone_share)


if __name__ == "__main__":
    main()
