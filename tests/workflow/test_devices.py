"""GPUs are asked for by what uses them, and a configuration that hides them from what needs them is refused."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from tests.paths import ROOT
from tests.test_workflow_file import snakemake

SLURM = yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text())


def planned(folder, registration, experiments, *arguments):
    """Exit status and output of a dry run with these devices."""
    devices = {"registration": registration, "experiments": experiments}
    sections = [f"{section}={json.dumps({'device': device})}" for section, device in devices.items()]
    config = ["--configfile", str(ROOT / "config/config.yaml"), "--config", *sections]
    where = ["-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return snakemake("-n", *where, "--quiet", "reason", *config, *arguments)


def test_a_registration_on_a_hidden_gpu_is_refused(tmp_path):
    code, output = planned(tmp_path, "cuda", "cpu")
    assert code != 0
    assert "registration.device: expected cpu where experiments.device is cpu, which hides every GPU" in output


@pytest.mark.parametrize(("device", "indent"), [("cpu", "    "), ("cuda", "")], ids=["cpu", "cuda"])
def test_a_cluster_registers_in_the_patients_job_unless_it_takes_a_gpu(tmp_path, device, indent):
    groups = ["--groups", *SLURM["groups"], "--group-components", *SLURM["group-components"]]
    code, output = planned(tmp_path, device, "cuda", *groups)
    assert code == 0, output[-2000:]
    # Jobs of a group are indented.
    for message, expected in {"Register the CT of": indent, "Project the bone density of": "    "}.items():
        assert set(re.findall(rf"^( *)Job \d+: {message}", output, re.MULTILINE)) == {expected}
