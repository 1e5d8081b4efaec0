"""The folder of a run: what is written there, and which folder a run may go on in.

config.json          every setting, and what the networks must know of the data
model.safetensors    the averaged generator and the discriminator; the config is in its metadata too
best/                the same two files as they were when the metric was best, a run folder to sample from, and its row
checkpoints/         complete training states, the newest few
samples/             a grid of samples (of texts a list) at intervals, always from the same z
metrics.jsonl        one line of measurements every so often
samples.png (of texts .txt), training.png, verdict.txt     at the end
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.config import Config, ConfigError, differences
from sparring.data.spec import DataSpec
from sparring.files import write_atomic
from sparring.pretrained import read_config, run_json, write_model
from sparring.training.checkpoint import Checkpoints
from sparring.training.state import under


class RunFolder:
    """The files of a run with these settings on these data."""

    def __init__(self, path: Path, config: Config, spec: DataSpec) -> None:
        self.path, self.config, self.spec = path, config, spec
        self.checkpoints = Checkpoints(path / "checkpoints")

    def check(self) -> None:
        """Refuses a folder that holds another run, or something else."""
        if self.path.is_file():
            raise ConfigError(f"--out {self.path} is a file: name a folder")
        if not (self.path / "config.json").exists():
            if self.path.is_dir() and any(self.path.iterdir()):
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

    def open(self, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
        """The newest state and what was wrong with newer ones; None for a new run. Refuses a run on other data, makes
        the folder and writes its config."""
        latest = self.checkpoints.load_latest()
        if latest is not None and latest[1]["data"] != fingerprint:
            raise ConfigError(f"the data at {self.config.data.path} changed since {self.path} began: use another --out")
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_config(self.path)
        return latest

    def save(self, samples_seen: int, tensors: dict[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Writes a checkpoint, and the model as it is now."""
        self.checkpoints.save(samples_seen, tensors, meta)
        self._write_model(self.path, tensors)

    def keep_best(self, row: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        """Writes the model to `best/`, and the row that it was measured with."""
        file = self.path / "best" / "metrics.json"
        file.parent.mkdir(exist_ok=True)
        self._write_config(file.parent)
        self._write_model(file.parent, tensors)
        write_atomic(file, lambda temporary: temporary.write_text(json.dumps(row), encoding="utf-8"))

    def best(self) -> dict[str, Any]:
        """The best row so far and what was measured in, or nothing."""
        file = self.path / "best" / "metrics.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def _write_config(self, folder: Path) -> None:
        text = json.dumps(run_json(self.config, self.spec), indent=2)
        write_atomic(folder / "config.json", lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def _write_model(self, folder: Path, tensors: dict[str, Tensor]) -> None:
        weights = {f"generator.{name}": value for name, value in under(tensors, "ema.").items()}
        weights |= {name: value for name, value in tensors.items() if name.startswith(("critics.", "codec."))}
        write_model(folder / "model.safetensors", weights, self.config, self.spec)
