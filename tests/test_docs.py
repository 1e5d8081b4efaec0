"""The Markdown files: links lead somewhere, commands are spelled right, the README stays short."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from sparring.cli import build_parser
from sparring.config import describe

ROOT = Path(__file__).parents[1]
WORDS = 1200  # of the README, at most

PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not {part for part in path.relative_to(ROOT).parts if part[0] == "."}
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(sparring\s[^`]+)`")


def anchors(page):
    """Those that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert target.is_relative_to(ROOT), f"{page.name} links out of the repository: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}, and no heading is called so"


def test_the_readme_is_short_and_names_the_test_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) < WORDS
    assert "./run-tests" in text


def commands(page):
    """Every command of the page, in a block or in a line, comments left out."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [block for language, block in BLOCK.findall(text) if language == "bash"]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("sparring ")]
    found = [shlex.split(line, comments=True) for line in [*lines, *INLINE.findall(BLOCK.sub("", text))]]
    found = [words for words in found if not words[1].isupper()]  # not `sparring COMMAND --help`
    return [words if len(words) > 2 else [*words, "--help"] for words in found]


@pytest.mark.parametrize("name", ["README.md", "docs/usage.md", "docs/how-it-works.md", "docs/extending.md"])
def test_commands_and_their_options_exist(name):
    settings = {f"--{row[0]}" for row in describe()}
    own = {"--critics.1.view", "--critics.1.weight"}  # of a second critic
    found = commands(ROOT / name)
    assert found
    for words in found:
        try:
            _, extra = build_parser().parse_known_args(words[1:])
        except SystemExit:  # --help
            continue
        unknown = [word for word in extra if word.startswith("--") and word not in settings | own]
        assert not unknown, f"{name}: {' '.join(words)}"


def test_files_that_the_readme_runs_are_there():
    for name in ("quickstart", "run-tests"):
        assert (ROOT / name).exists()
        subprocess.run(["bash", "-n", str(ROOT / name)], check=True)
