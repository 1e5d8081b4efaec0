"""Counts for the table in docs/architecture.md; run it in a checkout with the extra `dev`, at any time.

python scripts/count_architecture.py
python scripts/count_architecture.py --branches      # each line that asks for the modality
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sparring"

NAMES = (
    "image|images|pictures|series|video|videos|clips|films|text|texts|points|"
    "digits|rings|grid|sines|bouncing|bouncing-1|names"
)
# A modality branch is one match of one of these in a line of code:
BRANCH = re.compile(
    "|".join(
        (
            r"\.ndim\b\s*(?:==|!=|<|>|in\b)",  # a test of the rank of a tensor
            r"len\([\w.]*(?:shape|axes)\)\s*(?:==|!=|<|>|-|in\b)",  # a test of the rank of a shape, an index by it
            r"\bmatch len\(",
            r"\b(?:channels|vocabulary) is (?:not )?None",  # series have channels, texts have a vocabulary
            rf'(?:==|!=|\bin)\s*[(\[{{]?"(?:{NAMES})"',  # the name of a modality, of its kind, of a data set
            r"isinstance\([\w.]+, (?:\w+\.)?(?:Points|Bouncing|Sines|Digits)\w*\)",  # the class of a data set
        )
    )
)
READERS = ("modalities", "data")
"""Folders that may ask: the modalities themselves, and the readers of their files."""


def branches() -> Iterator[tuple[str, int, str]]:
    """(file, line, text) of every modality branch outside `READERS`; a line with two comes twice."""
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE)
        if place.parts[0] in READERS:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if not line.lstrip().startswith("#"):
                yield from ((str(place), number, line.strip()) for _ in BRANCH.finditer(line))


def imports() -> tuple[int, int]:
    """Imports that go upward through import-linter's layers, and imports that close a circle."""
    import grimp  # the engine of import-linter
    from importlinter.api import read_configuration

    contracts = {each["id"]: each for each in read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]}
    depths = {
        name.strip(" ()"): depth
        for depth, layer in enumerate(contracts["layers"]["layers"])
        for name in layer.split("|")
    }
    graph = grimp.build_graph(PACKAGE.name, cache_dir=None)
    upward = 0
    for importer in graph.modules:
        here = importer.split(".")[1:2]
        for imported in graph.find_modules_directly_imported_by(importer):
            there = imported.split(".")[1:2]
            if here and there and here != there:
                upward += depths[there[0]] <= depths[here[0]]
    packages = [module for module in graph.modules if len(graph.find_children(module)) > 1]
    return upward, sum(len(graph.nominate_cycle_breakers(package)) for package in packages)


def settings() -> int:
    """Distinct settings, as `sparring train --help-all` lists them."""
    from sparring.config import describe

    return len({row[0] for row in describe()})


def lines_of_step() -> int:
    """Lines of `Trainer.step`, with its signature and docstring."""
    tree = ast.parse((PACKAGE / "training" / "trainer.py").read_text(encoding="utf-8"))
    step = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "step")
    assert step.end_lineno is not None
    return step.end_lineno - step.lineno + 1


def lines_in(folder: Path) -> dict[str, int]:
    """Lines of every Python file."""
    return {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in folder.rglob("*.py")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts for docs/architecture.md.")
    parser.add_argument("--branches", action="store_true", help="list the modality branches")
    if parser.parse_args().branches:
        for file, number, text in branches():
            print(f"{file}:{number}: {text}")
        return
    upward, circles = imports()
    src, tests = lines_in(PACKAGE), lines_in(ROOT / "tests")
    longest = max(src, key=lambda file: src[file])
    rows = {
        "imports that go upward": upward,
        "imports that close a circle": circles,
        f"modality branches outside {'/ and '.join(READERS)}/": sum(1 for _ in branches()),
        "settings": settings(),
        "lines of src": sum(src.values()),
        "lines of tests": sum(tests.values()),
        f"lines of the longest file ({longest})": src[longest],
        "lines of Trainer.step": lines_of_step(),
    }
    for name, count in rows.items():
        print(f"{name}: {count:,}")


if __name__ == "__main__":
    sys.path.insert(0, str(PACKAGE.parent))
    main()
