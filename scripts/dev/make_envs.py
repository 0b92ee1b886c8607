"""Write envs/*.yaml from the pins of requirements/*.lock."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("imaging", "learning", "totalsegmentator")
HEADER = "# Generated from requirements/{name}.lock by `make envs`; do not edit.\n"


def pins(lock: str) -> list[str]:
    """The `name==version` requirements of a lock file, without hashes."""
    lines = (line.split(" \\")[0].strip() for line in lock.splitlines())
    return [line for line in lines if "==" in line and not line.startswith(("#", "--"))]


def environment(name: str) -> str:
    """The conda environment of the pins of one lock file: python, pip, and the list for pip."""
    lock = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    lines = ["channels:", "  - conda-forge", "dependencies:", "  - python =3.11", "  - pip", "  - pip:"]
    lines += [f"      - {pin}" for pin in pins(lock)]
    return HEADER.format(name=name) + "\n".join(lines) + "\n"


def main() -> None:
    for name in ENVIRONMENTS:
        (ROOT / "envs" / f"{name}.yaml").write_text(environment(name), encoding="utf-8")


if __name__ == "__main__":
    main()
