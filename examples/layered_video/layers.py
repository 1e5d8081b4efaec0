"""A codec of layered video: the generator makes pictures and the paths along which they move.

Shapes: B batch, S slots (a layer each), N tokens of a layer's picture, C channels, T frames of H×W.
"""

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from sparring.codecs.codec import Codec
from sparring.codecs.patch import Patches
from sparring.codecs.settings import CodecSettings, register_codec
from sparring.critics.frames import take_frames
from sparring.data.spec import DataSpec
from sparring.models.generator import Generator
from sparring.models.initialization import initialize
from sparring.settings import ConfigError, setting

SIDE = 0.5  # of a layer's picture, as a share of the frame's side
RIM = 0.3  # of half a picture, within which it fades out: a cut would be the sharpest edge of all
REACH = 3.0  # initial scale of paths: positions a third of the frame apart, and velocities to match
FRAMES_A_BEND = 4
FAINT = 1.0  # sigmoid(-1): layers start a quarter opaque, so that none hides the others
PATH_WIDTH = 256  # of the network from w to a path: bounces are thresholds, however narrow w is


@register_codec
class LayerSettings(CodecSettings):
    """Video composed of layers that move in front of one fixed background."""

    latent: ClassVar[bool] = False

    name: Literal["layers"] = "layers"
    patch_size: int = setting(4, "side of the patches that the discriminator sees", ge=1, le=256)
    layers: int = setting(2, "pictures that move, each along a path of its own", ge=1, le=64)

    def build(self, spec: DataSpec, multiple: int) -> "LayerCodec":
        if spec.modality != "video":
            raise ConfigError("--codec.name layers is for clips: set patch or autoencoder")
        return LayerCodec(spec.sample_shape, self.patch_size, self.layers, multiple)


