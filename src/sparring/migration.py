"""Migration of `config.json` from older formats to the present one.

Formats 1 to 5 had settings that are constants now. A run with the values of these constants is read; other runs are
refused, because their networks or training were different.
"""

from typing import Any

from sparring.codecs.settings import CODECS
from sparring.files import CheckpointError

FORMAT = 6
"""2: series of unequal length have a channel of remaining steps (`data/channels.py`). 3: the stem's head doubles level
by level (`models/stem.py`). 4: the stem convolves sampled frames separately. 5: layers are half the frame wide. 6:
codecs and critics have their own settings, and the data a modality and a
condition."""

CONSTANTS: dict[str, Any] = {
    "codec.overlap": 0,
    "codec.seen_frames": None,
    "codec.soft": False,
    "codec.num_heads": 4,
    "model.mlp_ratio": 8 / 3,
    "model.qk_norm": True,
    "model.gate_bias": 0.1,
    "model.layer_scale": 1.0,
    "loss.gamma_size": None,
    "loss.transport": 0.0,
    "optim.clip": None,
    "optim.ema_rampup": 0.1,
    "optim.final_lr": 0.02,
}
"""Removed settings of formats 1 to 5, and the constants that replace them."""
WITHOUT_EFFECT = ("codec.layers", "codec.glimpses", "train.keep_checkpoints")
"""Removed settings of formats 1 to 5 without effect on the runs that can still be read."""
CODEC_FIELDS = (
    "patch_size", "patch_frames", "components", "whiten", "latents", "latent_dim", "width", "depth", "stem", "noise",
    "lr", "batch_size", "num_samples",
)  # fmt: skip
"""Settings that all codecs shared in formats 1 to 5; now each codec has some of them."""
ANEW = "train it anew, into another folder"


def migrated(values: dict[str, Any], where: str = "config.json") -> dict[str, Any]:
    """Converts the contents of a `config.json` of any format to the present format.

    Raises `CheckpointError` for a run that this version cannot sample from; `LookupError`, `TypeError` or similar for a
    damaged file.
    """
    version = values["format"]
    if version not in range(1, FORMAT + 1):
        raise CheckpointError(f"{where} has format {version}; this version reads {FORMAT}: update sparring")
    if version == FORMAT:
        return values
    config = {section: dict(fields) for section, fields in values["config"].items()}
    data = dict(values["data"])
    data["modality"] = modality = _modality(data)
    names = [str(name) for name in data.pop("class_names")]
    data["condition"] = {"kind": "classes", "names": names} if names else {"kind": "none"}
    codec, model = config["codec"], config["model"]
    name = _codec_name(codec, modality)
    if name is None:
        raise CheckpointError(f"{where} has the codec {codec['name']}, which sparring no longer has: {ANEW}")
    stems = [model["stem"], codec["stem"]]
    unequal = data.get("channels") is not None and data["channels"]["masked"]
    if (version < 3 and any(stems)) or (version < 2 and unequal):
        raise CheckpointError(
            f"{where} is from an older sparring; this one would make other samples from its weights: {ANEW}"
        )
    constants = CONSTANTS | {"model.bounded": name == "patch" and modality in ("image", "video")}
    if codec["stem"]:
        constants["codec.stem_channels"] = codec["width"] // 3
    if model.get("stem_channels") is not None:
        constants["model.stem_channels"] = max(1, model["width"] // 4)
    for full, constant in constants.items():
        section, _, field = full.partition(".")
        value = config[section].pop(field, constant)
        if value != constant:
            raise CheckpointError(
                f"{where} has --{full} {value}, which is {str(constant).lower()} in every run of this sparring: {ANEW}"
            )
    for full in (*WITHOUT_EFFECT, "codec.stem_channels", "model.stem_channels"):
        section, _, field = full.partition(".")
        config[section].pop(field, None)
    depth, stem = model.pop("discriminator_depth", None), model.pop("discriminator_stem", None)
    config["critics"] = [{"view": "whole", "depth": depth, "stem": stem}]  # type: ignore[assignment]
    if name == "text" and codec.get("latents") is None:
        codec["latents"] = 4
    own = CODECS[name].model_fields
    config["codec"] = {n: v for n, v in codec.items() if n in own or n not in CODEC_FIELDS} | {"name": name}
    return {"format": FORMAT, "config": config, "data": data}


WEIGHTS = {
    "generator.mapping.class_embedding.": "generator.mapping.embedding.",
    "ema.mapping.class_embedding.": "ema.mapping.embedding.",
    "discriminator.class_tokens.": "critics.0.discriminator.class_token.",
    "discriminator.judge_tokens.": "critics.0.discriminator.token_head.",
    "discriminator.class_embedding.": "critics.0.discriminator.projection.",
    "discriminator.": "critics.0.discriminator.",
    "optimizer.discriminator.": "optimizer.critics.",
}
"""Prefixes of tensor names in formats 1 to 5, and their present prefixes."""


def present_name(name: str) -> str:
    """The present name of a tensor of any format."""
    old = next((old for old in WEIGHTS if name.startswith(old)), "")
    return WEIGHTS[old] + name.removeprefix(old) if old else name


def _codec_name(codec: dict[str, Any], modality: str) -> str | None:
    """The codec's present name; None if it was removed."""
    name = codec["name"]
    if name == "autoencoder" and modality == "text":
        return "text"
    if name == "autoencoder" and codec.get("components") is not None:
        return "components"
    return name if name in ("patch", "whitened", "autoencoder") else None


def _modality(data: dict[str, Any]) -> str:
    """The modality of a run of format 1 to 5, from its data section."""
    shape = list(data["sample_shape"])
    if data.get("vocabulary") is not None:
        return "text"
    if data.get("channels") is not None:
        return "series"
    return "points" if shape == [2, 1, 1] else {1: "text", 2: "series", 3: "image", 4: "video"}[len(shape)]
