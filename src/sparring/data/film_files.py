"""Films of every kind, frame by frame: video files, animated pictures, strips, folders of numbered pictures."""

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

from sparring.data.archives import ARCHIVE_ERRORS, FolderSource, Source, TarSource, ZipSource
from sparring.data.images import (
    IMAGE_ERRORS,
    Picture,
    channels_to_hold,
    look,
    look_at_header,
    square,
    widen,
)
from sparring.data.streamed import Pixels

VIDEO_ENDINGS = (".mp4", ".m4v", ".webm", ".mov", ".avi", ".mkv")
ANIMATION_ENDINGS = (".gif", ".webp")
FILM_ERRORS = (*ARCHIVE_ERRORS, *IMAGE_ERRORS)

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Naming the formats keeps FFmpeg from playlists, which may name any other file or address.
_DEMUXERS = {"format_whitelist": "mov,mp4,matroska,webm,avi"}


class FilmSource(Source):
    """Video files and pictures of a folder or archive."""

    def _accept(self, raw_name: str, size: int) -> bool:
        if not raw_name.lower().endswith(VIDEO_ENDINGS):
            return super()._accept(raw_name, size)
        if not super()._accept(raw_name + ".png", size):  # a video is entered wherever a picture would be
            return False
        self.names[-1] = self.names[-1].removesuffix(".png")
        return True

    def open(self, index: int) -> BinaryIO:
        """One file, to be read here and there."""
        return BytesIO(self.read(index))


class FilmFolder(FilmSource, FolderSource):
    def open(self, index: int) -> BinaryIO:
        return open(self._paths[index], "rb")


class SingleFilm(FilmFolder):
    """One file that is no archive."""

    def _walk(self, root: str) -> Iterable[tuple[str, str, int]]:
        return [(os.path.basename(root), root, os.stat(root).st_size)]


class FilmZip(FilmSource, ZipSource): ...


class FilmTar(FilmSource, TarSource): ...


class HeldSource(FilmSource):
    """All the bytes of a source in which stepping back is dear."""

    def __init__(self, source: FilmSource) -> None:
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
class Film(ABC):
    """A film as looked at; its frames are decoded when asked for."""

    source: FilmSource
    place: int  # in the source
    count: int  # of frames
    shape: tuple[int, int, int]  # (C, H, W) of a frame

    @property
    def mode(self) -> str:
        return _MODES[self.shape[0]]

    def decode(self, wanted: Sequence[int], channels: int, resolution: int | None) -> Pixels:
        """The frames numbered `wanted`, ascending, as (channels, T, H, W); raises one of FILM_ERRORS."""
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
class Video(Film):
    """A video file, read with PyAV."""

    moments: npt.NDArray[np.int64] | None  # when each frame is shown, None where the file does not say it reliably

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        with _opened(self.source, self.place) as (container, stream):
            if self.moments is None:
                chosen = set(wanted)
                for number, frame in enumerate(islice(container.decode(stream), wanted[-1] + 1)):
                    if number in chosen:
                        yield _upright(frame)
                return
            moments = self.moments[list(wanted)].tolist()
            frames = _frames_from(container, stream, moments[0], moments[0])
            first = next(frames, None)
            if first is None or first.pts != moments[0]:
                # Not every key frame stands alone, and not every file knows where they are.
                frames = _frames_from(container, stream, int(self.moments[0]), moments[0])
                first = next(frames, None)
            left = iter(moments)
            moment = next(left)
            for frame in chain([] if first is None else [first], frames):
                if frame.pts is not None and frame.pts > moment:
                    return
                if frame.pts == moment:
                    yield _upright(frame)
                    moment = next(left, None)
                    if moment is None:
                        return


def _frames_from(container: Any, stream: Any, start: int, moment: int) -> Iterator[Any]:
    """The frames not before `moment`, decoded from the last key frame not after `start`."""
    container.seek(start, stream=stream)
    return dropwhile(lambda frame: frame.pts is None or frame.pts < moment, container.decode(stream))


@contextmanager
def _opened(source: FilmSource, place: int) -> Iterator[tuple[Any, Any]]:
    import av

    if not source.sizes[place]:
        raise ValueError("the file is empty")
    try:
        with source.open(place) as handle, av.open(handle, options=_DEMUXERS) as container:
            if not container.streams.video:
                raise ValueError("it holds no pictures")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise ValueError("it is coded in a way that PyAV does not know")
            stream.codec_context.thread_count = 1  # films are decoded side by side
            yield container, stream
    except av.FFmpegError as error:
        raise ValueError(error.strerror) from error


def _upright(frame: Any) -> Image.Image:
    grey = frame.format.name.startswith("gray")
    image = Image.fromarray(frame.to_ndarray(format="gray")) if grey else cast(Image.Image, frame.to_image())
    return image.rotate(frame.rotation, expand=True) if frame.rotation % 360 else image


