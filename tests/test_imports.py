"""Imports go one way: the contracts of [tool.importlinter] in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import sparring

PACKAGE = Path(sparring.__file__).parent
ROOT = Path(__file__).parents[1]


def test_imports_keep_to_the_layers():
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PATH": "", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", lint], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_is_a_package():
    """A folder without `__init__.py` is not looked at by the linter."""
    folders = {file.parent for file in PACKAGE.rglob("*.py")}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").exists()]
