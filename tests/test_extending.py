"""The examples of docs/extending.md run as they stand there, and installed plug-ins are found."""

import os
import re
import subprocess
import sys
from pathlib import Path

import sparring

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
SRC = Path(sparring.__file__).parents[1]


def run(*words, path=(), cwd=None):
    paths = os.pathsep.join(map(str, [SRC, *path]))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )


def test_the_examples_run_in_order(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 7, "the toy, a loss, a codec, a critic, a condition, a metric, a modality"
    script = tmp_path / "blocks.py"
    script.write_text("\n\n".join(blocks), encoding="utf-8")
    done = run(script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def install(folder, name, code):
    """A package with one module and an entry point, as pip leaves it."""
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[sparring.plugins]\n{name} = {name}\n")
    (folder / f"{name}.py").write_text(code)


def test_installed_plug_ins_register_themselves(tmp_path):
    install(
        tmp_path, "plug_in",
        "from typing import Literal\n"
        "from sparring.codecs.settings import CodecSettings, register_codec\n"
        "@register_codec\n"
        "class Mine(CodecSettings):\n"
        "    name: Literal['mine'] = 'mine'\n"
        "    def build(self, spec, multiple): raise ValueError('mine is built')\n",
    )  # fmt: skip
    command = (
        "-m",
        "sparring",
        "train",
        "digits",
        "--out",
        tmp_path / "run",
        "--codec.name",
        "mine",
        "--augment.probability",
        "0",
    )
    found = run(*command, path=[tmp_path], cwd=SRC)
    assert (found.returncode, found.stderr.splitlines()[-1]) == (2, "sparring: mine is built")
    without = run(*command, cwd=SRC)
    assert "--codec.name must be one of" in without.stderr


def test_a_plug_in_that_cannot_be_imported_is_left_out(tmp_path):
    install(tmp_path, "broken", "import no_such_module")
    done = run("-m", "sparring", "presets", path=[tmp_path])
    assert done.returncode == 0
    assert "digits" in done.stdout
    assert done.stderr == (
        "sparring: the plug-in broken (broken) is skipped: ModuleNotFoundError: No module named 'no_such_module'\n"
    )
