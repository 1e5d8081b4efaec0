"""The settings of each codec. Nothing here imports torch: a codec is imported when it is built.

Your own codec registers its settings, and the command line then takes its name like any other:

    @register_codec
    class TinySettings(CodecSettings):
        name: Literal["tiny"] = "tiny"

        def build(self, spec: DataSpec, multiple: int) -> Codec: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from sparring.settings import Choice, ConfigError, setting

if TYPE_CHECKING:
    from sparring.codecs.codec import Codec
    from sparring.data.spec import DataSpec

LONGEST_WHITENED = 4096
"""Longest series that can be whitened or projected on components: both need matrices of (steps, steps)."""

PATCH_SIZE = "side of a patch in pixels (steps of a series); samples are padded to whole patches"
PATCH_FRAMES = "frames in a patch of a clip; unset: 1"
LATENTS = "latents of the whole sample; unset: one for each position of the token grid (components: for each channel)"


CODECS: dict[str, type[CodecSettings]] = {}


class CodecSettings(Choice, ABC):
    """The settings of a codec, which `build` makes."""

    section: ClassVar[str] = "codec"
    tag: ClassVar[str] = "name"
    kinds: ClassVar[dict[str, type[Any]]] = CODECS
    latent: ClassVar[bool] = True
    """Whether the GAN is trained on latents; if not, it is trained on the samples, which can then be augmented."""

    modalities: ClassVar[tuple[str, ...] | None] = None
    """The modalities that it can encode; None: all but those of symbols."""

    name: str

    @abstractmethod
    def build(self, spec: DataSpec, multiple: int) -> Codec:
        """The codec of samples described by `spec`, with a token grid divisible by `multiple`."""

    @property
    def learnt(self) -> LearntSettings | None:
        """The settings of the codec's training; None for a codec that does not learn."""
        return None


class LearntSettings(CodecSettings):
    """Settings of a codec that is trained before the GAN."""

    latent_dim: int = setting(16, "numbers in each latent", ge=4, le=4096)
    width: int = setting(96, "width of the codec's transformers", ge=8, le=16_384, multiple_of=8)
    depth: int = setting(2, "blocks of the encoder and of the decoder", ge=1, le=512)
    noise: float = setting(0.3, "noise on the latents during training; it makes the latent space smooth", ge=0, le=10)
    lr: float = setting(2e-3, "the codec's learning rate (Adam, cosine decay)", ge=1e-9, le=1)
    batch_size: int = setting(32, "samples in each step of the codec's training", ge=1, le=4096)
    num_samples: int = setting(50_000, "length of the codec's training, in samples", ge=1, le=10**12)

    @property
    def learnt(self) -> LearntSettings:
        return self

    @property
    def networks(self) -> dict[str, Any]:
        """The arguments that all learnt codecs share."""
        return {"latent_dim": self.latent_dim, "width": self.width, "depth": self.depth, "noise": self.noise}


Kind = TypeVar("Kind", bound=CodecSettings)


def register_codec(cls: type[Kind]) -> type[Kind]:
    """Registers a codec under the default of its `name`."""
    cls.add_kind()
    return cls


@register_codec
class PatchSettings(CodecSettings):
    """Patches of the samples."""

    latent: ClassVar[bool] = False

    name: Literal["patch"] = "patch"
    patch_size: int = setting(4, PATCH_SIZE, ge=1, le=256)
    patch_frames: int | None = setting(None, PATCH_FRAMES, ge=1, le=256)

    def build(self, spec: DataSpec, multiple: int) -> Codec:
        from sparring.codecs.patch import PatchCodec

        return PatchCodec(
            spec.sample_shape,
            self.patch_size,
            patch_frames=_patch_frames(self.patch_frames, spec),
            multiple=multiple,
        )


@register_codec
class WhitenedSettings(CodecSettings):
    """Patches of whitened series."""

    modalities = ("series",)

    name: Literal["whitened"] = "whitened"
    patch_size: int = setting(4, PATCH_SIZE, ge=1, le=256)
    whiten: float = setting(
        0.3, "exponent of whitening: 0 leaves the frequencies as they are, 1 makes all equally strong", ge=0, le=1
    )

    def build(self, spec: DataSpec, multiple: int) -> Codec:
        from sparring.codecs.whitened import WhitenedCodec

        _not_too_long(spec)
        return WhitenedCodec(spec.sample_shape, self.patch_size, self.whiten, multiple=multiple)


@register_codec
class AutoencoderSettings(LearntSettings):
    """Latents of an autoencoder of patches."""

    name: Literal["autoencoder"] = "autoencoder"
    patch_size: int = setting(4, PATCH_SIZE, ge=1, le=256)
    patch_frames: int | None = setting(None, PATCH_FRAMES, ge=1, le=256)
    stem: int = setting(0, "the codec's stride-2 convolutions between patches and tokens", ge=0, le=5)
    latents: int | None = setting(None, LATENTS, ge=1, le=4096)

    def build(self, spec: DataSpec, multiple: int) -> Codec:
        from sparring.codecs.autoencoder import AutoencoderCodec
        from sparring.codecs.patch import Patches

        frames = _patch_frames(self.patch_frames, spec)
        return AutoencoderCodec(
            spec.sample_shape,
            Patches(spec.sample_shape, self.patch_size, frames, 2**self.stem),
            latents=self.latents,
            stem=self.stem,
            **self.networks,
        )


@register_codec
class ComponentsSettings(LearntSettings):
    """Latents of an autoencoder of smooth series, whose tokens are principal components along time."""

    modalities = ("series",)

    name: Literal["components"] = "components"
    components: int = setting(12, "principal components along time of each channel", ge=1, le=4096)
    latents: int | None = setting(None, LATENTS, ge=1, le=4096)

    def build(self, spec: DataSpec, multiple: int) -> Codec:
        from sparring.codecs.autoencoder import AutoencoderCodec
        from sparring.codecs.components import Components

        _not_too_long(spec)
        return AutoencoderCodec(
            spec.sample_shape,
            Components(spec.sample_shape, self.components),
            latents=self.latents,
            **self.networks,
        )


@register_codec
class TextSettings(LearntSettings):
    """Latents of an autoencoder of texts."""

    modalities = ("text",)

    name: Literal["text"] = "text"
    latents: int = setting(4, "latents of a text", ge=1, le=4096)

    def build(self, spec: DataSpec, multiple: int) -> Codec:
        from sparring.codecs.text import TextCodec

        assert spec.vocabulary is not None, "texts have a vocabulary"
        return TextCodec(
            spec.sample_shape,
            len(spec.vocabulary),
            latents=self.latents,
            **self.networks,
        )


def _not_too_long(spec: DataSpec) -> None:
    if spec.sample_shape[1] > LONGEST_WHITENED:
        raise ConfigError(f"this codec is for series of up to {LONGEST_WHITENED} steps: set --codec.name patch")


def _patch_frames(patch_frames: int | None, spec: DataSpec) -> int | None:
    return patch_frames or (1 if len(spec.sample_shape) == 4 else None)
