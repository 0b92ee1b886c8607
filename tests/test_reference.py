"""What is generated from the code does not drift from it, and the documentation's links lead somewhere."""

import re

import pytest
from scripts.dev.make_reference import GENERATED

from tests.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "config/README.md"]


@pytest.mark.parametrize("path", GENERATED)
def test_generated_file_is_current(path):
    assert (ROOT / path).read_text() == GENERATED[path](), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_reason_code_is_raised_somewhere():
    source = "\n".join(p.read_text() for p in (ROOT / "src").rglob("*.py") if p.name != "codes.py")
    source += "\n".join(p.read_text() for p in (ROOT / "scripts").glob("*.py"))
    from osteoray.errors.codes import REASONS

    unused = [code for code in REASONS if f'"{code}"' not in source]
    assert unused == []


def test_every_configuration_key_is_described():
    from osteoray.config.root import Config

    def undescribed(schema):
        for name, definition in [("Config", schema), *schema["$defs"].items()]:
            for key, entry in definition.get("properties", {}).items():
                if "description" not in entry:
                    yield f"{name}.{key}"

    assert list(undescribed(Config.model_json_schema())) == []
