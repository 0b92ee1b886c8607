"""Networks keep the size of the image, for every small backbone and two resolutions."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from osteoray.learning.backbones import BACKBONES, Encoder
from osteoray.learning.discriminator import PatchDiscriminator
from osteoray.learning.generator import Generator

SMALL = ("resnet10t", "resnet18", "convnextv2_atto")


@pytest.mark.parametrize("shape", [(128, 64), (256, 128)])
@pytest.mark.parametrize("backbone", SMALL)
def test_a_generator_returns_an_image_of_the_same_size(backbone: str, shape: tuple[int, int]) -> None:
    generator = Generator(backbone, 16, initial_output=-1.0).eval()
    with torch.inference_mode():
        features = generator.encoder(torch.zeros(1, 1, *shape))
        assert [f.shape[-2:] for f in features] == [(shape[0] >> k, shape[1] >> k) for k in (2, 3, 4, 5)]
        assert [f.shape[1] for f in features] == list(generator.encoder.channels)
        assert generator(torch.zeros(1, 1, *shape)).shape == (1, 1, *shape)


def test_an_untrained_generator_predicts_background() -> None:
    generator = Generator("resnet10t", 16, initial_output=-1.0).eval()
    with torch.inference_mode():
        output = generator(torch.randn(2, 1, 128, 64))
    assert output.mean().item() == pytest.approx(-1, abs=0.1)


def test_the_discriminator_of_the_papers_has_its_size() -> None:
    count = sum(p.numel() for p in PatchDiscriminator(64).parameters())
    assert count == pytest.approx(2.76e6, rel=0.005)
    assert PatchDiscriminator(16)(torch.zeros(2, 1, 128, 64)).shape == (2, 1, 14, 6)


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected one of .*resnet10t.*, got 'resnet9'"):
        Encoder("resnet9")


@pytest.mark.slow
def test_every_backbone_is_known_to_timm() -> None:
    import timm

    assert {b.timm_name for b in BACKBONES.values()} <= set(timm.list_models())


def test_learning_needs_torch_timm_and_numpy_only() -> None:
    """The room runs on a bare GPU image."""
    program = """
import sys
for name in ("SimpleITK", "pydicom", "pydantic", "jaxtyping", "beartype", "pandas", "scipy", "nibabel", "matplotlib"):
    sys.modules[name] = None
import importlib, pkgutil, osteoray.learning
for module in pkgutil.iter_modules(osteoray.learning.__path__):
    importlib.import_module(f"osteoray.learning.{module.name}")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
