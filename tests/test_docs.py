"""The README and docs/ against the repository: links, presets, stages, commands, length."""

import re
from pathlib import Path

import pytest
from pipeline_files import STAGES

from edsr_int8.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "benchmarks" / "README.md",
    *DOCS,
]
LINK = re.compile(r"\]\(([^)#]+)")
COMMAND = re.compile(r"(?:^|`)edsr-int8 ([a-z]+)", re.MULTILINE)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands() -> list[str]:
    return sorted({found for page in PAGES for found in COMMAND.findall(text(page))})


def test_the_readme_is_short() -> None:
    assert len(text(README).split()) <= 700  # as `wc -w` counts


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(text(page)) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_readme_leads_to_every_page() -> None:
    assert not [page.name for page in DOCS if f"(docs/{page.name})" not in text(README)]


def test_every_preset_is_described() -> None:
    described = re.findall(r"^\| `(\w+)`", text(ROOT / "docs" / "presets.md"), re.MULTILINE)
    assert sorted(described) == sorted(preset.stem for preset in (ROOT / "presets").glob("*.yaml"))


def test_every_stage_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", text(ROOT / "docs" / "pipeline.md"), re.MULTILINE)
    assert sorted(described) == sorted(STAGES)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0, capsys.readouterr().err