def look_at_video(source: FilmSource, place: int) -> Video:
    """Raises one of FILM_ERRORS where it cannot be read; needs PyAV."""
    times = []
    first = None
    with _opened(source, place) as (container, stream):
        # The times in AVI files are guesses, wrong where frames are not stored in order.
        reliable = container.format.name != "avi"
        for packet in container.demux(stream):
            if first is None:
                first = next(iter(packet.decode()), None)
            if packet.size and not packet.is_discard:
                times.append(packet.pts)
        if first is None:
            raise ValueError("it holds no frames")
        image = _upright(first)
    moments = None
    if reliable and None not in (first.pts, *times) and len(set(times)) == len(times):
        moments = np.array(sorted(time for time in times if time >= first.pts), dtype=np.int64)
        count = len(moments)
    else:
        with _opened(source, place) as (container, stream):
            count = sum(1 for _ in container.decode(stream))
    shape = (len(image.getbands()), image.height, image.width)
    return Video(source=source, place=place, count=count, shape=shape, moments=moments)


@dataclass(kw_only=True, eq=False)
class Animation(Film):
    """A GIF or WebP, animated or not."""

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        with self.source.open(self.place) as handle, _open_animation(handle) as image:
            for number in wanted:
                image.seek(number)
                yield image.convert(self.mode)


def _open_animation(handle: BinaryIO) -> Image.Image:
    image = Image.open(handle, formats=("GIF", "WEBP"))
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
        raise Image.DecompressionBombError(f"{image.width}x{image.height} is beyond Pillow's size limit")
    return image


def look_at_animation(source: FilmSource, place: int) -> Animation:
    """Raises one of FILM_ERRORS where it cannot be read."""
    colour = alpha = False
    with source.open(place) as handle, _open_animation(handle) as image:
        count = getattr(image, "n_frames", 1)
        for number in range(count):  # Pillow's modes tell neither: most opaque WebP films are RGBA, grey GIFs are P
            image.seek(number)
            pixels = np.asarray(image.convert("RGBA"))
            colour = colour or bool((pixels[..., 1:3] != pixels[..., :1]).any())
            alpha = alpha or bool((pixels[..., 3] < 255).any())
            if colour and alpha:
                break
        shape = ((3 if colour else 1) + alpha, image.height, image.width)
    return Animation(source=source, place=place, count=count, shape=shape)


def is_animated(source: FilmSource, place: int) -> bool:
    """Whether a file is a GIF or WebP of several frames."""
    try:
        with source.open(place) as handle, _open_animation(handle) as image:
            return bool(getattr(image, "is_animated", False))
    except FILM_ERRORS:
        return False


@dataclass(kw_only=True, eq=False)
class Strip(Film):
    """One picture with square frames side by side."""

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        pixels = _pixels(self.source, self.place)
        side = pixels.shape[0]
        for number in wanted:
            yield _image(pixels[:, number * side : (number + 1) * side])


def frames_side_by_side(picture: Picture) -> int:
    """How many square frames a picture is a strip of; 0 where it is none."""
    _, height, width = picture.shape
    return width // height if width % height == 0 and width > height else 0


def look_at_strip(source: FilmSource, place: int) -> Strip:
    """Raises one of FILM_ERRORS where it cannot be read or is no strip."""
    picture = _header(source, place)
    channels, height, width = picture.shape
    count = frames_side_by_side(picture)
    if not count:
        raise ValueError(f"{width}x{height} is no strip of square frames side by side")
    return Strip(source=source, place=place, count=count, shape=(channels, height, height))


@dataclass(kw_only=True, eq=False)
class FrameFolder(Film):
    """Numbered pictures of one folder."""

    places: Sequence[int]

    def _frames(self, wanted: Sequence[int]) -> Iterator[Image.Image]:
        for number in wanted:
            yield _image(_pixels(self.source, self.places[number]))


def look_at_folder(source: FilmSource, places: Sequence[int]) -> FrameFolder:
    """Raises one of FILM_ERRORS where a frame cannot be read or has another size than the first."""
    shapes = []
    for place in places:
        try:
            shapes.append(_header(source, place).shape)
        except ValueError as error:
            raise ValueError(f"{PurePosixPath(source.names[place]).name}: {error}") from error
    sizes = dict.fromkeys(f"{width}x{height}" for _, height, width in shapes)
    if len(sizes) > 1:
        raise ValueError(f"its frames have {len(sizes)} sizes ({', '.join(islice(sizes, 4))})")
    shape = (channels_to_hold(shape[0] for shape in shapes), *shapes[0][1:])
    return FrameFolder(source=source, place=places[0], count=len(places), shape=shape, places=places)


def _header(source: FilmSource, place: int) -> Picture:
    picture = look_at_header(source, place, None)
    if isinstance(picture, str):
        raise ValueError(picture)
    return picture


def _pixels(source: FilmSource, place: int) -> Pixels:
    """(H, W, C) of a picture."""
    pixels = look(source.read(place), None).pixels
    assert pixels is not None
    return pixels


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
