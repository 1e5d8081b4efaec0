"""Clips as films, and a clip a row with its frames side by side."""

import tempfile
from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring.config import ConfigError
from sparring.data.spec import DataSpec
from sparring.display import pictures, video
from sparring.modalities.display import Drawing, embedded


class VideoDisplay(Drawing):
    single = ".webp"
    together = (".webp", ".gif", ".mp4")

    def picture(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        """A clip a row, its frames side by side; of a hundred clips the first ten."""
        frames = samples[: 2 * video.ROWS].transpose(1, 2)  # (N, T, C, H, W)
        return pictures.grid(frames.flatten(0, 1), samples.shape[2])

    def save_one(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        video.save_clip(samples[0], path)

    def save_all(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        video.save_clips(samples, path)

    def check_out(self, path: Path) -> None:
        super().check_out(path)
        if path.suffix.lower() in video.FORMATS:
            video.check_format(path)

    def download_suffix(self) -> str:
        """.mp4 where PyAV is."""
        try:
            video.check_format(Path("clip.mp4"))
        except ConfigError:
            return self.single
        return ".mp4"

    def html(self, samples: Tensor, alt: str, columns: int | None = None) -> str:
        frames = [pictures.grid(samples[:, :, step], columns) for step in range(samples.shape[2])]
        with tempfile.TemporaryDirectory() as folder:
            video.save(frames, Path(folder) / "film.webp", video.CLIP_FRAMES_PER_SECOND)
            return embedded((Path(folder) / "film.webp").read_bytes(), "webp", alt)
