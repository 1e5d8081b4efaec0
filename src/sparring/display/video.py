"""Images and clips as video files."""

import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring.config import ConfigError
from sparring.display import images
from sparring.files import write_atomic

FORMATS = (".gif", ".webp", ".mp4")
FRAMES_PER_SECOND = 30
CLIP_FRAMES_PER_SECOND = 8  # for generated clips, whose frames may be far apart in time
LOOPS = 4  # repetitions of a clip in an .mp4, a format that cannot loop


def check_format(path: Path) -> None:
    """Raises `ConfigError` if the video cannot be written, before any work is done."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {path} must end in {', '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError:
            raise ConfigError(f'--out {path} needs PyAV: pip install "sparring[video]", or name a .webp') from None


def save_clips(clips: Tensor, path: Path) -> None:
    """Saves clips (N, C, T, H, W), tiled, as one looping video."""
    frames = [images.grid(clips[:, :, step]) for step in range(clips.shape[2])]
    save(frames * LOOPS if path.suffix.lower() == ".mp4" else frames, path, CLIP_FRAMES_PER_SECOND)


def save_clip(clip: Tensor, path: Path) -> None:
    """Saves a clip (C, T, H, W) as a lossless .webp that keeps every frame."""
    frames = [images.to_image(frame) for frame in clip.transpose(0, 1)]
    write_atomic(path, lambda temporary: temporary.write_bytes(_lossless_webp(frames, CLIP_FRAMES_PER_SECOND)))


def save(frames: Sequence[Image.Image], path: Path, rate: int = FRAMES_PER_SECOND) -> None:
    """Saves a looping .gif or .webp, or an .mp4, with `rate` frames a second."""
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
        stream.width, stream.height = (side // 2 * 2 for side in frames[0].size)  # H.264 needs even sides
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            # Transparent pixels are black, as in the metrics.
            opaque = Image.alpha_composite(Image.new("RGBA", frame.size, "black"), frame.convert("RGBA"))
            image = opaque.convert("RGB").crop((0, 0, stream.width, stream.height))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())


def _lossless_webp(frames: Sequence[Image.Image], rate: int) -> bytes:
    """A looping animation (https://developers.google.com/speed/webp/docs/riff_container) of frames that Pillow writes
    one by one. Pillow's own animations merge equal frames, and a clip without motion becomes a still image."""
    size = b"".join(_three_bytes(side - 1) for side in frames[0].size)
    flags = 0x02 | 0x10 * frames[0].mode.endswith("A")  # an animation; with alpha
    chunks = [_chunk(b"VP8X", struct.pack("<I", flags) + size), _chunk(b"ANIM", bytes(6))]
    for frame in frames:
        buffer = BytesIO()
        frame.save(buffer, "WEBP", lossless=True, exact=True)  # exact: also the colours of transparent pixels
        image = buffer.getvalue()[12:]  # without the file header
        placed = bytes(6) + size + _three_bytes(1000 // rate) + b"\x02"  # at the corner, replacing the last frame
        chunks.append(_chunk(b"ANMF", placed + image))
    return _chunk(b"RIFF", b"WEBP" + b"".join(chunks))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _three_bytes(number: int) -> bytes:
    return number.to_bytes(3, "little")