# Wang & Adelson 1994, "Representing moving images with layers"; as a generator: Nguyen-Phuoc et al. 2020 (BlockGAN)
class LayerCodec(Codec):
    """Critics see clips (B, C, T, H, W) in patches; the generator makes S pictures and paths, which `render` composes.

    A picture, half as wide as the frame, has C channels and an opacity. Its path is a broken line: the position and
    velocity in the middle of the clip, then for every four frames a bend, when it happens and how the velocity changes.
    Undisturbed things move straight on, so the generator has to learn only the disturbances.

    Pictures move by whole pixels, as bilinear shifts blur every other frame and give fakes away; rounding uses a
    straight-through gradient. Truncation moves all paths toward one mean.
    """

    identity = True
    fit_samples = 256

    def __init__(self, sample_shape: tuple[int, ...], patch_size: int, layers: int, multiple: int = 1) -> None:
        super().__init__()
        channels, frames, height, width = self.sample_shape = self.latent_shape = sample_shape
        self.tokenizer: Patches = Patches(sample_shape, patch_size, 1, multiple)
        sides = [max(1, round(SIDE * side)) for side in (height, width)]
        # One token a pixel: patches would leave their grid in the pictures.
        self.picture = Patches((channels + 1, *sides), 1, multiple=multiple)
        self.layers, self.bends = layers, max(1, frames // FRAMES_A_BEND)
        self.path_tokens = math.ceil((4 + 3 * self.bends) / self.picture.token_dim)
        self.register_buffer("times", torch.linspace(-0.5, 0.5, frames), persistent=False)
        rims = [_rim(side) for side in sides]
        self.register_buffer("fading", rims[0][:, None] * rims[1], persistent=False)
        self.register_buffer("background", torch.full((channels, 1, height, width), -1.0))

    times: Tensor
    fading: Tensor
    background: Tensor

    def fit(self, samples: Tensor) -> None:
        """The background, the same in all clips: each pixel's median."""
        self.background.copy_(samples.transpose(1, 2).flatten(0, 1).median(0).values[:, None])

    def encode(self, samples: Tensor) -> Tensor:
        return samples

    def decode(self, latents: Tensor) -> Tensor:
        return latents

    def make_generator(self, **settings: Any) -> "LayeredGenerator":
        return LayeredGenerator(
            self.picture.grid, self.picture.token_dim, slots=self.layers, path_tokens=self.path_tokens, **settings
        )

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """(B, S·(N + path tokens), D) -> (B, C, T, H, W)."""
        return self.render(*self.pictures_and_paths(tokens))

    def render(self, pictures: Tensor, paths: Tensor, frames: Tensor | None = None) -> Tensor:
        """The layers over the background (B, C, T, H, W), or only at the `frames` (B, F)."""
        if frames is not None:
            paths = take_frames(paths, frames)
        clip: Tensor = self.background
        for layer in _moved(pictures, paths, self.sample_shape[2:]).unbind(1):
            clip = layer[:, :-1] + (1 - layer[:, -1:]) * clip
        return clip

    def pictures_and_paths(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, S, C + 1, h, w), colours times opacity and then the opacity 0..1, and paths (B, S, T, 2)."""
        tokens = tokens.unflatten(1, (self.layers, -1)).flatten(0, 1)
        drawn, path = tokens[:, : -self.path_tokens], tokens[:, -self.path_tokens :].flatten(1)
        pictures = self.picture.unpatchify(drawn)
        opacity = (pictures[:, -1:] - FAINT).sigmoid() * self.fading
        # Bounded colours: else they would compensate the fading, and things be cut off at its edge after all.
        pictures = torch.cat([pictures[:, :-1].tanh() * opacity, opacity], 1)
        return pictures.unflatten(0, (-1, self.layers)), self._path(path).unflatten(0, (-1, self.layers))

    def _path(self, numbers: Tensor) -> Tensor:
        """(B, at least 4 + 3·bends) -> (B, T, 2), in halves of the frame's sides."""
        place, velocity, bends, _ = numbers.tensor_split((2, 4, 4 + 3 * self.bends), 1)
        when, change = bends.unflatten(1, (self.bends, 3)).tensor_split((1,), -1)  # (B, bends, 1), (B, bends, 2)
        evenly = (torch.arange(self.bends, device=numbers.device) + 0.5) / self.bends - 0.5
        since = (self.times - evenly[:, None] - REACH * when).clamp_min(0)  # (B, bends, T)
        moved = self.times[:, None] * velocity[:, None] + since.transpose(1, 2) @ change
        path: Tensor = REACH * (place[:, None] + 2 * moved)
        return path


class LayeredGenerator(Generator):
    """Each slot is made by itself, from its own z, and has path tokens behind those of its picture, made of w alone."""

    def __init__(self, grid: Any, token_dim: int, *, slots: int, path_tokens: int, width: int, **settings: Any) -> None:
        super().__init__(grid, token_dim, width=width, **settings)
        self.slots = slots
        self.mapping = _SlotMapping(self.mapping, slots)
        self.to_path = nn.Sequential(
            nn.Linear(width, PATH_WIDTH), nn.SiLU(), nn.Linear(PATH_WIDTH, PATH_WIDTH), nn.SiLU(),
            nn.Linear(PATH_WIDTH, path_tokens * token_dim),
        )  # fmt: skip
        initialize(self.to_path)
        self.z_dim, self.num_tokens = slots * self.z_dim, slots * self.num_tokens

    def synthesize(self, w: Tensor, noise: Tensor) -> Tensor:
        """w (B, S·D), noise (B, S·N, noise_dim) -> tokens (B, S·(N + path tokens), token_dim)."""
        batch = w.shape[0]
        w, noise = (x.unflatten(1, (self.slots, -1)).flatten(0, 1) for x in (w, noise))
        tokens = super().synthesize(w, noise)
        paths = self.to_path(w).unflatten(1, (-1, tokens.shape[-1]))
        return torch.cat([tokens, paths], 1).reshape(batch, -1, tokens.shape[-1])


class _SlotMapping(nn.Module):
    """z (B, S·z_dim) to w (B, S·D), slot by slot through one network."""

    def __init__(self, mapping: nn.Module, slots: int) -> None:
        super().__init__()
        self.mapping, self.slots = mapping, slots

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        z = z.unflatten(1, (self.slots, -1)).flatten(0, 1)
        condition = None if condition is None else condition.repeat_interleave(self.slots, 0)
        w: Tensor = self.mapping(z, condition)
        return w.unflatten(0, (-1, self.slots)).flatten(1)


def _rim(side: int) -> Tensor:
    """Weights (side,) of 1 that fall to 0 at both ends."""
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    return ((1 - place.abs()) / RIM).clamp(max=1)


def _moved(pictures: Tensor, paths: Tensor, frame: tuple[int, ...]) -> Tensor:
    """Pictures (B, S, C, h, w) in the middle of frames (H, W), moved by paths (B, S, T, 2): (B, S, C, T, H, W)."""
    across, down = (
        _hats(paths[..., axis], pictures.shape[-1 - axis], frame[1 - axis]) for axis in (0, 1)
    )  # (B, S, T, W, w), (B, S, T, H, h)
    return down[:, :, None] @ pictures[:, :, :, None] @ across[:, :, None].transpose(-1, -2)


def _hats(shifts: Tensor, small: int, large: int) -> Tensor:
    """The share of each of `small` pixels in each of `large` ones: shifts (...,) in halves of the large side ->
    (..., large, small)."""
    first = shifts * (large / 2) + (large - small) / 2
    first = first + (first.round() - first).detach()
    places = first[..., None] + torch.arange(small, device=shifts.device)
    return (1 - (torch.arange(large, device=shifts.device)[:, None] - places[..., None, :]).abs()).clamp_min(0)
