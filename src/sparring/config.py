"""Every setting of a run: frozen dataclasses, checked on construction, to and from JSON.

A setting is named by its section and field, in Python as on the command line: `config.model.depth`, `--model.depth 6`.
"""

import dataclasses
import difflib
import json
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

T = TypeVar("T")


UNTIL = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(\d+(?:\.\d*)?(?:e-?\d+)?)\s*")


class ConfigError(ValueError):
    """A setting is wrong; the message, one line, says what to type instead."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def setting(default: T, help: str) -> T:
    """A field with its documentation, which `sparring train --help-all` prints."""
    return dataclasses.field(default=default, metadata={"help": help})


class Section:
    """What all sections share: strict reading, and checks that name the setting."""

    @classmethod
    def from_dict(cls, values: dict[str, Any], prefix: str = "") -> Self:
        """Builds the section from plain values; unknown names and wrong types raise `ConfigError`."""
        hints = typing.get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        if not isinstance(values, dict):
            raise ConfigError(f"--{prefix.rstrip('.')} is a section: set one of its fields, e.g. --{prefix}{names[0]}")
        for name in values:
            if name not in names:
                raise ConfigError(f"there is no setting --{prefix}{name}{suggest(prefix + name)}")
        return cls(**{name: _read(hints[name], value, prefix + name) for name, value in values.items()})

    def _require(self, condition: bool, name: str, must: str) -> None:
        if not condition:
            raise ConfigError(f"--{SECTION_NAMES[type(self)]}.{name} {must}, not {getattr(self, name)}")

    def _require_range(self, low: float, high: float, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self._require(value is None or low <= value <= high, name, f"must lie between {low:g} and {high:g}")


@dataclass(frozen=True)
class DataConfig(Section):
    path: str = setting(
        "digits",
        "a built-in name (digits, rings, grid, sines, bouncing, bouncing-1, names), a folder, a file, or hf:NAME",
    )
    resolution: int | None = setting(None, "crop pictures to a square and resize to this many pixels a side")
    labels: str | None = setting(None, "a CSV file of file,label, where the labels are not the sub-folders' names")
    conditional: bool = setting(True, "learn the classes where the data has some; false ignores them")
    window: int | None = setting(None, "steps of a sample cut from a long series; of sines: their length (unset: 24)")
    stride: int | None = setting(None, "steps between the starts of two windows; unset: 1")
    fill_gaps: bool = setting(False, "interpolate missing values of series; false leaves out what has some")
    frames: int | None = setting(None, "frames of a clip; unset: 16 where the data are films")
    frame_step: int | None = setting(None, "take every n-th frame of a film; unset: every one")
    field: str | None = setting(None, "the field of a table or .jsonl that holds the text")
    split: Literal["line", "sentence"] | None = setting(None, "what of a text is a sample; unset: a line")
    tokenizer: Literal["char", "word", "bpe"] | None = setting(
        None, "what texts are made of; unset: words, or characters where lines have fewer than three words"
    )
    vocabulary: int | None = setting(
        None, "the most frequent symbols of texts that are kept; unset: 8,000 words, 4,000 characters or 2,000 pairs"
    )
    length: int | None = setting(None, "symbols of the longest text; unset: what 99% of them need, 128 at most")

    def __post_init__(self) -> None:
        self._require_range(2, 4096, "length")
        self._require_range(1, 1_000_000, "vocabulary")
        self._require_range(1, 4096, "resolution")
        self._require_range(2, 1_000_000, "window")
        self._require_range(1, 1_000_000, "stride")
        self._require_range(1, 4096, "frames", "frame_step")
        if self.labels and not self.conditional:
            raise ConfigError("--data.labels has no effect with --data.conditional false: drop one of the two")


LONGEST_WHITENED = 4096
"""Steps of a series that can be whitened or taken apart into components: matrices of so many rows and columns do it."""


@dataclass(frozen=True)
class CodecConfig(Section):
    name: Literal["patch", "whitened", "layers", "autoencoder"] = setting(
        "patch",
        "what the GAN works on: the samples' own patches, those of whitened series, films put together from things "
        "that move, or the latent tokens of a trained autoencoder",
    )
    patch_size: int = setting(
        4,
        "side of a patch: a token stands for so many pixels (steps of a series); what it does not divide is padded",
    )
    patch_frames: int | None = setting(None, "frames that a clip's patch spans; unset: 1")
    seen_frames: int | None = setting(
        None, "frames of a clip that the discriminator sees at a time, drawn anew in every step; unset: all"
    )
    overlap: int = setting(0, "pixels by which a patch reaches into its neighbours, blended on decoding")
    layers: int = setting(2, "things that move by themselves: a picture and a path each (layers)")
    glimpses: int = setting(
        0, "of the things that stand out of the background so many are judged close up by themselves, too (layers)"
    )
    components: int | None = setting(
        None, "principal components along time that a smooth series is seen as, in place of patches (autoencoder)"
    )
    whiten: float = setting(
        0.3, "how far quick movements are brought to the size of slow ones: 0 not at all, 1 all the way (whitened)"
    )
    latents: int | None = setting(
        None,
        "latent tokens that stand for the whole sample (autoencoder); unset: one for each place of its grid, "
        "four for a text",
    )
    latent_dim: int = setting(16, "numbers in a latent token (autoencoder)")
    width: int = setting(96, "width of the autoencoder's transformers")
    depth: int = setting(2, "blocks of its encoder and of its decoder")
    num_heads: int = setting(4, "its attention heads")
    stem: int = setting(0, "its stride-2 convolutions between patches and tokens")
    stem_channels: int = setting(16, "channels of those convolutions")
    noise: float = setting(0.3, "noise on the latents while it trains, which leaves no holes for the GAN to miss")
    lr: float = setting(2e-3, "its learning rate (Adam, cosine decay)")
    batch_size: int = setting(32, "samples a step of its training")
    num_samples: int = setting(50_000, "length of its training, in samples seen")

    def __post_init__(self) -> None:
        self._require_range(1, 256, "patch_size", "patch_frames")
        self._require_range(2, 4096, "seen_frames")
        self._require_range(0, self.patch_size // 2, "overlap")
        self._require_range(1, 64, "layers")
        self._require_range(0, 64, "glimpses")
        self._require_range(1, 4096, "components", "latents", "batch_size", "stem_channels")
        self._require_range(4, 4096, "latent_dim")
        self._require_range(8, 16_384, "width")
        self._require_range(1, 512, "depth")
        self._require_range(0, 5, "stem")
        self._require_range(0, 10, "noise")
        self._require_range(0, 1, "whiten")
        self._require_range(1e-9, 1, "lr")
        self._require_range(1, 1e12, "num_samples")
        self._require(
            self.num_heads > 0 and self.width % (2 * self.num_heads) == 0,
            "num_heads",
            f"must divide --codec.width {self.width} into even parts",
        )
        for field in dataclasses.fields(self):
            if getattr(self, field.name) != field.default and not codec_uses(self.name, field.name):
                raise ConfigError(
                    f"--codec.{field.name} has no effect with --codec.name {self.name}: drop one of the two"
                )
        if self.components is not None:
            for name in ("patch_size", "patch_frames", "stem"):
                if getattr(self, name) != getattr(CodecConfig, name):
                    raise ConfigError(f"--codec.{name} has no effect with --codec.components: drop one of the two")
        if self.stem == 0 and self.stem_channels != CodecConfig.stem_channels:
            raise ConfigError("--codec.stem_channels has no effect with --codec.stem 0: drop one of the two")


def codec_uses(codec: str, field: str) -> bool:
    """Whether a field of `CodecConfig` has an effect with this codec."""
    match codec:
        case "patch":
            return field in ("name", "patch_size", "patch_frames", "seen_frames", "overlap")
        case "whitened":
            return field in ("name", "patch_size", "whiten")
        case "layers":
            return field in ("name", "patch_size", "patch_frames", "seen_frames", "layers", "glimpses")
    return field not in ("overlap", "whiten", "layers", "seen_frames", "glimpses")


@dataclass(frozen=True)
class ModelConfig(Section):
    width: int = setting(128, "width D of both transformers")
    depth: int = setting(4, "blocks of the generator")
    discriminator_depth: int | None = setting(None, "blocks of the discriminator; unset: as the generator")
    num_heads: int = setting(4, "attention heads")
    mlp_ratio: float = setting(8 / 3, "hidden width of the MLP over D")
    z_dim: int = setting(64, "size of the global z that becomes w")
    noise_dim: int = setting(16, "numbers of noise each token of the generator starts from; 0: positions only")
    stem: int = setting(0, "stride-2 convolutions between the codec's tokens and the transformers; 0: none")
    discriminator_stem: int | None = setting(
        None, "those of the discriminator; unset: as many. With one more it sees larger shapes, and costs less"
    )
    stem_channels: int | None = setting(
        None, "channels of the generator's convolutions, the discriminator has twice as many; unset: width / 4"
    )
    bounded: bool = setting(True, "tanh on the generator's output, as pixels end at -1 and 1")
    positions: Literal["learned", "sinusoidal", "none"] = setting("learned", "positions added to the tokens")
    rotary: bool = setting(True, "rotary positions in attention (RoPE on every axis)")
    qk_norm: bool = setting(True, "RMS-normalised queries and keys")
    fourier: float = setting(
        0.0, "frequency of sines and cosines that go beside the numbers of a token into both networks; 0: none"
    )
    adaln_gain: float = setting(1.0, "gain of the generator's modulation at the start")
    gate_bias: float = setting(0.1, "openness of the generator's residual branches at the start")
    layer_scale: float = setting(1.0, "LayerScale of the discriminator's residual branches at the start")

    def __post_init__(self) -> None:
        self._require_range(8, 16_384, "width")
        self._require_range(1, 512, "depth", "discriminator_depth")
        self._require_range(1, 4096, "z_dim")
        self._require_range(0, 4096, "noise_dim")
        self._require_range(0.25, 16, "mlp_ratio")
        self._require_range(0, 5, "stem", "discriminator_stem")
        self._require_range(1, 1024, "stem_channels")
        self._require_range(0, 1e3, "fourier")
        if any(self.stems) and self.fourier:
            raise ConfigError("--model.fourier is for tokens without --model.stem: set one of the two to 0")
        if not any(self.stems) and self.stem_channels is not None:
            raise ConfigError("--model.stem_channels has no effect with --model.stem 0: drop one of the two")
        self._require(
            self.num_heads > 0 and self.width % (2 * self.num_heads) == 0,
            "num_heads",
            f"must divide --model.width {self.width} into even parts",
        )
        if self.positions == "none" and not self.rotary:
            raise ConfigError("--model.positions none needs --model.rotary true: tokens must know where they are")
        if self.positions == "none" and self.noise_dim == 0:
            raise ConfigError("--model.positions none needs --model.noise_dim above 0: all tokens would be alike")

    @property
    def stems(self) -> tuple[int, int]:
        """Stride-2 convolutions of the generator and of the discriminator."""
        return self.stem, self.stem if self.discriminator_stem is None else self.discriminator_stem

    @property
    def close_stem(self) -> int:
        """Those of what the discriminator sees close up: half as wide, it is halved once less."""
        return max(0, self.stems[1] - 1)


@dataclass(frozen=True)
class LossConfig(Section):
    name: Literal["relativistic", "non-saturating", "minimax", "hinge", "least-squares", "wasserstein"] = setting(
        "relativistic", "the adversarial pair"
    )
    r1: float = setting(1.0, "gamma of R1: gamma/2 ||grad D||^2 on real samples")
    r2: float = setting(1.0, "gamma of R2: the same on fakes")
    final_gamma: float = setting(
        1.0, "share of r1 and r2 left at the end, to which they fall evenly (on a log scale): smooth first, sharp last"
    )
    gamma_fall: int | None = setting(None, "samples over which r1 and r2 fall; unset: the whole run")
    penalty: Literal["finite-difference", "exact"] = setting("finite-difference", "how R1 and R2 are computed")
    penalty_fraction: float = setting(0.25, "share of the batch that R1 and R2 look at")
    epsilon: float = setting(0.01, "step of the finite difference, in units of the samples' [-1, 1]")
    centring: float = setting(0.01, "weight of (D(x) + D(G(z)))^2, which keeps the logits near zero")
    energy: float = setting(
        0.0, "weight of the energy distance of fakes to real samples of a class, which keeps variety; falls to 0 evenly"
    )
    instance_noise: float = setting(0.0, "noise on all the discriminator sees, falling over the run's first half")
    final_noise: float = setting(0.0, "to which it falls, and where it stays: on latents that of the codec makes sense")
    gamma_size: int | None = setting(
        None, "numbers in a sample for which r1 and r2 hold as given: larger samples get in proportion more; unset: all"
    )

    def __post_init__(self) -> None:
        self._require_range(0, 1e6, "r1", "r2", "centring", "energy")
        self._require_range(0, 10, "instance_noise")
        self._require_range(0, self.instance_noise, "final_noise")
        self._require_range(1, 1e12, "gamma_size")
        if self.gamma_size and not (self.r1 or self.r2):
            raise ConfigError("--loss.gamma_size has no effect with --loss.r1 0 --loss.r2 0: set it to none")
        self._require_range(1e-6, 1, "epsilon", "penalty_fraction", "final_gamma")
        self._require_range(1, 1e12, "gamma_fall")
        if self.final_gamma != 1 and not (self.r1 or self.r2):
            raise ConfigError(
                "--loss.final_gamma has no effect with --loss.r1 0 --loss.r2 0: set --loss.final_gamma 1 "
                "--loss.gamma_fall none"
            )
        if self.final_gamma == 1 and self.gamma_fall:
            raise ConfigError("--loss.gamma_fall has no effect with --loss.final_gamma 1: set it to none")
        if self.penalty == "exact" and self.epsilon != LossConfig.epsilon:
            raise ConfigError("--loss.epsilon has no effect with --loss.penalty exact: drop it")


@dataclass(frozen=True)
class AugmentConfig(Section):
    probability: float = setting(
        0.0, "share of samples to which each kind of change is made before the discriminator sees them"
    )
    translation: float = setting(0.125, "largest shift, as a share of each side")
    cutout: float = setting(0.0, "side of the square cut out, as a share of each side")
    color: float = setting(0.0, "strength of changes of brightness, saturation and contrast")
    flip: bool = setting(False, "mirror images left to right (on the data itself, not only in the discriminator)")

    def __post_init__(self) -> None:
        self._require_range(0, 1, "probability", "translation", "cutout", "color")


@dataclass(frozen=True)
class OptimConfig(Section):
    lr: float = setting(1e-3, "learning rate of the generator (Adam)")
    discriminator_lr: float | None = setting(None, "learning rate of the discriminator; unset: as the generator's")
    beta2: float = setting(0.99, "decay of Adam's second moment; the first is not used (beta1 = 0)")
    warmup: int = setting(2_000, "samples over which the learning rates rise")
    decay: Literal["cosine", "constant"] = setting("cosine", "how the learning rates fall over the run")
    final_lr: float = setting(0.02, "share of the learning rate left at the end of the decay")
    clip: float | None = setting(None, "largest norm of a network's gradient; unset: not clipped")
    ema_half_life: int = setting(20_000, "samples after which the averaged generator has half forgotten")
    ema_rampup: float = setting(0.1, "the half-life is at most this share of the samples seen so far")

    def __post_init__(self) -> None:
        self._require_range(1e-9, 1, "lr", "discriminator_lr")
        self._require_range(0, 0.9999, "beta2")
        self._require_range(0, 1e12, "warmup", "ema_half_life")
        self._require_range(0, 1, "final_lr")
        self._require_range(0, 1e3, "ema_rampup")
        self._require(self.clip is None or self.clip > 0, "clip", "must be positive")
        if self.decay == "constant" and self.final_lr != OptimConfig.final_lr:
            raise ConfigError("--optim.final_lr has no effect with --optim.decay constant: drop it")


@dataclass(frozen=True)
class TrainConfig(Section):
    num_samples: int = setting(200_000, "length of the run, in real samples seen")
    batch_size: int = setting(64, "samples a step")
    micro_batch_size: int | None = setting(None, "samples in memory at once; unset: the whole batch")
    seed: int = setting(0, "everything random follows from it")
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: Literal["auto", "float32", "bfloat16"] = setting("auto", "of the matrix products")
    compile: bool = setting(False, "torch.compile both networks")
    checkpoint_every: int = setting(20_000, "samples between checkpoints")
    keep_checkpoints: int = setting(2, "checkpoints kept")
    sample_every: int = setting(20_000, "samples between pictures")
    evaluate_every: int = setting(40_000, "samples between measurements, where the data has a metric; 0: never")
    extractor: str | None = setting(None, "in whose features pictures are then compared; unset: by the data")
    until: str | None = setting(
        None, "stop once a measurement says so: frechet<=8, c2st<=0.6, ... (fd: the data's own Fréchet distance)"
    )
    tensorboard: bool = setting(False, "also log to RUN/tensorboard (extra: tensorboard)")

    def __post_init__(self) -> None:
        self._require_range(1, 1e12, "num_samples", "checkpoint_every", "sample_every")
        self._require_range(0, 1e12, "evaluate_every")
        self._require_range(2, 65_536, "batch_size")
        self._require_range(1, 1_000, "keep_checkpoints")
        self._require_range(0, 2**31 - 1, "seed")
        micro = self.micro_batch_size
        self._require(
            micro is None or (micro > 0 and self.batch_size % micro == 0),
            "micro_batch_size",
            f"must divide --train.batch_size {self.batch_size}",
        )
        if self.until is not None:
            self._require(UNTIL.fullmatch(self.until) is not None, "until", "is NAME<=NUMBER or NAME>=NUMBER: 'fd<=8'")
            name, sign, value = self.goal or ("", "", 0.0)
            if name == "c2st":
                self._require(sign == "<=" and 0.5 <= value < 1, "until", "of c2st is a share from 0.5: 'c2st<=0.6'")
        for name in ("until", "extractor"):
            if getattr(self, name) is not None and not self.evaluate_every:
                raise ConfigError(f"--train.{name} has no effect with --train.evaluate_every 0: drop one of the two")

    @property
    def goal(self) -> tuple[str, str, float] | None:
        """What `until` says: a metric's name, "<=" or ">=", a number."""
        match = None if self.until is None else UNTIL.fullmatch(self.until)
        return None if match is None else (match[1], match[2], float(match[3]))


