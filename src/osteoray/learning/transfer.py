"""What is handed on between trainings: an encoder with its X-ray window, or a whole generator with both windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteoray.learning.backbones import Encoder
from osteoray.learning.generator import Generator
from osteoray.learning.normalisation import Window


def pack_encoder(encoder: Encoder, xray_window: Window) -> dict[str, Any]:
    """Content of an encoder file; decoder, optimiser and discriminator are left behind."""
    return {
        "encoder": encoder.state_dict(),
        "backbone": encoder.name,
        "xray_window": [xray_window.low, xray_window.high],
    }


def unpack_encoder(content: Mapping[str, Any], encoder: Encoder) -> Window:
    """Load an encoder file into an encoder, every key of it, and return the X-ray window it was trained with.

    Raises:
        ValueError: another backbone.
        RuntimeError: a key is missing or left over.
    """
    if content["backbone"] != encoder.name:
        raise ValueError(f"content: expected an encoder {encoder.name!r}, got {content['backbone']!r}")
    encoder.load_state_dict(content["encoder"], strict=True)
    return Window(*content["xray_window"])


def pack_generator(generator: Generator, xray_window: Window, map_window: Window) -> dict[str, Any]:
    """Content of a model file: enough to predict maps in physical units from X-rays in log attenuation."""
    return {
        "generator": generator.state_dict(),
        "backbone": generator.encoder.name,
        "decoder_width": generator.decoder_width,
        "xray_window": [xray_window.low, xray_window.high],
        "map_window": [map_window.low, map_window.high],
    }


def unpack_generator(content: Mapping[str, Any]) -> tuple[Generator, Window, Window]:
    """The generator of a model file, its X-ray window and its map window."""
    generator = Generator(content["backbone"], content["decoder_width"], initial_output=0.0)
    generator.load_state_dict(content["generator"], strict=True)
    return generator, Window(*content["xray_window"]), Window(*content["map_window"])
