"""Clips (C, T, H, W) from films: video files, animated pictures, strips of frames, folders of frames, arrays."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch

from sparring.data import arrays
from sparring.data.archives import EXTENSIONS, TAR_ENDINGS, reason
from sparring.data.dataset import (
    IGNORED_LABELS,
    MEMORY_LIMIT,
    Conditional,
    DataError,
    Dataset,
    TensorDataset,
    digest,
    labels_by_file,
    natural_key,
    number_classes,
    printable,
)
from sparring.data.film_files import (
    ANIMATION_ENDINGS,
    FILM_ERRORS,
    VIDEO_ENDINGS,
    Film,
    FilmFolder,
    FilmSource,
    FilmTar,
    FilmZip,
    HeldSource,
    SingleFilm,
    frames_side_by_side,
    is_animated,
    look_at_animation,
    look_at_folder,
    look_at_strip,
    look_at_video,
)
from sparring.data.images import Picture, channels_to_hold, labels_from_folders, look_at_header
from sparring.data.streamed import THREADS, Pixels, StreamedDataset

_LOOKED_AT = 16  # files that tell what a set's pictures are


def is_clips(path: str, frames: int | None) -> bool:
    """Whether a file, folder or archive holds clips rather than images.

    Video files and animated pictures are clips (the first 16 .gif and .webp files tell whether those of a set move),
    and so are arrays of five axes. Other pictures are clips, as strips or folders of frames, only where a number of
    `frames` is asked for; a folder or archive without any is then for `open_clips` to refuse.
    """
    if path.lower().endswith(arrays.ENDINGS):
        return arrays.holds_clips(path)
    endings = (*VIDEO_ENDINGS, *EXTENSIONS, ".zip", *TAR_ENDINGS)
    if not os.path.isdir(path) and not (os.path.isfile(path) and path.lower().endswith(endings)):
        return False
    source = _source(path)
    if frames is not None:
        return bool(source.names) or arrays.idx_pair_in(path) is None
    return bool(source.names) and _holds_films(source)


def open_clips(
    path: str,
    *,
    frames: int = 16,
    frame_step: int = 1,
    resolution: int | None = None,
    labels: str | None = None,
    conditional: Conditional = True,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """The clips of `frames` frames, every `frame_step`-th, of the films in a folder, .zip, .tar or single file.

    A film is a video file or an animated .gif or .webp. Where there are none, pictures are films: strips, if the
    first of them are a whole number of squares side by side, else every folder of numbered pictures is one film. Of
    an .npz or .npy every sample is one (`arrays.open_numpy`).

    A clip spans S = (frames - 1) * frame_step + 1 frames; a film of F frames gives F // S clips, at starts spread
    evenly from its first frame to its frame F - S. Shorter films are left out. Classes come from the CSV file
    `labels` (columns file,label) or else from first-level sub-folders. Clips of more than `memory_limit` bytes of
    pixels are decoded on demand.
    """
    if frames < 1:
        raise DataError(f"a clip needs at least one frame, not {frames}: set --data.frames to 1 or more")
    if frame_step < 1:
        raise DataError(f"frames cannot be {frame_step} apart: set --data.frame_step to 1 or more")
    span = (frames - 1) * frame_step + 1
    if path.lower().endswith(arrays.ENDINGS):
        in_array = arrays.open_numpy(path, resolution=resolution, labels=labels, conditional=conditional)
        return _cut(in_array, frames, frame_step, span)
    source = _source(path)
    if not source.rereadable:
        if sum(source.sizes) > memory_limit:
            raise DataError(
                f"{path} is compressed and too large to hold in memory; unpack it, or make it a .zip or plain .tar"
            )
        source = HeldSource(source)
    found, kind = _find(source)
    names = [name for name, *_ in found]
    scanned, broken = _scan(found)
    films = {name: film for name, film in scanned.items() if film.count >= span}
    if not films:
        if scanned:
            raise _too_short(path, max(film.count for film in scanned.values()), frames, frame_step, span)
        seen = f"{len(broken)} broken, first {broken[0]}" if broken else "it holds no films and no numbered pictures"
        known = " ".join((*VIDEO_ENDINGS, *ANIMATION_ENDINGS))
        raise DataError(f"no readable film in {path} ({seen}); known are {known}, strips and folders of pictures")
    skipped = [*source.unreadable, *broken]
    skipped += [
        printable(f"{name}: {film.count} frames, a clip spans {span}")
        for name, film in scanned.items()
        if name not in films
    ]
    shape = _common_shape(path, list(films.values()), frames, resolution)

    film_labels, notes = labels_from_folders(names, what="films", example="film")
    if not conditional:
        notes = [IGNORED_LABELS] if film_labels or labels else []
        film_labels = None
    elif labels is not None:
        film_labels, notes = labels_by_file(labels, names), []
    label_of = None if film_labels is None else dict(zip(names, film_labels, strict=True))

    starts = {name: _starts(film.count, span) for name, film in films.items()}
    clips = [(name, start) for name in films for start in starts[name]]
    samples = None
    if len(clips) * np.prod(shape, dtype=np.int64) <= memory_limit:
        samples, failed = _decode_all(films, starts, shape, frame_step, resolution)
        skipped += [printable(f"{name}: {why}") for name, why in failed.items()]
        if len(failed) == len(films):
            raise DataError(f"no readable film in {path} ({len(skipped)} broken, first {skipped[0]})")
        if failed:
            samples = samples[torch.tensor([name not in failed for name, _ in clips])]
            clips = [(name, start) for name, start in clips if name not in failed]
    kept = None if label_of is None else [label_of[name] for name, _ in clips]
    classes, class_names = number_classes(kept, len(clips))
    used = {name: films[name] for name, _ in clips}
    resized = resolution is not None and any(film.shape[1:] != (resolution, resolution) for film in used.values())
    left_out = len(source.names) - sum(len(places) for _, _, places in found) + source.other_files
    facts: dict[str, Any] = {
        "name": path,
        "modality": "video",
        "sample_shape": shape,
        "classes": classes,
        "class_names": class_names,
        "fingerprint": digest(shape, frame_step, source.names, source.sizes, clips, classes, class_names),
        "value_range": "8-bit pixels 0..255",
        "image_modes": dict(Counter(film.mode for film in used.values())),
        "resized": f"centre crop, resized to {resolution}x{resolution}" if resized else "",
        "notes": [
            _note(kind, [film.count for film in used.values()], len(clips), frames, frame_step),
            *notes,
            *([f"{left_out} files that are no part of a film were left out"] if left_out else []),
        ],
        "skipped": skipped,
    }
    if samples is not None:
        return TensorDataset(**facts, samples=samples)
    return StreamedClips(**facts, films=films, clips=clips, frame_step=frame_step, resolution=resolution)


@dataclass(kw_only=True, eq=False)
class StreamedClips(StreamedDataset):
    """Clips decoded each time they are asked for."""

    films: dict[str, Film]
    clips: list[tuple[str, int]]  # the film and the first frame of each
    frame_step: int
    resolution: int | None

    def decode(self, position: int) -> Pixels | str:
        (channels, frames), (name, start) = self.sample_shape[:2], self.clips[position]
        try:
            numbers = range(start, start + frames * self.frame_step, self.frame_step)
            return self.films[name].decode(numbers, channels, self.resolution)
        except FILM_ERRORS as error:
            return reason(error)

    def name_of(self, position: int) -> str:
        return self.clips[position][0]


def _source(path: str) -> FilmSource:
    if os.path.isdir(path):
        return FilmFolder(path)
    if path.lower().endswith((*VIDEO_ENDINGS, *EXTENSIONS)):
        try:
            return SingleFilm(path)
        except OSError as error:
            raise DataError(f"cannot read the film {path}: {error.strerror}") from error
    return FilmZip(path) if path.lower().endswith(".zip") else FilmTar(path)


def _holds_films(source: FilmSource) -> bool:
    """Whether a set is one of films: at least half of its files are."""
    videos = sum(name.lower().endswith(VIDEO_ENDINGS) for name in source.names)
    if videos and 2 * videos >= len(source.names):
        return True
    candidates = [place for place, name in enumerate(source.names) if name.lower().endswith(ANIMATION_ENDINGS)]
    animated = any(is_animated(source, place) for place in candidates[:_LOOKED_AT])
    return animated and 2 * (videos + len(candidates)) >= len(source.names)


_Found = tuple[str, Callable[[], Film], list[int]]  # a film's name, how to look at it, its places in the source


def _find(source: FilmSource) -> tuple[list[_Found], str]:
    """The films of a source, in its order, and what one of them is taken for."""
    if _holds_films(source):
        found: list[_Found] = []
        for place, name in enumerate(source.names):
            if name.lower().endswith(VIDEO_ENDINGS):
                _require_pyav(name)
                found.append((name, partial(look_at_video, source, place), [place]))
            elif name.lower().endswith(ANIMATION_ENDINGS):
                found.append((name, partial(look_at_animation, source, place), [place]))
        return found, "film"
    headers = (look_at_header(source, place, None) for place in range(min(len(source.names), _LOOKED_AT)))
    pictures = [header for header in headers if isinstance(header, Picture)]
    if pictures and all(frames_side_by_side(picture) for picture in pictures):
        strips: list[_Found] = [
            (name, partial(look_at_strip, source, place), [place]) for place, name in enumerate(source.names)
        ]
        return strips, "strip"
    folders: dict[str, list[int]] = {}
    for place, name in enumerate(source.names):
        if re.search("[0-9]", PurePosixPath(name).stem):
            folders.setdefault(str(PurePosixPath(name).parent), []).append(place)
    for places in folders.values():
        places.sort(key=lambda place: natural_key(source.names[place]))
    return [(name, partial(look_at_folder, source, places), places) for name, places in folders.items()], "folder"


def _require_pyav(name: str) -> None:
    try:
        import av  # noqa: F401
    except ImportError:
        raise DataError(f'reading {name} needs PyAV: pip install "sparring[video]"') from None


def _scan(found: Sequence[_Found]) -> tuple[dict[str, Film], list[str]]:
    """Every readable film by its name, and why the others are not."""

    def look(entry: _Found) -> Film | str:
        try:
            return entry[1]()
        except FILM_ERRORS as error:
            return reason(error)

    films: dict[str, Film] = {}
    broken = []
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        # Bombs are reported as skipped; Pillow's other warnings are about EXIF blocks nobody needs.
        warnings.simplefilter("ignore")
        for (name, *_), outcome in zip(found, pool.map(look, found), strict=True):
            if isinstance(outcome, str):
                broken.append(printable(f"{name}: {outcome}"))
            else:
                films[name] = outcome
    return films, broken


def _too_short(path: str, longest: int, frames: int, frame_step: int, span: int) -> DataError:
    return DataError(
        f"no film in {path} is long enough: a clip of {_counted(frames, 'frame')}, {frame_step} apart, spans {span}, "
        f"the longest film has {longest}; lower --data.frames or --data.frame_step"
    )


def _cut(films: TensorDataset, frames: int, frame_step: int, span: int) -> TensorDataset:
    """The clips of films (N, C, T, H, W) that are held already."""
    count = films.sample_shape[1]
    if count < span:
        raise _too_short(films.name, count, frames, frame_step, span)
    starts = _starts(count, span)
    within = torch.tensor(starts)[:, None] + torch.arange(frames) * frame_step
    samples = films.samples[:, :, within].transpose(1, 2).flatten(0, 1)
    return replace(
        films,
        sample_shape=tuple(samples.shape[1:]),
        samples=samples,
        classes=films.classes.repeat_interleave(len(starts)),
        fingerprint=digest(films.fingerprint, frames, frame_step),
        notes=[_note("film", [count] * len(films), len(samples), frames, frame_step), *films.notes],
    )


def _common_shape(path: str, films: list[Film], frames: int, resolution: int | None) -> tuple[int, int, int, int]:
    channels = channels_to_hold(film.shape[0] for film in films)
    if resolution is not None:
        return channels, frames, resolution, resolution
    sizes = Counter(film.shape[1:] for film in films)
    if len(sizes) > 1:
        common = ", ".join(f"{width}x{height}: {count}" for (height, width), count in sizes.most_common(4))
        more = ", ..." if len(sizes) > 4 else ""
        raise DataError(
            f"the films in {path} have {len(sizes)} sizes ({common}{more}); "
            "pass e.g. --resolution 64 to crop and resize them all"
        )
    return channels, frames, *films[0].shape[1:]


def _starts(count: int, span: int) -> list[int]:
    """First frames of the clips of a film."""
    return [int(start) for start in np.linspace(0, count - span, count // span).round()]


def _note(kind: str, counts: Sequence[int], clips: int, frames: int, frame_step: int) -> str:
    """How many clips there are, and of what: films of a kind, of so many frames each."""
    films = _counted(len(counts), kind) + " of pictures" * (kind == "folder")
    lengths = "" if min(counts) == max(counts) else f"{min(counts)} to "
    give = "gives" if len(counts) == 1 else "give"
    return (
        f"{films} of {lengths}{_counted(max(counts), 'frame')} {give} {_counted(clips, 'clip')} of "
        f"{_counted(frames, 'frame')}, {frame_step} apart"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _decode_all(
    films: dict[str, Film],
    starts: dict[str, list[int]],
    shape: tuple[int, int, int, int],
    frame_step: int,
    resolution: int | None,
) -> tuple[torch.Tensor, dict[str, str]]:
    """All clips as uint8 (N, C, T, H, W), film after film, and why some films cannot be read."""
    rows = dict(zip(films, np.cumsum([0, *map(len, starts.values())]).tolist(), strict=False))
    samples = np.empty((sum(map(len, starts.values())), *shape), dtype=np.uint8)
    within = np.arange(shape[1]) * frame_step

    def decode(name: str) -> str | None:
        numbers, places = np.unique(np.add.outer(starts[name], within), return_inverse=True)
        try:
            pixels = films[name].decode(numbers.tolist(), shape[0], resolution)  # each frame once
        except FILM_ERRORS as error:
            return reason(error)
        for row, place in enumerate(places.reshape(-1, shape[1]), rows[name]):
            samples[row] = pixels[:, place]
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = dict(zip(films, pool.map(decode, films), strict=True))
    return torch.from_numpy(samples), {name: why for name, why in outcomes.items() if why is not None}
