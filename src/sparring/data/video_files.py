"""Videos, frame by frame: video files, animated pictures, strips of frames, folders of numbered pictures."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, dropwhile, islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from sparring.data.archives import ARCHIVE_ERRORS, MAX_FILE_BYTES, FolderSource, Source, TarSource, ZipSource
from sparring.data.budgets import spelled
from sparring.data.images import read_header
from sparring.data.pictures import (
    IMAGE_ERRORS,
    IN_FLIGHT,
    Picture,
    channels_to_hold,
    check_size,
    read_image,
    square,
    widen,
)
from sparring.data.streamed import Pixels

VIDEO_ENDINGS = (".mp4", ".m4v", ".webm", ".mov", ".avi", ".mkv")
ANIMATION_ENDINGS = (".gif", ".webp")
VIDEO_ERRORS = (*ARCHIVE_ERRORS, *IMAGE_ERRORS)

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Pixels of an animation's frames: always allowed, and for each byte of the file. Noise has about one, a recorded
# terminal some hundred; a blank GIF has as many as it likes.
_ALWAYS_DECODED = 2**27
_MOST_PIXELS = 256
# Fixed formats exclude FFmpeg's playlists, which may refer to any other file or address.
_DEMUXERS = {"format_whitelist": "mov,mp4,matroska,webm,avi"}


class VideoSource(Source):
    """VideoFile files and pictures of a folder or archive."""

    def _accept(self, raw_name: str, size: int) -> bool:
        if not raw_name.lower().endswith(VIDEO_ENDINGS):
            return super()._accept(raw_name, size)
        if not super()._accept(raw_name + ".png", size):  # the rules for pictures apply to videos too
            return False
        self.names[-1] = self.names[-1].removesuffix(".png")
        return True

    def open(self, index: int) -> BinaryIO:
        """One file, for random access."""
        return BytesIO(self.read(index))


class VideoFolder(VideoSource, FolderSource):
    def open(self, index: int) -> BinaryIO:
        return open(self._paths[index], "rb")

    def mark(self, index: int, *, whole: bool) -> str:
        # Videos may be larger than the largest picture.
        return super().mark(index, whole=whole and self.sizes[index] <= MAX_FILE_BYTES)


class SingleFile(VideoFolder):
    """One file that is not an archive."""

    def _walk(self, root: str) -> Iterable[tuple[str, str, int]]:
        return [(os.path.basename(root), root, os.stat(root).st_size)]


class VideoZip(VideoSource, ZipSource): ...


class VideoTar(VideoSource, TarSource): ...


class HeldSource(VideoSource):
    """All files of a source in memory, for sources where seeking back is slow."""

    def __init__(self, source: VideoSource) -> None:
        super().__init__()
        self.names, self.sizes = source.names, source.sizes
        self.unreadable, self.other_files = source.unreadable, source.other_files
        self._files = [_read_or_error(source, index) for index in range(len(source.names))]

    def read(self, index: int, limit: int = -1) -> bytes:
        file = self._files[index]
        if isinstance(file, Exception):
            raise file
        return file if limit < 0 else file[:limit]


def _read_or_error(source: Source, index: int) -> bytes | Exception:
    try:
        return source.read(index)
    except ARCHIVE_ERRORS as error:
        return error


@dataclass(kw_only=True, eq=False)
class Video(ABC):
    """A video that has been probed; its frames are decoded on demand."""

    source: VideoSource
    index: int  # in the source
    count: int  # number of frames
    shape: tuple[int, int, int]  # (C, H, W) of a frame

    @property
    def mode(self) -> str:
        return _MODES[self.shape[0]]

    def decode(self, wanted: Sequence[int], channels: int, resolution: int | None) -> Pixels:
        """The frames with the ascending numbers `wanted` as (channels, T, H, W); raises one of VIDEO_ERRORS."""
        height, width = self.shape[1:] if resolution is None else (resolution, resolution)
        pixels = np.empty((channels, len(wanted), height, width), dtype=np.uint8)
        done = 0
        for image in self._frames(wanted):
            if resolution is not None:
                image = square(image, resolution)
            elif image.size != (width, height):
                raise ValueError(f"frame {wanted[done]} is {image.width}x{image.height}, the first {width}x{height}")
            plain = image if image.mode == self.mode else image.convert(self.mode)
            pixels[:, done] = widen(np.asarray(plain).reshape(height, width, -1), channels)
            done += 1
        if done < len(wanted):
            raise ValueError(f"frame {wanted[done]} of {self.count} cannot be read")
        return pixels

    @abstractmethod
    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]: ...


@dataclass(kw_only=True, eq=False)
class VideoFile(Video):
    """A video file, read with PyAV."""

    timestamps: (
        npt.NDArray[np.int64] | None
    )  # presentation time of each frame, None where the file's times are unreliable

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        with _opened(self.source, self.index) as (container, stream):
            if self.timestamps is None:
                chosen = set(wanted)
                for number, frame in enumerate(islice(container.decode(stream), wanted[-1] + 1)):
                    if number in chosen:
                        yield _upright(frame)
                return
            timestamps = self.timestamps[list(wanted)].tolist()
            frames = _frames_from(container, stream, timestamps[0], timestamps[0])
            first = next(frames, None)
            if first is None or first.pts != timestamps[0]:
                # Some key frames need earlier frames, and some files lack an index of key frames.
                frames = _frames_from(container, stream, int(self.timestamps[0]), timestamps[0])
                first = next(frames, None)
            left = iter(timestamps)
            timestamp = next(left)
            for frame in chain([] if first is None else [first], frames):
                if frame.pts is not None and frame.pts > timestamp:
                    return
                if frame.pts == timestamp:
                    yield _upright(frame)
                    timestamp = next(left, None)
                    if timestamp is None:
                        return


def _frames_from(container: Any, stream: Any, start: int, timestamp: int) -> Iterator[Any]:
    """The frames from `timestamp` on, decoded from the last key frame up to `start`."""
    container.seek(start, stream=stream)
    return dropwhile(lambda frame: frame.pts is None or frame.pts < timestamp, container.decode(stream))


@contextmanager
def _opened(source: VideoSource, index: int) -> Iterator[tuple[Any, Any]]:
    import av

    if not source.sizes[index]:
        raise ValueError("the file is empty")
    try:
        with source.open(index) as handle, av.open(handle, options=_DEMUXERS) as container:
            if not container.streams.video:
                raise ValueError("it holds no pictures")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise ValueError("PyAV does not know its codec")
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise ValueError(f"its frames of {width}x{height} are beyond Pillow's size limit: shrink them")
            stream.codec_context.thread_count = 1  # videos are decoded in parallel
            yield container, stream
    except av.FFmpegError as error:
        raise ValueError(error.strerror) from error


def _upright(frame: Any) -> Image.Image:
    grey = frame.format.name.startswith("gray")
    image = Image.fromarray(frame.to_ndarray(format="gray")) if grey else cast(Image.Image, frame.to_image())
    return image.rotate(frame.rotation, expand=True) if frame.rotation % 360 else image


def probe_video(source: VideoSource, index: int) -> VideoFile:
    """Raises one of VIDEO_ERRORS where the file cannot be read; needs PyAV."""
    times = []
    first = None
    with _opened(source, index) as (container, stream):
        # Times in AVI files are guesses, and wrong if frames are stored out of order.
        reliable = container.format.name != "avi"
        for packet in container.demux(stream):
            if first is None:
                first = next(iter(packet.decode()), None)
            if packet.size and not packet.is_discard:
                times.append(packet.pts)
        if first is None:
            raise ValueError("it holds no frames")
        image = _upright(first)
    timestamps = None
    if reliable and None not in (first.pts, *times) and len(set(times)) == len(times):
        timestamps = np.array(sorted(time for time in times if time >= first.pts), dtype=np.int64)
        count = len(timestamps)
    else:
        with _opened(source, index) as (container, stream):
            count = sum(1 for _ in container.decode(stream))
    shape = (len(image.getbands()), image.height, image.width)
    return VideoFile(source=source, index=index, count=count, shape=shape, timestamps=timestamps)


@dataclass(kw_only=True, eq=False)
class Animation(Video):
    """A GIF or WebP file, animated or not."""

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        with self.source.open(self.index) as handle, _open_animation(handle) as image:
            for number in wanted:
                image.seek(number)
                yield image.convert(self.mode)


def _open_animation(handle: BinaryIO) -> Image.Image:
    image = Image.open(handle, formats=("GIF", "WEBP"))
    check_size(image, image.size)
    return image


def _check_length(image: Image.Image, count: int, size: int) -> None:
    """Raises ValueError if all frames have more pixels than a file of `size` bytes justifies."""
    pixels = count * image.width * image.height
    if pixels > max(_ALWAYS_DECODED, _MOST_PIXELS * size):
        raise ValueError(
            f"{count} frames of {image.width}x{image.height} are {pixels / 1e9:.1f} billion pixels, too many for "
            f"a file of {spelled(size)}: shrink it, or save it as a video file"
        )


def probe_animation(source: VideoSource, index: int) -> Animation:
    """Raises one of VIDEO_ERRORS where the file cannot be read."""
    colour = alpha = False
    with source.open(index) as handle, _open_animation(handle) as image:
        count = getattr(image, "n_frames", 1)
        _check_length(image, count, source.sizes[index])
        for number in range(count):  # Pillow's mode is no help: most opaque WebP videos are RGBA, grey GIFs are P
            with IN_FLIGHT.hold(image.width * image.height):
                image.seek(number)
                pixels = np.asarray(image.convert("RGBA"))
                colour = colour or bool((pixels[..., 1:3] != pixels[..., :1]).any())
                alpha = alpha or bool((pixels[..., 3] < 255).any())
            if colour and alpha:
                break
        shape = ((3 if colour else 1) + alpha, image.height, image.width)
    return Animation(source=source, index=index, count=count, shape=shape)


def is_animated(source: VideoSource, index: int) -> bool:
    """Whether a file is a GIF or WebP with several frames."""
    try:
        with source.open(index) as handle, _open_animation(handle) as image:
            return bool(getattr(image, "is_animated", False))
    except VIDEO_ERRORS:
        return False


@dataclass(kw_only=True, eq=False)
class Strip(Video):
    """A picture with square frames side by side."""

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        pixels = _pixels(self.source, self.index)
        side = pixels.shape[0]
        for number in wanted:
            yield _image(pixels[:, number * side : (number + 1) * side])


def frames_side_by_side(picture: Picture) -> int:
    """The number of square frames in a strip; 0 where the picture is not a strip."""
    _, height, width = picture.shape
    return width // height if width % height == 0 and width > height else 0


def probe_strip(source: VideoSource, index: int) -> Strip:
    """Raises one of VIDEO_ERRORS where the file cannot be read or is not a strip."""
    picture = _header(source, index)
    channels, height, width = picture.shape
    count = frames_side_by_side(picture)
    if not count:
        raise ValueError(f"{width}x{height} is not a strip of square frames side by side")
    return Strip(source=source, index=index, count=count, shape=(channels, height, height))


@dataclass(kw_only=True, eq=False)
class FrameFolder(Video):
    """The numbered pictures of a folder."""

    indices: Sequence[int]

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        for number in wanted:
            yield _image(_pixels(self.source, self.indices[number]))


def probe_folder(source: VideoSource, indices: Sequence[int]) -> FrameFolder:
    """Raises one of VIDEO_ERRORS where a frame cannot be read or frame sizes differ."""
    shapes = []
    for index in indices:
        try:
            shapes.append(_header(source, index).shape)
        except ValueError as error:
            raise ValueError(f"{PurePosixPath(source.names[index]).name}: {error}") from error
    sizes = dict.fromkeys(f"{width}x{height}" for _, height, width in shapes)
    if len(sizes) > 1:
        raise ValueError(f"its frames have {len(sizes)} sizes ({', '.join(islice(sizes, 4))})")
    shape = (channels_to_hold(shape[0] for shape in shapes), *shapes[0][1:])
    return FrameFolder(source=source, index=indices[0], count=len(indices), shape=shape, indices=indices)


def _header(source: VideoSource, index: int) -> Picture:
    picture = read_header(source, index, None)
    if isinstance(picture, str):
        raise ValueError(picture)
    return picture


def _pixels(source: VideoSource, index: int) -> Pixels:
    """The pixels (H, W, C) of a picture."""
    pixels = read_image(source.read(index), None).pixels
    assert pixels is not None
    return pixels


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
