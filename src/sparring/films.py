"""Pictures in a row as a film."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sparring.config import ConfigError
from sparring.training.checkpoint import write_atomic

FORMATS = (".gif", ".webp", ".mp4")
FRAMES_PER_SECOND = 30


def check_format(path: Path) -> None:
    """Raises `ConfigError` for a film that cannot be written, before any work is done."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {path} must end in {', '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError:
            raise ConfigError(f'--out {path} needs PyAV: pip install "sparring[video]", or name a .webp') from None


def save(frames: Sequence[Image.Image], path: Path) -> None:
    """A looping .gif or .webp, or an .mp4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".mp4":
        write_atomic(path, lambda temporary: _write_mp4(frames, temporary))
        return
    options = {"save_all": True, "append_images": frames[1:], "duration": 1000 // FRAMES_PER_SECOND, "loop": 0}
    kind = path.suffix[1:].upper()
    write_atomic(path, lambda temporary: frames[0].save(temporary, format=kind, **options))


def _write_mp4(frames: Sequence[Image.Image], path: Path) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height = (side // 2 * 2 for side in frames[0].size)  # H.264 takes even sides
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = frame.convert("RGB").crop((0, 0, stream.width, stream.height))
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
