"""All settings of a run, checked on construction and stored as JSON.

A setting is named by its section and field, in Python as on the command line: `config.model.depth`, `--model.depth 6`.
The settings of codecs and critics are in `codecs/settings.py` and `critics/settings.py`.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import SerializeAsAny, field_validator, model_validator

from sparring.codecs.settings import CODECS, CodecSettings, PatchSettings
from sparring.critics.settings import VIEWS, CriticSettings, WholeSettings
from sparring.settings import Choice, ConfigError, Section, one_of, setting, spell

__all__ = ["Config", "ConfigError", "describe", "differences", "suggest"]

UNTIL = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(\d+(?:\.\d*)?(?:e-?\d+)?)\s*")
SAMPLES = 10**12
"""Upper limit of settings that count samples."""


class DataConfig(Section):
    section: ClassVar[str] = "data"

    path: str = setting(
        "digits",
        "a built-in name (digits, rings, grid, sines, bouncing, bouncing-1, names), a folder, a file, or hf:NAME",
    )
    resolution: int | None = setting(
        None, "crop pictures to a square and resize to this many pixels a side", ge=1, le=4096
    )
    labels: str | None = setting(None, "a CSV file with the columns file,label; unset: sub-folders are classes")
    conditional: bool = setting(True, "use the data's classes; false ignores them")
    condition: str | None = setting(
        None,
        "condition samples on numbers instead of classes: `numbers` reads each label as one or several numbers; a .npz "
        "(array `conditions`), .npy or .csv file has one row for each sample",
    )
    window: int | None = setting(
        None,
        "steps of a sample cut from a long series, or length of the built-in sines (unset: 24)",
        ge=2,
        le=1_000_000,
    )
    stride: int | None = setting(None, "steps between the starts of two windows; unset: 1", ge=1, le=1_000_000)
    fill_gaps: bool = setting(
        False, "interpolate missing values of series; false leaves out samples with missing values"
    )
    frames: int | None = setting(None, "frames of a clip; unset: 16 for videos", ge=1, le=4096)
    frame_step: int | None = setting(None, "take every n-th frame of a video; unset: 1", ge=1, le=4096)
    field: str | None = setting(None, "the field of a table or .jsonl that holds the text")
    split: Literal["line", "sentence"] | None = setting(None, "unit of a sample: line or sentence; unset: line")
    tokenizer: Literal["char", "word", "bpe"] | None = setting(
        None,
        "symbols of texts: characters, words or byte pairs; unset: words, or characters if lines have under 3 words",
    )
    vocabulary: int | None = setting(
        None,
        "size of the vocabulary of texts; unset: 8,000 words, 4,000 characters or 2,000 byte pairs",
        ge=1,
        le=1_000_000,
    )
    length: int | None = setting(
        None, "longest text in symbols; unset: the length of 99% of the texts, at most 128", ge=2, le=4096
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.labels and not self.conditional:
            raise ConfigError("--data.labels has no effect with --data.conditional false: drop one of the two")
        if self.condition and not self.conditional:
            raise ConfigError("--data.condition has no effect with --data.conditional false: drop one of the two")
        if self.labels and self.condition not in (None, "numbers"):
            raise ConfigError(
                f"--data.labels has no effect with --data.condition {self.condition}: drop one of the two"
            )
        return self

    def elsewhere(self, path: str) -> dict[str, Any]:
        """Changes to these options that open other data; labels are ignored if they are not classes."""
        classes = self.conditional and self.condition is None
        return {"path": path, "labels": None, "condition": None, "conditional": classes}


class ModelConfig(Section):
    section: ClassVar[str] = "model"

    width: int = setting(128, "width of both transformers", ge=8, le=16_384)
    depth: int = setting(4, "blocks of the generator", ge=1, le=512)
    num_heads: int = setting(4, "attention heads", ge=1, le=8192)
    z_dim: int = setting(64, "size of the global z, which the mapping network turns into w", ge=1, le=4096)
    noise_dim: int = setting(16, "noise numbers in each input token of the generator; 0: positions only", ge=0, le=4096)
    stem: int = setting(0, "stride-2 convolutions between the codec's tokens and the transformers; 0: none", ge=0, le=5)
    positions: Literal["learned", "sinusoidal", "none"] = setting("learned", "position embeddings added to the tokens")
    rotary: bool = setting(True, "rotary position embeddings in attention (RoPE on every axis)")
    fourier: float = setting(
        0.0,
        "standard deviation of the frequencies of Fourier features of both networks' inputs; 0: no Fourier features",
        ge=0,
        le=1e3,
    )
    adaln_gain: float = setting(1.0, "initial gain of the generator's modulation", ge=-1e3, le=1e3)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._require(
            self.width % (2 * self.num_heads) == 0,
            "num_heads",
            f"must divide --model.width {self.width} into even parts",
        )
        if self.positions == "none" and not self.rotary:
            raise ConfigError("--model.positions none needs --model.rotary true: else attention has no positions")
        if self.positions == "none" and self.noise_dim == 0:
            raise ConfigError("--model.positions none needs --model.noise_dim above 0: else all tokens are equal")
        return self


class LossConfig(Section):
    section: ClassVar[str] = "loss"

    name: str = setting(
        "relativistic",
        "the adversarial loss, a name in sparring.losses.LOSSES: relativistic, non-saturating, minimax, hinge, "
        "least-squares, wasserstein",
    )
    r1: float = setting(1.0, "gamma of R1: gamma/2 ||grad D||^2 on real samples", ge=0, le=1e6)
    r2: float = setting(1.0, "gamma of R2: gamma/2 ||grad D||^2 on fakes", ge=0, le=1e6)
    final_gamma: float = setting(
        1.0,
        "final factor on r1 and r2, which decay exponentially; 1: no decay",
        ge=1e-6,
        le=1,
    )
    gamma_fall: int | None = setting(None, "samples over which r1 and r2 decay; unset: the whole run", ge=1, le=SAMPLES)
    penalty: Literal["finite-difference", "exact"] = setting("finite-difference", "how R1 and R2 are computed")
    penalty_fraction: float = setting(0.25, "share of the batch on which R1 and R2 are computed", ge=1e-6, le=1)
    epsilon: float = setting(0.01, "step of the finite difference, relative to samples in [-1, 1]", ge=1e-6, le=1)
    centring: float = setting(0.01, "weight of (D(x) + D(G(z)))^2, which keeps the logits near zero", ge=0, le=1e6)
    energy: float = setting(
        0.0,
        "initial weight of the conditional energy distance between fakes and real samples; it decays linearly to 0",
        ge=0,
        le=1e6,
    )
    instance_noise: float = setting(
        0.0, "initial instance-noise level; it decays linearly over the first half of the run", ge=0, le=10
    )
    final_noise: float = setting(0.0, "final instance-noise level; on latents use the codec's noise", ge=0, le=10)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "relativistic":  # the other names are in `losses`, which imports torch
            from sparring.losses import LOSSES

            if name not in LOSSES:
                raise ConfigError(one_of("loss.name", name, LOSSES))
        return name

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._require(
            self.final_noise <= self.instance_noise,
            "final_noise",
            f"must lie between 0 and --loss.instance_noise {self.instance_noise:g}",
        )
        if self.final_gamma != 1 and not (self.r1 or self.r2):
            raise ConfigError(
                "--loss.final_gamma has no effect with --loss.r1 0 --loss.r2 0: set --loss.final_gamma 1 "
                "--loss.gamma_fall none"
            )
        if self.final_gamma == 1 and self.gamma_fall:
            raise ConfigError("--loss.gamma_fall has no effect with --loss.final_gamma 1: set it to none")
        if self.penalty == "exact" and self.epsilon != type(self).model_fields["epsilon"].default:
            raise ConfigError("--loss.epsilon has no effect with --loss.penalty exact: drop it")
        return self


class AugmentConfig(Section):
    section: ClassVar[str] = "augment"

    probability: float = setting(0.0, "probability of each augmentation of the discriminator's inputs", ge=0, le=1)
    translation: float = setting(0.125, "largest shift, relative to each side", ge=0, le=1)
    cutout: float = setting(0.0, "size of the cutout, relative to each side", ge=0, le=1)
    color: float = setting(0.0, "strength of random brightness, saturation and contrast", ge=0, le=1)
    flip: bool = setting(False, "mirror half of the real samples left to right (the generator learns both)")


class OptimConfig(Section):
    section: ClassVar[str] = "optim"

    lr: float = setting(1e-3, "learning rate of the generator (Adam)", ge=1e-9, le=1)
    discriminator_lr: float | None = setting(
        None, "learning rate of the discriminator; unset: the generator's", ge=1e-9, le=1
    )
    beta2: float = setting(0.99, "beta2 of Adam (beta1 is 0)", ge=0, le=0.9999)
    warmup: int = setting(2_000, "samples of linear warm-up of the learning rates", ge=0, le=SAMPLES)
    decay: Literal["cosine", "constant"] = setting("cosine", "decay of the learning rates over the run")
    ema_half_life: int = setting(20_000, "half-life of the averaged generator (EMA), in samples", ge=0, le=SAMPLES)


class TrainConfig(Section):
    section: ClassVar[str] = "train"

    num_samples: int = setting(200_000, "length of the run, in real samples", ge=1, le=SAMPLES)
    batch_size: int = setting(64, "samples in each step", ge=2, le=65_536)
    micro_batch_size: int | None = setting(
        None, "samples in each forward pass (gradient accumulation); unset: the whole batch", ge=1, le=65_536
    )
    init_from: str | None = setting(
        None, "fine-tuning: a run (folder, shipped run or hub id) whose weights are the initial weights"
    )
    seed: int = setting(0, "seed of all random numbers", ge=0, le=2**31 - 1)
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: Literal["auto", "float32", "bfloat16"] = setting("auto", "precision of the matrix products")
    compile: bool = setting(False, "compile both networks with torch.compile")
    checkpoint_every: int = setting(20_000, "samples between checkpoints", ge=1, le=SAMPLES)
    sample_every: int = setting(20_000, "samples between pictures", ge=1, le=SAMPLES)
    evaluate_every: int = setting(
        40_000, "samples between evaluations, if the data has a metric; 0: never", ge=0, le=SAMPLES
    )
    extractor: str | None = setting(None, "feature extractor for the evaluation of pictures; unset: chosen by the data")
    until: str | None = setting(
        None,
        "stop once a metric reaches a value: frechet<=8, c2st<=0.6, ... (fd: this data's Fréchet distance)",
    )
    tensorboard: bool = setting(False, "also log to RUN/tensorboard (extra: tensorboard)")

    @model_validator(mode="after")
    def _check(self) -> Self:
        micro = self.micro_batch_size
        self._require(
            micro is None or self.batch_size % micro == 0,
            "micro_batch_size",
            f"must divide --train.batch_size {self.batch_size}",
        )
        if self.until is not None:
            self._require(
                UNTIL.fullmatch(self.until) is not None, "until", "must be NAME<=NUMBER or NAME>=NUMBER, e.g. 'fd<=8'"
            )
            name, sign, value = self.goal or ("", "", 0.0)
            if name == "c2st":
                self._require(
                    sign == "<=" and 0.5 <= value < 1,
                    "until",
                    "must be c2st<=NUMBER with a number from 0.5 to 1, e.g. 'c2st<=0.6'",
                )
        for name in ("until", "extractor"):
            if getattr(self, name) is not None and not self.evaluate_every:
                raise ConfigError(f"--train.{name} has no effect with --train.evaluate_every 0: drop one of the two")
        return self

    @property
    def goal(self) -> tuple[str, str, float] | None:
        """The parts of `until`: a metric's name, "<=" or ">=", a number."""
        match = None if self.until is None else UNTIL.fullmatch(self.until)
        return None if match is None else (match[1], match[2], float(match[3]))


