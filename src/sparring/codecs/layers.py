"""Films put together from layers: pictures that do not change and paths along which they move.

Shapes: B batch, P layers, N tokens of a layer's picture of D numbers, C channels, T frames of H×W.
"""

import torch
from torch import Tensor

from sparring.codecs.glimpses import CloseLook, Glimpses
from sparring.codecs.patch import PatchCodec
from sparring.codecs.stretches import take_frames
from sparring.codecs.trained import LatentCodec

_SIDE = 0.5  # of a layer's picture, as a share of the frame's
_RIM = 0.3  # of half a picture, within which it fades out: what is cut off would have the sharpest edge of all
_REACH = 3.0  # of paths at first: places a third of the frame apart, and velocities to match
_FRAMES_A_BEND = 4
_FAINT = 1.0  # sigmoid(-1): layers are a quarter opaque at first, so that none hides the others


class LayerCodec(LatentCodec):
    """The discriminator sees films in patches; the generator makes pictures and paths, which `Layers` puts together."""

    def __init__(self, layers: "Layers") -> None:
        super().__init__()
        self.sample_shape = self.latent_shape = layers.sample_shape
        self.patches: Layers = layers

    def measure(self, samples: Tensor) -> None:
        """Learns the background, the same in all films: each pixel's median."""
        frames = samples.transpose(1, 2).flatten(0, 1)  # (B·T, C, H, W)
        self.patches.background.copy_(frames.median(0).values[:, None])

    def compress(self, samples: Tensor) -> Tensor:
        return samples

    def expand(self, latents: Tensor) -> Tensor:
        return latents


