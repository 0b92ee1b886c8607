"""The workflow is what its users expect: it parses, lints, and the catalogue's entry runs the same targets."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT


def snakemake(*arguments):
    command = [str(Path(sys.executable).parent / "snakemake"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_a_fresh_clone_plans_the_whole_demo(tmp_path, snakefile):
    code, output = snakemake("-n", "-s", str(ROOT / snakefile), "--directory", str(tmp_path), "--quiet", "reason",
                             "--configfile", str(ROOT / "config/config.yaml"))  # fmt: skip
    assert code == 0, output[-2000:]
    for rule in ("simulate_patient", "register_xrays", "train_synthesis", "build_report", "build_clinic"):
        assert rule in output


def test_snakemakes_linter_has_nothing_to_say():
    code, output = snakemake("--lint")
    assert code == 0, output[-3000:]


def test_rules_are_formatted():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "snakefmt"), "--check", "Snakefile", "workflow"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