class Config(Section):
    """All settings of a run. `config.replace({"model.depth": 6})` changes single settings."""

    data: DataConfig = DataConfig()
    codec: SerializeAsAny[CodecSettings] = PatchSettings()
    critics: tuple[SerializeAsAny[CriticSettings], ...] = (WholeSettings(),)
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()

    @field_validator("codec", mode="before")
    @classmethod
    def _codec(cls, values: Any) -> CodecSettings:
        return CodecSettings.read(values, CODEC)

    @field_validator("critics", mode="before")
    @classmethod
    def _critics(cls, values: Any) -> tuple[CriticSettings, ...]:
        if not isinstance(values, list | tuple) or not values:
            raise ConfigError("--critics is a list of sections: set a field of one, e.g. --critics.0.view")
        return tuple(CriticSettings.read(v, VIEW, f"critics.{index}") for index, v in enumerate(values))

    @model_validator(mode="after")
    def _check(self) -> Self:
        name = self.codec.name
        if self.codec.latent and self.augment.probability:
            raise ConfigError(
                f"--augment.probability needs samples, but with --codec.name {name} the discriminator sees latents: "
                "set it to 0"
            )
        if self.codec.latent and self.augment.flip:
            raise ConfigError(
                f"--augment.flip needs samples, but with --codec.name {name} the GAN sees latents: set it to false"
            )
        if any(self.stems) and self.model.fourier:
            raise ConfigError(
                "--model.fourier needs networks without stems: set --model.fourier 0, or the stems of model and critics"
            )
        if self.loss.energy and (self.train.micro_batch_size or self.train.batch_size) == 1:
            raise ConfigError("--loss.energy needs batches of 2 or more: set --loss.energy 0 or a larger batch")
        if self.loss.penalty == "exact" and self.train.compile:
            raise ConfigError("--train.compile cannot differentiate twice: use --loss.penalty finite-difference")
        return self

    @classmethod
    def unknown(cls, name: str, place: str | None = None) -> str:
        return f"there is no setting --{name}{suggest(name)}"

    @property
    def stems(self) -> tuple[int, ...]:
        """Stride-2 convolutions of the generator and of each critic's discriminator."""
        return self.model.stem, *(self.model.stem if c.stem is None else c.stem for c in self.critics)

    @property
    def codec_samples(self) -> int:
        """Length of the codec's training in samples; 0 for a codec that does not learn."""
        return self.codec.learnt.num_samples if self.codec.learnt else 0

    def flat(self) -> dict[str, Any]:
        """All settings by their full names, e.g. {"model.depth": 4, ...}."""
        flat: dict[str, Any] = {}
        for section, values in self.to_dict().items():
            parts = (
                {section: values} if isinstance(values, dict) else {f"{section}.{i}": v for i, v in enumerate(values)}
            )
            flat |= {f"{place}.{name}": value for place, fields in parts.items() for name, value in fields.items()}
        return flat

    def replace(self, changes: Mapping[str, Any]) -> "Config":
        """A copy with changed settings, by full name; text is parsed as on the command line.

        A new codec or view keeps those settings of the old one that it has too and that differ from their defaults.
        `critics.1` adds a second critic if there is one.
        """
        sections: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            place, _, field = name.rpartition(".")
            sections.setdefault(place, {})[field] = value
        values = self.to_dict()
        for place, fields in sections.items():
            section, _, index = place.partition(".")
            if section == "critics" and index.isdecimal():
                self._replace_critic(values["critics"], int(index), fields)
            elif place == "codec":
                values["codec"] = _replaced(self.codec, fields, CODECS)
            else:
                known = values.get(place)
                for field in fields:
                    if not isinstance(known, dict) or field not in known:
                        raise ConfigError(self.unknown(f"{place}.{field}".strip(".")))
                values[place] |= fields
        return Config.from_dict(values)

    def _replace_critic(self, critics: list[dict[str, Any]], index: int, fields: dict[str, Any]) -> None:
        if index > len(critics):
            raise ConfigError(f"there is no --critics.{len(critics)} yet: set --critics.{len(critics)}.view first")
        if index == len(critics):
            critics.append(fields)
        else:
            old = CriticSettings.read(critics[index], VIEW, f"critics.{index}")
            critics[index] = _replaced(old, fields, VIEWS)


