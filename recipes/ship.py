"""Puts a trained run into the package, small: weights in float16, a tenth of its rows, no checkpoints.

python recipes/ship.py runs/digits            # into src/sparring/runs/digits
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from sparring.build import build
from sparring.files import load_tensors
from sparring.pretrained import SHIPPED, read_config, write_model

KEPT_ROWS = 40


def ship(run: Path, folder: Path) -> None:
    config, spec = read_config(run)
    tensors, _ = load_tensors(run / "model.safetensors")
    # What a codec has measured, rounded, would make smooth series tremble.
    measured = {name for name, _ in build(config, spec).named_buffers()}
    halved = {n: t.half() if t.dtype == torch.float32 and n not in measured else t for n, t in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_model(folder / "model.safetensors", halved, config, spec)
    for name in ("config.json", "verdict.txt"):
        shutil.copyfile(run / name, folder / name)
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
    run = parser.parse_args().run
    ship(run, SHIPPED / run.name)
    print(SHIPPED / run.name)
