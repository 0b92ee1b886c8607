"""Check a configuration and say in one line each what is wrong with it."""

from __future__ import annotations

import difflib
import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from osteoray.config.root import Config


class ConfigError(ValueError):
    """A configuration that cannot be used; the message has one line per error."""


def load_config(content: dict[str, Any]) -> Config:
    """Check the content of config.yaml and fill in the defaults.

    Args:
        content: nested mappings as read from YAML.

    Raises:
        ConfigError: all errors, one per line; an unknown key names the nearest known one.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        details = error.errors()
        # A list whose item is wrong is also "too short"; the item's own line is enough.
        deeper = {detail["loc"][:depth] for detail in details for depth in range(1, len(detail["loc"]))}
        raise ConfigError("\n".join(_line(d) for d in details if d["loc"] not in deeper)) from None


def _line(detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"]) or "config"
    if detail["type"] == "extra_forbidden":
        *parents, key = detail["loc"]
        known = _fields(Config, parents)
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"config: {place}: unknown key; {hint}"
    if detail["type"] == "missing":
        return f"config: {place}: expected a value, got nothing"
    return f"config: {place}: {detail['msg'].removeprefix('Value error, ')}, got {detail['input']!r}"


def _fields(model: type[BaseModel], path: list[Any]) -> list[str]:
    """Field names of the section at a path of keys."""
    for key in path:
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        model = next((m for m in _models(annotation)), model)
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [model for part in get_args(annotation) for model in _models(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
