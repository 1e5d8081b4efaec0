"""Clips as looping videos, and as images with one row of frames per clip."""

import tempfile
from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring.config import ConfigError
from sparring.data.spec import DataSpec
from sparring.display import images, video
from sparring.modalities.display import Drawing, embedded

ROWS = 20
"""The most clips that one image shows."""


class VideoDisplay(Drawing):
    single_suffix = ".webp"
    suffixes = (".webp", ".gif", ".mp4")

    def draw(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        """One row of frames for each of the first `ROWS` clips."""
        frames = samples[:ROWS].transpose(1, 2)  # (N, T, C, H, W)
        return images.grid(frames.flatten(0, 1), samples.shape[2])

    def save_one(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        video.save_clip(samples[0], path)

    def save_all(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        video.save_clips(samples, path)

    def check_path(self, path: Path) -> None:
        super().check_path(path)
        if path.suffix.lower() in video.FORMATS:
            video.check_format(path)

    def download_suffix(self) -> str:
        """.mp4 if PyAV is installed."""
        try:
            video.check_format(Path("clip.mp4"))
        except ConfigError:
            return self.single_suffix
        return ".mp4"

    def html(self, samples: Tensor, alt: str, columns: int | None = None) -> str:
        frames = [images.grid(samples[:, :, step], columns) for step in range(samples.shape[2])]
        with tempfile.TemporaryDirectory() as folder:
            video.save(frames, Path(folder) / "clips.webp", video.CLIP_FRAMES_PER_SECOND)
            return embedded((Path(folder) / "clips.webp").read_bytes(), "webp", alt)
