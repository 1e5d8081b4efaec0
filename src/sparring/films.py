"""Pictures in a row as a film, and clips as one."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring import pictures
from sparring.config import ConfigError
from sparring.models.networks import DataSpec
from sparring.training.checkpoint import write_atomic

FORMATS = (".gif", ".webp", ".mp4")
FRAMES_PER_SECOND = 30
CLIP_FRAMES_PER_SECOND = 8  # of generated clips, whose frames may lie far apart
LOOPS = 4  # times a clip is repeated in an .mp4, which cannot say that it loops
ROWS = 10


def check_format(path: Path) -> None:
    """Raises `ConfigError` for a film that cannot be written, before any work is done."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {path} must end in {', '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError:
            raise ConfigError(f'--out {path} needs PyAV: pip install "sparring[video]", or name a .webp') from None


def save_clips(clips: Tensor, path: Path, spec: DataSpec) -> None:
    """Clips (N, C, T, H, W), tiled, as one looping film."""
    frames = [pictures.grid(clips[:, :, step]) for step in range(clips.shape[2])]
    save(frames * LOOPS if path.suffix.lower() == ".mp4" else frames, path, CLIP_FRAMES_PER_SECOND)


def save(frames: Sequence[Image.Image], path: Path, rate: int = FRAMES_PER_SECOND) -> None:
    """A looping .gif or .webp, or an .mp4, of so many frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".mp4":
        write_atomic(path, lambda temporary: _write_mp4(frames, temporary, rate))
        return
    options = {"save_all": True, "append_images": frames[1:], "duration": 1000 // rate, "loop": 0}
    kind = path.suffix[1:].upper()
    write_atomic(path, lambda temporary: frames[0].save(temporary, format=kind, **options))


def _write_mp4(frames: Sequence[Image.Image], path: Path, rate: int) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = (side // 2 * 2 for side in frames[0].size)  # H.264 takes even sides
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = frame.convert("RGB").crop((0, 0, stream.width, stream.height))
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