# Wang & Adelson 1994, "Representing moving images with layers"; of generators: Nguyen-Phuoc et al. 2020 (BlockGAN)
class Layers(PatchCodec):
    """Encodes films (B, C, T, H, W) to patches, as the discriminator sees them; decodes what is not patches but P
    pictures and paths, as the generator makes them.

    Pictures, half the frame wide, are moved by whole pixels: between pixels they would be blurred, in every other
    frame, which tells them from real ones at once. Of a path's number the slope is that on both sides of a whole pixel.
    Truncation, which takes all layers to one mean, brings their paths together.

    A layer's picture has C channels and an opacity, and is drawn on `canvas`: N tokens. Its colours end at -1 and 1, or
    they would make up for its fading, and things be cut off at its edge after all. Behind them come `path_tokens` whose
    numbers are its path, a broken line, in halves of the frame's sides: where it is in the middle of the film and how
    fast it moves, then when it turns, a bend for every four frames, and how its velocity changes there. What nothing
    acts upon moves straight on, so a generator has to learn only what acts.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        patch_size: int,
        patch_frames: int,
        layers: int,
        multiple: int = 1,
        seen_frames: int | None = None,
        glimpses: int = 0,
        glimpse_multiple: int = 1,
    ) -> None:
        super().__init__(sample_shape, patch_size, 0, patch_frames, multiple, seen_frames)
        channels, frames, height, width = sample_shape
        sides = [max(1, round(_SIDE * side)) for side in (height, width)]
        # A token a pixel, however coarse: patches would leave a grid in the pictures, which nothing smoothes.
        self._canvas = PatchCodec((channels + 1, *sides), 1, multiple=multiple)
        self._glimpses = None
        if glimpses:
            self._glimpses = Glimpses((channels, height, width), glimpses, patch_size, glimpse_multiple)
        self.bends = max(1, frames // _FRAMES_A_BEND)
        self.num_layers, self.path_tokens = layers, -(-(4 + 3 * self.bends) // self._canvas.token_dim)
        self.register_buffer("times", torch.linspace(-0.5, 0.5, frames), persistent=False)
        rims = [_rim(side) for side in sides]
        self.register_buffer("fading", rims[0][:, None] * rims[1], persistent=False)
        self.register_buffer("background", torch.full((channels, 1, height, width), -1.0))

    times: Tensor
    fading: Tensor
    background: Tensor

    @property
    def canvas(self) -> PatchCodec:
        return self._canvas

    @property
    def close(self) -> CloseLook | None:
        """What is seen close up is followed, and says nothing of where it is: its slope goes to the pictures alone."""
        glimpses = self._glimpses
        if glimpses is None:
            return None

        def at_samples(samples: Tensor) -> Tensor:
            return glimpses.look(samples[:, :, 0], self.background[:, 0])

        def at_made(tokens: Tensor, frames: Tensor | None, noise: Tensor | None) -> Tensor:
            pictures, paths = self.pictures_and_paths(tokens)
            film = self._put_together(pictures, paths.detach(), None if frames is None else frames[:, :1])
            return at_samples(film if noise is None else film + noise)

        return CloseLook(glimpses.patches, at_samples, at_made)

    def decode(self, tokens: Tensor, frames: Tensor | None = None) -> Tensor:
        """(B, P·(N + path_tokens), D) -> (B, C, T, H, W), or only the `frames` (B, F)."""
        return self._put_together(*self.pictures_and_paths(tokens), frames)

    def _put_together(self, pictures: Tensor, paths: Tensor, frames: Tensor | None) -> Tensor:
        if frames is not None:
            paths = take_frames(paths, frames)
        film: Tensor = self.background
        for layer in _moved(pictures, paths, self.axes[1:]).unbind(1):
            film = layer[:, :-1] + (1 - layer[:, -1:]) * film
        return film

    def pictures_and_paths(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The layers' pictures (B, P, C + 1, h, w), colours times opacity and then the opacity 0..1, and paths
        (B, P, T, 2)."""
        tokens = tokens.unflatten(1, (self.num_layers, -1)).flatten(0, 1)
        drawn, loose = tokens[:, : -self.path_tokens], tokens[:, -self.path_tokens :].flatten(1)
        pictures = self._canvas.decode(drawn)
        opacity = (pictures[:, -1:] - _FAINT).sigmoid() * self.fading
        paths = self._paths(loose)
        pictures = torch.cat([pictures[:, :-1].tanh() * opacity, opacity], 1)
        return pictures.unflatten(0, (-1, self.num_layers)), paths.unflatten(0, (-1, self.num_layers))

    def _paths(self, numbers: Tensor) -> Tensor:
        """(B, at least 4 + 3·bends) -> (B, T, 2)."""
        place, velocity, bends, _ = numbers.tensor_split((2, 4, 4 + 3 * self.bends), 1)
        when, change = bends.unflatten(1, (self.bends, 3)).tensor_split((1,), -1)  # (B, bends, 1), (B, bends, 2)
        evenly = (torch.arange(self.bends, device=numbers.device) + 0.5) / self.bends - 0.5
        since = (self.times - evenly[:, None] - _REACH * when).clamp_min(0)  # (B, bends, T)
        moved = self.times[:, None] * velocity[:, None] + since.transpose(1, 2) @ change
        paths: Tensor = _REACH * (place[:, None] + 2 * moved)
        return paths


def _rim(side: int) -> Tensor:
    """Weights (side,) of 1 that fall to 0 at both ends."""
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    return ((1 - place.abs()) / _RIM).clamp(max=1)


def _moved(pictures: Tensor, paths: Tensor, frame: tuple[int, ...]) -> Tensor:
    """Pictures (B, P, C, h, w) in the middle of frames (H, W), moved by paths (B, P, T, 2), nothing around them:
    (B, P, C, T, H, W)."""
    across, down = (
        _hats(paths[..., axis], pictures.shape[-1 - axis], frame[1 - axis]) for axis in (0, 1)
    )  # (B, P, T, W, w), (B, P, T, H, h)
    return down[:, :, None] @ pictures[:, :, :, None] @ across[:, :, None].transpose(-1, -2)


def _hats(shifts: Tensor, small: int, large: int) -> Tensor:
    """How much of each of `small` pixels is in each of `large` ones: shifts (...,) in halves of the large side ->
    (..., large, small)."""
    first = shifts * (large / 2) + (large - small) / 2
    first = first + (first.round() - first).detach()
    places = first[..., None] + torch.arange(small, device=shifts.device)
    return (1 - (torch.arange(large, device=shifts.device)[:, None] - places[..., None, :]).abs()).clamp_min(0)