@dataclass(frozen=True)
class Config(Section):
    """A whole run. `config.replace({"model.depth": 6})` changes single settings."""

    data: DataConfig = DataConfig()
    codec: CodecConfig = CodecConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()

    def __post_init__(self) -> None:
        latent = self.codec.name not in ("patch", "layers")
        if latent and self.augment.probability:
            raise ConfigError(
                f"--augment.probability changes samples, and with --codec.name {self.codec.name} the discriminator "
                "sees latents: set it to 0"
            )
        if latent and self.augment.flip:
            raise ConfigError(
                f"--augment.flip mirrors samples, and with --codec.name {self.codec.name} the GAN sees latents: set it "
                "to false"
            )
        if latent and self.model.bounded:
            raise ConfigError(f"--codec.name {self.codec.name} has unbounded latents: set --model.bounded false")
        if self.codec.name == "layers" and self.model.bounded:
            raise ConfigError("--codec.name layers has paths without bounds: set --model.bounded false")
        if self.loss.energy and (self.train.micro_batch_size or self.train.batch_size) == 1:
            raise ConfigError("--loss.energy compares samples of a batch, and there is one: set --loss.energy 0")
        if self.loss.penalty == "exact" and self.train.compile:
            raise ConfigError("--train.compile cannot differentiate twice: use --loss.penalty finite-difference")

    @property
    def codec_samples(self) -> int:
        """Samples that the codec sees before the GAN does; 0 for one that does not learn by itself."""
        return self.codec.num_samples if codec_uses(self.codec.name, "num_samples") else 0

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def flat(self) -> dict[str, Any]:
        """Every setting by its full name, e.g. {"model.depth": 4, ...}."""
        return {f"{section}.{name}": value for section, s in self.to_dict().items() for name, value in s.items()}

    def replace(self, changes: dict[str, Any]) -> "Config":
        """A copy with the settings of these full names changed; text is read as the command line reads it."""
        values = self.to_dict()
        for name, value in changes.items():
            section, _, field = name.partition(".")
            if section not in values or field not in values[section]:
                raise ConfigError(f"there is no setting --{name}{suggest(name)}")
            values[section][field] = value
        codec = values["codec"]["name"]
        if codec != self.codec.name:  # what the other codec was set to means nothing to this one
            typed = {name.partition(".")[2] for name in changes if name.startswith("codec.")}
            values["codec"] = {n: v for n, v in values["codec"].items() if n in typed or codec_uses(codec, n)}
        return Config.from_dict(values)


