"""Copies a trained run into the package: weights in float16, about 40 rows of scores, no checkpoints.

python recipes/ship.py runs/digits                      # into src/sparring/runs/digits
python recipes/ship.py runs/digits --out /tmp/digits    # into another folder
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from sparring.build import build
from sparring.files import load_tensors
from sparring.migration import present_name
from sparring.pretrained import SHIPPED, read_config, run_json, write_model

KEPT_ROWS = 40


def ship(run: Path, folder: Path) -> None:
    config, spec = read_config(run)
    tensors, _ = load_tensors(run / "model.safetensors")
    # Buffers, such as a codec's statistics, stay in float32: rounding them would make smooth series rough.
    buffers = {name for name, _ in build(config, spec).named_buffers(remove_duplicate=False)}
    halved = {
        name: tensor.half() if tensor.dtype == torch.float32 and name not in buffers else tensor
        for name, tensor in ((present_name(name), tensor) for name, tensor in tensors.items())
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_model(folder / "model.safetensors", halved, config, spec)
    (folder / "config.json").write_text(json.dumps(run_json(config, spec), indent=2), encoding="utf-8")
    shutil.copyfile(run / "verdict.txt", folder / "verdict.txt")
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    every = max(1, len(lines) // KEPT_ROWS)
    kept = [line for i, line in enumerate(lines) if i % every == 0 or "_floor" in line or line == lines[-1]]
    rows = [
        {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in json.loads(line).items()}
        for line in kept
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, help="unset: the package's folder of runs, under the run's name")
    arguments = parser.parse_args()
    folder = arguments.out or SHIPPED / arguments.run.name
    ship(arguments.run, folder)
    print(folder)
