"""The folder of a run.

config.json          all settings, and the data specification
model.safetensors    the averaged generator, the critics and the codec; the metadata hold the config too
best/                a run folder with the same two files at the best score, and metrics.json with that row
checkpoints/         the newest complete training states
samples/             a sheet of samples at intervals, always from the same z
metrics.jsonl        one row of scores and losses at intervals
samples.png (.txt for texts), training.png, verdict.txt     at the end
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.config import Config, ConfigError, differences
from sparring.data.spec import DataSpec
from sparring.files import CheckpointError, is_leftover, remove_leftovers, write_atomic
from sparring.pretrained import read_config, run_json, write_model
from sparring.regular_files import read_regular
from sparring.training.checkpoint import Checkpoints
from sparring.training.lock import LOCK
from sparring.training.logs import MAX_BYTES, row_of
from sparring.training.state import under


class RunFolder:
    """Reads and writes the files of a run."""

    def __init__(self, path: Path, config: Config, spec: DataSpec) -> None:
        self.path, self.config, self.spec = path, config, spec
        self.checkpoints = Checkpoints(path / "checkpoints")

    def check(self) -> None:
        """Raises `ConfigError` if the folder holds another run or something else."""
        if self.path.is_file():
            raise ConfigError(f"--out {self.path} is a file: name a folder")
        if not (self.path / "config.json").exists():
            others = self.path.iterdir() if self.path.is_dir() else ()
            if any(file.name != LOCK and not is_leftover(file) for file in others):
                raise ConfigError(f"--out {self.path} is not empty and holds no run: name a new folder")
            return
        config, spec = read_config(self.path)
        changed = differences(config, self.config)
        if changed:
            listed = "; ".join(f"--{name} is {old} there and {new} here" for name, (old, new) in changed.items())
            raise ConfigError(f"{self.path} holds a run with other settings: {listed}. Use them, or another --out")
        if not spec.like(self.spec):
            raise ConfigError(
                f"--out {self.path} was trained on {spec.sample_shape} samples of {spec.condition.summary}, and "
                f"{self.config.data.path} now has {self.spec.sample_shape} of {self.spec.condition.summary}"
                + (" and another vocabulary" if spec.vocabulary != self.spec.vocabulary else "")
                + ": use another"
            )
        if (self.path / "model.safetensors").exists() and not self.checkpoints.paths():
            raise ConfigError(
                f"{self.path} holds a trained model, and no checkpoint to resume from: use another --out; "
                f"`--from {self.path}` starts from its weights"
            )

    def open(self) -> None:
        """Writes the config, and removes what killed processes left. Call it with the lock held."""
        self.check()  # another training may have begun a run here a moment ago
        for folder in (self.path, self.checkpoints.folder, self.path / "best", self.path / "samples"):
            remove_leftovers(folder)
        self._write_config(self.path)

    def save(self, samples_seen: int, tensors: dict[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Writes a checkpoint and the model."""
        self.checkpoints.save(samples_seen, tensors, meta)
        self.write_model(self.path, tensors)

    def keep_best(self, row: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        """Writes the model and its row to `best/`."""
        file = self.path / "best" / "metrics.json"
        file.parent.mkdir(exist_ok=True)
        self._write_config(file.parent)
        self.write_model(file.parent, tensors)
        write_atomic(file, lambda temporary: temporary.write_text(json.dumps(row), encoding="utf-8"))

    def best(self) -> dict[str, Any]:
        """The numbers of the best row so far; empty if there is none that can be read."""
        file = self.path / "best" / "metrics.json"
        return row_of(read_regular(file, MAX_BYTES, CheckpointError)) or {} if file.exists() else {}

    def _write_config(self, folder: Path) -> None:
        text = json.dumps(run_json(self.config, self.spec), indent=2)
        write_atomic(folder / "config.json", lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def write_model(self, folder: Path, tensors: dict[str, Tensor]) -> None:
        """Writes `model.safetensors` into `folder` from a training state."""
        weights = {f"generator.{name}": value for name, value in under(tensors, "ema.").items()}
        weights |= {name: value for name, value in tensors.items() if name.startswith(("critics.", "codec."))}
        write_model(folder / "model.safetensors", weights, self.config, self.spec)