CODEC, VIEW = "patch", "whole"


def _replaced(old: Choice, fields: dict[str, Any], kinds: Mapping[str, type[Choice]]) -> dict[str, Any]:
    """The values of `old` with changes; a new kind keeps the values that it has too and that are not defaults."""
    values, kind = old.to_dict(), fields.get(old.tag, getattr(old, old.tag))
    if kind != getattr(old, old.tag) and kind in kinds:
        fresh = type(old).model_fields
        values = {n: v for n, v in values.items() if n in kinds[kind].model_fields and v != fresh[n].default}
    return values | fields


# These may change on resuming: they decide how long and where the run trains, not what it learns.
MAY_CHANGE = frozenset(
    f"train.{name}"
    for name in (
        "num_samples",
        "checkpoint_every",
        "sample_every",
        "evaluate_every",
        "until",
        "device",
        "tensorboard",
    )
)


def differences(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """The settings that differ and are not in MAY_CHANGE, as {name: (old, new)}."""
    before, after = old.flat(), new.flat()
    changed = [n for n in before | after if before.get(n) != after.get(n) and n not in MAY_CHANGE]
    return {n: (before.get(n), after.get(n)) for n in changed}


def describe() -> list[tuple[str, str, Any, str]]:
    """(full name, type, default, help) of every setting.

    Codecs and views have different settings. The help ends with the codecs or views that have the setting; a setting
    with different defaults or meanings is listed several times.
    """
    rows = []
    for section, field in Config.model_fields.items():
        match section:
            case "codec":
                rows += _describe_choice("codec", "name", CODEC, "codec of the samples", CODECS)
            case "critics":
                rows += _describe_choice("critics.0", "view", VIEW, "the discriminator's view of samples", VIEWS)
            case _:
                rows += [(f"{section}.{name}", *described) for name, described in _fields(type(field.default))]
    return rows


def _describe_choice(
    place: str, tag: str, default: str, text: str, kinds: Mapping[str, type[Choice]]
) -> list[tuple[str, str, Any, str]]:
    about = "; ".join(
        f"{name}: {' '.join((kind.__doc__ or '').split()).rstrip('.').lower()}" for name, kind in kinds.items()
    )
    users: dict[tuple[str, tuple[str, Any, str]], list[str]] = {}
    for kind_name, kind in kinds.items():
        for name, described in _fields(kind):
            if name != tag:
                users.setdefault((name, described), []).append(kind_name)
    rows = [(f"{place}.{tag}", " | ".join(kinds), default, f"{text}: {about}")]
    for (name, (hint, value, help)), names in users.items():
        rows.append(
            (f"{place}.{name}", hint, value, help if len(names) == len(kinds) else f"{help} ({', '.join(names)})")
        )
    return rows


def _fields(section: type[Section]) -> Iterator[tuple[str, tuple[str, Any, str]]]:
    """The name of each field, and its type, default and help."""
    for name, field in section.model_fields.items():
        yield name, (spell(field.annotation), field.default, field.description or "")


def suggest(name: str, names: Sequence[str] = ()) -> str:
    """The hint that ends a message about the unknown setting or option `name`."""
    full_names = [row[0] for row in describe()]
    by_field = {full.partition(".")[2]: full for full in full_names}
    nearest = difflib.get_close_matches(name, [*names, *full_names], 1)
    if not nearest:
        nearest = [by_field[field] for field in difflib.get_close_matches(name.rpartition(".")[2], by_field, 1)]
    return f"; did you mean --{nearest[0]}?" if nearest else "; `sparring train --help-all` lists them all"
