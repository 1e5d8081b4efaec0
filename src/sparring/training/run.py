"""A training run: data, networks, trainers, folder (`folder.py`) and loop (`loop.py`)."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.build import Networks, build
from sparring.config import Config, ConfigError
from sparring.data.dataset import Dataset, same_data
from sparring.data.spec import DataSpec
from sparring.device import choose_device, choose_dtype, choose_threads
from sparring.display.training import plot_training
from sparring.files import write_atomic
from sparring.modalities.metrics import metric_for
from sparring.modalities.registry import modality_of, open_dataset
from sparring.models.initialization import parameter_count
from sparring.pretrained import GAN
from sparring.training.checkpoint import Counts, Meta
from sparring.training.codec_trainer import encoded, prepare_codec
from sparring.training.diagnostics import Alarm, Verdict, verdict_on
from sparring.training.evaluation import Evaluation
from sparring.training.folder import RunFolder
from sparring.training.lock import locked
from sparring.training.logs import MetricsLog
from sparring.training.loop import Diverged, Loop, Observer, Phase, Progress, Report
from sparring.training.samples import SampleSheets
from sparring.training.signals import Interrupted, caught_signals, flushed_denormals, kept_threads
from sparring.training.start import load_weights
from sparring.training.state import flatten, restore
from sparring.training.trainer import Trainer

__all__ = ["Diverged", "Interrupted", "Progress", "Run", "train"]

Log = Callable[[str], None]


def train(
    config: Config,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    report: Report = lambda progress: None,
    log: Log = lambda line: None,
) -> Verdict:
    """Trains a GAN into the folder `out`, or resumes the run there; returns the verdict.

    Raises `ConfigError` if `out` holds a run with other settings, `DataError` for unusable data, `Diverged`, and
    `Interrupted` after an interrupted run is saved.
    """
    with kept_threads(), caught_signals() as caught, flushed_denormals():
        run = Run(config, Path(out), dataset, log)
        with locked(run.folder.path):
            run.start()
            run.fit(report, caught)
            return run.finish()


class Run:
    """A run folder and its trainers: the GAN's, and the codec's if it learns."""

    def __init__(self, config: Config, folder: Path, dataset: Dataset | None, log: Log) -> None:
        self.config, self.log = config, log
        self.dataset = open_dataset(**config.data.to_dict()) if dataset is None else dataset
        self.spec = DataSpec.of(self.dataset)
        self._check_batches()
        self.folder = RunFolder(folder, config, self.spec)
        self.folder.check()
        device = choose_device(config.train.device)
        dtype, reason = choose_dtype(config.train.precision, device)
        torch.manual_seed(config.train.seed)
        networks = build(config, self.spec)
        self.codec = networks.codec
        self.trainer = Trainer(config, networks, self.dataset, device, dtype)
        self.codec_trainer = prepare_codec(config, self.codec, self.dataset, device, dtype)
        probe = None if config.train.compile else self.trainer.probe  # not worth compiling
        self.threads, why = choose_threads(probe, device)
        self.evaluation = self._evaluation()
        self.evaluation.check()
        self.sheets = SampleSheets(folder, self.dataset, self.spec, self.sample, log)
        zeros, penalized = torch.zeros(1), bool(config.loss.r1 or config.loss.r2)
        self.alarm = Alarm(self.trainer.loss.discriminator(zeros, zeros).item(), penalized=penalized)
        self.metrics = MetricsLog(folder, tensorboard=config.train.tensorboard)
        self.loop = Loop(
            config.train, self._phases(), self.metrics, self.alarm, save=self._save, restore=self._go_back, log=log
        )
        threads = f"; threads: {self.threads}, {why}" if device.type == "cpu" else ""
        self._describe(networks, f"{device}, {reason}{threads}")

    def start(self) -> None:
        """Resumes from the newest usable checkpoint, or begins a new run. Call it with the folder's lock held."""
        self.folder.open()
        latest = self.folder.checkpoints.restore_latest(self._restore)
        if latest is None:
            self._begin()
        else:
            self._resume(*latest)
        torch.set_num_threads(self.threads)  # as at the run's start, as sums depend on the number of threads

    def fit(self, report: Report, caught: Sequence[int]) -> None:
        """Trains to the configured length; saves and raises `Interrupted` once a signal number is `caught`."""
        self.loop.fit(report, caught)

    def finish(self) -> Verdict:
        """Writes the last sample sheet, the plot and the verdict."""
        folder = self.folder.path
        self.sheets.save_last()
        plot_training(self.metrics.rows, folder / "training.png")
        verdict = verdict_on(self.metrics.rows, sum(phase.trainer.rollbacks for phase in self.loop.phases))
        if missed := self.evaluation.missed():
            verdict = dataclasses.replace(verdict, text=f"{verdict.text} {missed}")
        write_atomic(folder / "verdict.txt", lambda file: file.write_text(verdict.text + "\n", encoding="utf-8"))
        return verdict

    def sample(self, num: int) -> tuple[Any, Tensor | None]:
        """Samples of the averaged generator for seed 0, and their classes, all classes in turn."""
        networks = Networks(self.codec, self.trainer.ema.model, self.trainer.critics)
        samples = GAN(self.config, self.spec, networks).sample(num)
        classes = self.spec.condition.spread(num) if self.spec.class_names else None
        return samples, classes

    # ---- the parts ------------------------------------------------------------------------------------------------

    def _evaluation(self) -> Evaluation:
        """The metric of the data, and the goal; with `evaluate_every` 0 there is no metric."""
        train, metric = self.config.train, None
        if train.evaluate_every:
            also = train.goal[0] if train.goal else None
            metric = metric_for(self.dataset, extractor=train.extractor, also=also, device=self.trainer.device)
        return Evaluation(train, metric, self.sample, self.folder, lambda: self._state()[0], self.log)

    def _phases(self) -> list[Phase]:
        """The codec's training, if it learns, and the GAN's."""
        train, phases = self.config.train, []
        if self.codec_trainer is not None:
            observe = partial(self.sheets.observe_codec, self.codec, self.trainer.device)
            phases.append(Phase(self.codec_trainer, "--codec.lr", [Observer(train.sample_every, observe)]))
        observers = [Observer(train.sample_every, self.sheets.observe)]
        if self.evaluation.metric is not None:
            observers.insert(0, Observer(train.evaluate_every, self.evaluation.observe))
        phases.append(Phase(self.trainer, "--optim.lr", observers, self._set_data, self.evaluation.reached))
        return phases

    def _set_data(self) -> None:
        """Gives the GAN's trainer the data as encoded by the trained codec."""
        self.trainer.dataset = encoded(self.dataset, self.codec, self.trainer.device)

    def _check_batches(self) -> None:
        """Raises `ConfigError` if there are fewer texts than a batch: a text that occurs twice in a batch is useless.
        Other data may be few, as augmentation and cropping vary them."""
        count = len(self.dataset)
        sizes = {"train": self.config.train.batch_size}
        if learnt := self.config.codec.learnt:
            sizes["codec"] = learnt.batch_size
        large = [f"--{section}.batch_size {size}" for section, size in sizes.items() if size > count]
        modality = modality_of(self.dataset)
        if large and not modality.repeatable:
            raise ConfigError(
                f"{self.dataset.name} holds {count} {modality.kind} to train on, fewer than a batch of "
                f"{' and '.join(large)}: lower it to {count} or less, or add {modality.kind}"
            )

    def _describe(self, networks: Networks, device: str) -> None:
        """Logs the sizes of data and networks, and the device."""
        counts = [parameter_count(network) for network in (networks.generator, networks.critics)]
        learnt = parameter_count(self.codec)
        self.log(
            f"{len(self.dataset)} samples of {'×'.join(map(str, self.dataset.sample_shape))}, "
            f"{self.spec.condition.summary}; generator {counts[0]:,} and discriminator {counts[1]:,} parameters"
            + (f", codec {learnt:,}" if learnt else "")
            + f"; {device}"
        )
        for note in self.dataset.notes:
            self.log(f"note: {note}")
        if self.dataset.skipped:
            self.log(f"skipped {len(self.dataset.skipped)} unusable files or samples, first {self.dataset.skipped[0]}")

    # ---- the state ------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Saves the first state: initial weights, or those of `train.init_from`."""
        if self.config.train.init_from is not None:
            networks = Networks(self.codec, self.trainer.generator, self.trainer.critics)
            self.log(load_weights(self.config, self.spec, networks))
            self.trainer.ema.model.load_state_dict(self.trainer.generator.state_dict())
        self.metrics.go_back_to(-1)
        self._save()

    def _save(self) -> None:
        tensors, counts, codec = self._state()
        meta = Meta(
            **counts.model_dump(),
            codec=codec,
            seconds=self.loop.seconds,
            threads=self.threads,
            data=self.dataset.fingerprint,
            precision=_name(self.trainer.dtype),
        )
        self.folder.save(self.loop.samples_seen, tensors, meta.model_dump())

    def _go_back(self) -> None:
        latest = self.folder.checkpoints.restore_latest(self._restore)
        assert latest is not None, "a run saves its first state before its first step"

    def _state(self) -> tuple[dict[str, Tensor], Counts, Counts | None]:
        """The tensors, and the counts of the GAN's trainer and of the codec's."""
        tensors, counts = self.trainer.state()
        if self.codec_trainer is None:
            return tensors | flatten({"codec": self.codec}, {}), counts, None
        codec, codec_counts = self.codec_trainer.state()
        return tensors | codec, counts, codec_counts

    def _resume(self, meta: Meta, problems: Sequence[str]) -> None:
        """Goes on from the restored state, with the threads and the precision on which its sums depend."""
        for problem in problems:
            self.log(f"skipped a checkpoint: {problem}")
        if not same_data(meta.data, self.dataset.fingerprint):
            raise ConfigError(
                f"the data at {self.config.data.path} changed since {self.folder.path} began: use another --out"
            )
        self.loop.seconds = meta.seconds
        if "OMP_NUM_THREADS" not in os.environ:
            self.threads = min(meta.threads or self.threads, torch.get_num_threads())
        if meta.precision and self.config.train.precision == "auto":
            self.trainer.dtype = dtype = getattr(torch, meta.precision)
            if self.codec_trainer is not None:
                self.codec_trainer.dtype = dtype
        self.folder.write_model(self.folder.path, self._state()[0])  # a kill may have come between checkpoint and model
        self.metrics.go_back_to(self.loop.samples_seen)
        self.log(
            f"resumed {self.folder.path} at {self.loop.samples_seen:,} samples, with its {self.threads} thread(s) and "
            f"{_name(self.trainer.dtype)}"
        )

    def _restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> Meta:
        """Restores a state; raises `ValueError` if it does not fit."""
        meta = Meta.read(values)
        if self.codec_trainer is None:
            restore(tensors, {"codec": self.codec}, {})
        elif meta.codec is None:
            raise ValueError("the codec's counts are missing")
        else:
            self.codec_trainer.restore(tensors, meta.codec)
        self.trainer.restore(tensors, meta)
        return meta


def _name(dtype: torch.dtype) -> Any:
    """A value of `Meta.precision`."""
    return str(dtype).removeprefix("torch.")
