"""One set of pins: the lock files, the conda environments and the documented dependencies agree."""

import re

import pytest
import yaml
from scripts.dev.make_envs import ENVIRONMENTS, environment, pins

from tests.paths import ROOT

LOCKS = ("imaging", "learning", "osteoray", "dev")


def lock(name):
    return (ROOT / "requirements" / f"{name}.lock").read_text()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_environment_is_generated_from_the_lock(name):
    assert (ROOT / "envs" / f"{name}.yaml").read_text() == environment(name)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_environment_is_python_pip_and_every_pin(name):
    content = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    assert content["channels"] == ["conda-forge"]
    python, pip, pinned = content["dependencies"]
    assert (python, pip) == ("python =3.11", "pip")
    assert pinned["pip"] == pins(lock(name))


def test_locks_agree_on_every_version():
    everything = set(pins(lock("dev")))
    for name in LOCKS:
        assert set(pins(lock(name))) <= everything


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash_and_no_index_address(name):
    blocks = re.split(r"\n(?=\S)", lock(name).strip())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in lock(name)


@pytest.mark.parametrize("pin", ["torch==2.11.0", "torchvision==0.26.0", "timm==1.0.31", "snakemake==9.27.1"])
def test_the_pins_that_matter(pin):
    assert pin in pins(lock("osteoray"))


def test_nothing_gpl_or_unused_at_run_time():
    names = {pin.split("==")[0].lower() for pin in pins(lock("osteoray"))}
    assert not names & {"pingouin", "pylibjpeg-libjpeg", "xpecgen", "spekpy"}


def test_every_direct_dependency_has_its_reason():
    documented = (ROOT / "docs" / "dependencies.md").read_text().lower()
    for name in LOCKS:
        for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines():
            requirement = re.match(r"[A-Za-z0-9-]+", line)
            if requirement and not line.startswith("-") and not line.startswith(("pandas-stubs", "types-")):
                assert requirement[0].lower() in documented, requirement[0]