SECTION_NAMES: dict[type, str] = {
    hint: name for name, hint in typing.get_type_hints(Config).items() if isinstance(hint, type)
}

# On resuming, these may differ from the run's own: they change how long and where it runs, not what is learnt.
MAY_CHANGE = frozenset(
    f"train.{name}"
    for name in (
        "num_samples",
        "checkpoint_every",
        "keep_checkpoints",
        "sample_every",
        "evaluate_every",
        "until",
        "device",
        "tensorboard",
    )
)


def differences(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """The settings that differ and may not change within a run, as {name: (old, new)}."""
    before, after = old.flat(), new.flat()
    return {n: (before[n], after[n]) for n in before if before[n] != after[n] and n not in MAY_CHANGE}


def describe() -> list[tuple[str, str, Any, str]]:
    """(full name, type, default, help) of every setting."""
    rows = []
    for section_class, section in SECTION_NAMES.items():
        hints = typing.get_type_hints(section_class)
        for field in dataclasses.fields(section_class):
            kind = _spell(hints[field.name])
            rows.append((f"{section}.{field.name}", kind, field.default, field.metadata["help"]))
    return rows


def _read(hint: Any, value: Any, name: str) -> Any:
    """`value`, perhaps typed as text on a command line, as the type `hint` says."""
    if isinstance(hint, type) and issubclass(hint, Section):
        return hint.from_dict(value, f"{name}.")
    if types.NoneType in typing.get_args(hint):
        if value is None or value == "none":
            return None
        (hint,) = (option for option in typing.get_args(hint) if option is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        options = typing.get_args(hint)
        if value not in options:
            nearest = difflib.get_close_matches(str(value), options, 1)
            hint_text = f" (did you mean {nearest[0]}?)" if nearest else ""
            raise ConfigError(f"--{name} must be one of {', '.join(options)}, not {value}{hint_text}")
        return value
    if hint is str and isinstance(value, str):
        return value
    parsed = _parse(value) if isinstance(value, str) else value
    if hint is bool and isinstance(parsed, bool):
        return parsed
    if hint in (int, float) and isinstance(parsed, int | float) and not isinstance(parsed, bool):
        if hint is float:
            return float(parsed)
        if parsed == parsed // 1:
            return int(parsed)
    raise ConfigError(f"--{name} takes {_spell(hint)}, not {value!r}")


def _parse(text: str) -> Any:
    try:
        value = json.loads(text.replace("_", "").lower())
    except ValueError:
        return text
    return value if abs(value) < 1e300 else text  # rejects Infinity; NaN compares false


def _spell(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " | ".join(typing.get_args(hint))
    if types.NoneType in typing.get_args(hint):
        return " | ".join("none" if o is types.NoneType else _spell(o) for o in typing.get_args(hint))
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[hint]


def suggest(name: str, names: Sequence[str] = ()) -> str:
    """What the unknown setting or option `name` may have meant."""
    full_names = [row[0] for row in describe()]
    by_field = {full.partition(".")[2]: full for full in full_names}
    nearest = difflib.get_close_matches(name, [*names, *full_names], 1)
    if not nearest:
        nearest = [by_field[field] for field in difflib.get_close_matches(name.rpartition(".")[2], by_field, 1)]
    return f"; did you mean --{nearest[0]}?" if nearest else "; `sparring train --help-all` lists them all"
