"""Write what is generated from the code: the configuration's schema and reference, and the table of reason codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osteoray.config.root import Config
from osteoray.errors.codes import REASONS

ROOT = Path(__file__).resolve().parents[2]


def schema() -> str:
    """JSON schema of config.yaml, for editors."""
    return json.dumps(Config.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def reference() -> str:
    """Every key with its type, default and meaning, one table per section."""
    content = Config.model_json_schema()
    lines = ["# Configuration", "", "Generated from `osteoray.config` by `make docs`. Unknown keys are errors.", ""]
    lines += _section("", content, content["$defs"])
    return "\n".join(lines) + "\n"


def _section(path: str, section: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    lines = [f"## `{path}`" if path else "## Top level", ""]
    if path:
        lines += [" ".join(section.get("description", "").split()), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    nested: list[str] = []
    for name, entry in section["properties"].items():
        kind, target = _kind(entry)
        inner = f"{path}.{name}" if path else name
        if target is not None:
            nested += ["", *_section(inner, definitions[target], definitions)]
        default = "" if target or "default" not in entry else f"`{json.dumps(entry['default'], ensure_ascii=False)}`"
        meaning = " ".join(entry.get("description", "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {kind} | {default} | {meaning} |")
    return lines + nested


def _kind(entry: dict[str, Any]) -> tuple[str, str | None]:
    """Type in words with its bounds, and the definition it refers to."""
    if "$ref" in entry:
        target = entry["$ref"].rsplit("/", 1)[-1]
        return "section", target
    if "anyOf" in entry:
        kinds = [_kind(part) for part in entry["anyOf"]]
        target = next((t for _, t in kinds if t), None)
        return " or ".join("absent" if kind == "null" else kind for kind, _ in kinds), target
    if "enum" in entry:
        return " or ".join(f"`{value}`" for value in entry["enum"]), None
    if "const" in entry:
        return f"`{entry['const']}`", None
    kind = str(entry.get("type", "any"))
    if kind == "array":
        inner = _kind(entry["items"])[0] if isinstance(entry.get("items"), dict) else ""
        return f"list of {inner}".strip(), None
    signs = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{sign} {entry[key]:g}" for key, sign in signs.items() if key in entry)
    return f"{kind} {bounds}".strip(), None


def reason_codes() -> str:
    """The table of reason codes."""
    lines = ["# Reason codes", "", "Generated from `osteoray.errors.codes` by `make docs`.", ""]
    lines += ["| code | meaning | consequence | fix |", "|---|---|---|---|"]
    for code, reason in REASONS.items():
        consequence = "withheld" if reason.withholds else "warning"
        lines.append(f"| `{code}` | {reason.meaning} | {consequence} | {reason.fix} |")
    return "\n".join(lines) + "\n"


GENERATED = {
    "workflow/schemas/config.schema.json": schema,
    "docs/configuration.md": reference,
    "docs/reason-codes.md": reason_codes,
}


def main() -> None:
    for path, content in GENERATED.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(content(), encoding="utf-8")


if __name__ == "__main__":
    main()
