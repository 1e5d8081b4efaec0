"""Clips (C, T, H, W) from videos: video files, animated pictures, strips of frames, folders of frames, arrays."""

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
from sparring.data.budgets import require_usable
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
    refined,
    versioned,
)
from sparring.data.images import labels_from_folders, read_header
from sparring.data.pictures import Picture, channels_to_hold
from sparring.data.streamed import THREADS, Pixels, StreamedDataset
from sparring.data.video_files import (
    ANIMATION_ENDINGS,
    VIDEO_ENDINGS,
    VIDEO_ERRORS,
    HeldSource,
    SingleFile,
    Video,
    VideoFolder,
    VideoSource,
    VideoTar,
    VideoZip,
    frames_side_by_side,
    is_animated,
    probe_animation,
    probe_folder,
    probe_strip,
    probe_video,
)

_PROBED = 16  # files that decide the kind of a data set


def is_clips(path: str, frames: int | None) -> bool:
    """Whether a file, folder or archive holds clips rather than images.

    Clips are video files, animated pictures (.gif and .webp files; the first 16 are checked) and arrays of five axes.
    Other pictures are clips, as strips or folders of frames, only if `frames` is given; `open_clips` then refuses a
    folder or archive without pictures.
    """
    if path.lower().endswith(arrays.ENDINGS):
        return arrays.holds_clips(path)
    endings = (*VIDEO_ENDINGS, *EXTENSIONS, ".zip", *TAR_ENDINGS)
    if not os.path.isdir(path) and not (os.path.isfile(path) and path.lower().endswith(endings)):
        return False
    source = _source(path)
    if frames is not None:
        return bool(source.names) or arrays.idx_pair_in(path) is None
    return bool(source.names) and _holds_videos(source)


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
    """Clips of `frames` frames, `frame_step` apart, from the videos in a folder, .zip, .tar or single file.

    A video is a video file or an animated .gif or .webp. Without these, pictures are videos: each one is a strip if
    the first ones consist of squares side by side, else each folder of numbered pictures is one video. In an .npz or
    .npy each sample is a video (`arrays.open_numpy`).

    A clip spans S = (frames - 1) * frame_step + 1 frames. A video of F frames gives F // S clips, which start evenly
    spread from its first frame to its frame F - S; shorter videos are left out. Classes come from the CSV file `labels`
    (columns file,label), else from first-level sub-folders. Clips of more than `memory_limit` bytes of pixels are
    decoded on demand.
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
    videos = {name: video for name, video in scanned.items() if video.count >= span}
    if not videos:
        if scanned:
            raise _too_short(path, max(video.count for video in scanned.values()), frames, frame_step, span)
        seen = f"{len(broken)} broken, first {broken[0]}" if broken else "it holds no videos and no numbered pictures"
        known = " ".join((*VIDEO_ENDINGS, *ANIMATION_ENDINGS))
        raise DataError(f"no readable video in {path} ({seen}); known are {known}, strips and folders of pictures")
    skipped = [*source.unreadable, *broken]
    skipped += [
        printable(f"{name}: {video.count} frames, a clip spans {span}")
        for name, video in scanned.items()
        if name not in videos
    ]
    shape = _common_shape(path, list(videos.values()), frames, resolution)
    require_usable(path, shape)

    video_labels, notes = labels_from_folders(names, what="videos", example="video")
    if not conditional:
        notes = [IGNORED_LABELS] if video_labels or labels else []
        video_labels = None
    elif labels is not None:
        video_labels, notes = labels_by_file(labels, names), []
    label_of = None if video_labels is None else dict(zip(names, video_labels, strict=True))

    starts = {name: _starts(video.count, span) for name, video in videos.items()}
    clips = [(name, start) for name in videos for start in starts[name]]
    samples = None
    if len(clips) * np.prod(shape, dtype=np.int64) <= memory_limit:
        samples, failed = _decode_all(videos, starts, shape, frame_step, resolution)
        skipped += [printable(f"{name}: {why}") for name, why in failed.items()]
        if len(failed) == len(videos):
            raise DataError(f"no readable video in {path} ({len(skipped)} broken, first {skipped[0]})")
        if failed:
            samples = samples[torch.tensor([name not in failed for name, _ in clips])]
            clips = [(name, start) for name, start in clips if name not in failed]
    kept = None if label_of is None else [label_of[name] for name, _ in clips]
    classes, class_names = number_classes(kept, len(clips))
    used = {name: videos[name] for name, _ in clips}
    resized = resolution is not None and any(video.shape[1:] != (resolution, resolution) for video in used.values())
    left_out = len(source.names) - sum(len(indices) for _, _, indices in found) + source.other_files
    facts: dict[str, Any] = {
        "name": path,
        "modality": "video",
        "sample_shape": shape,
        "classes": classes,
        "class_names": class_names,
        "fingerprint": versioned(
            digest(
                former := digest(shape, frame_step, source.names, source.sizes, clips, classes, class_names),
                [source.mark(index, whole=samples is not None) for _, _, indices in found for index in indices],
            ),
            former,
        ),
        "value_range": "8-bit pixels 0..255",
        "image_modes": dict(Counter(video.mode for video in used.values())),
        "resized": f"centre crop, resized to {resolution}x{resolution}" if resized else "",
        "notes": [
            _note(kind, [video.count for video in used.values()], len(clips), frames, frame_step),
            *notes,
            *([f"{left_out} files that do not belong to a video were left out"] if left_out else []),
        ],
        "skipped": skipped,
    }
    if samples is not None:
        return TensorDataset(**facts, samples=samples)
    return StreamedClips(**facts, videos=videos, clips=clips, frame_step=frame_step, resolution=resolution)


@dataclass(kw_only=True, eq=False)
class StreamedClips(StreamedDataset):
    """Clips that are decoded on demand."""

    videos: dict[str, Video]
    clips: list[tuple[str, int]]  # video and first frame of each clip
    frame_step: int
    resolution: int | None

    def decode(self, position: int) -> Pixels | str:
        (channels, frames), (name, start) = self.sample_shape[:2], self.clips[position]
        try:
            numbers = range(start, start + frames * self.frame_step, self.frame_step)
            return self.videos[name].decode(numbers, channels, self.resolution)
        except VIDEO_ERRORS as error:
            return reason(error)

    def name_of(self, position: int) -> str:
        return self.clips[position][0]


def _source(path: str) -> VideoSource:
    if os.path.isdir(path):
        return VideoFolder(path)
    if path.lower().endswith((*VIDEO_ENDINGS, *EXTENSIONS)):
        try:
            return SingleFile(path)
        except OSError as error:
            raise DataError(f"cannot read the video {path}: {error.strerror}") from error
    return VideoZip(path) if path.lower().endswith(".zip") else VideoTar(path)


def _holds_videos(source: VideoSource) -> bool:
    """Whether at least half of the files are videos."""
    videos = sum(name.lower().endswith(VIDEO_ENDINGS) for name in source.names)
    if videos and 2 * videos >= len(source.names):
        return True
    candidates = [index for index, name in enumerate(source.names) if name.lower().endswith(ANIMATION_ENDINGS)]
    animated = any(is_animated(source, index) for index in candidates[:_PROBED])
    return animated and 2 * (videos + len(candidates)) >= len(source.names)


_Found = tuple[str, Callable[[], Video], list[int]]  # a video's name, its probe, its files' indices in the source


def _find(source: VideoSource) -> tuple[list[_Found], str]:
    """The videos of a source, in its order, and their kind: video, strip or folder."""
    if _holds_videos(source):
        found: list[_Found] = []
        for index, name in enumerate(source.names):
            if name.lower().endswith(VIDEO_ENDINGS):
                _require_pyav(name)
                found.append((name, partial(probe_video, source, index), [index]))
            elif name.lower().endswith(ANIMATION_ENDINGS):
                found.append((name, partial(probe_animation, source, index), [index]))
        return found, "video"
    headers = (read_header(source, index, None) for index in range(min(len(source.names), _PROBED)))
    pictures = [header for header in headers if isinstance(header, Picture)]
    if pictures and all(frames_side_by_side(picture) for picture in pictures):
        strips: list[_Found] = [
            (name, partial(probe_strip, source, index), [index]) for index, name in enumerate(source.names)
        ]
        return strips, "strip"
    folders: dict[str, list[int]] = {}
    for index, name in enumerate(source.names):
        if re.search("[0-9]", PurePosixPath(name).stem):
            folders.setdefault(str(PurePosixPath(name).parent), []).append(index)
    for indices in folders.values():
        indices.sort(key=lambda index: natural_key(source.names[index]))
    return [(name, partial(probe_folder, source, indices), indices) for name, indices in folders.items()], "folder"


def _require_pyav(name: str) -> None:
    try:
        import av  # noqa: F401
    except ImportError:
        raise DataError(f'reading {name} needs PyAV: pip install "sparring[video]"') from None


def _scan(found: Sequence[_Found]) -> tuple[dict[str, Video], list[str]]:
    """The readable videos by name, and an error for each of the others."""

    def probe(entry: _Found) -> Video | str:
        try:
            return entry[1]()
        except VIDEO_ERRORS as error:
            return reason(error)

    videos: dict[str, Video] = {}
    broken = []
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        # Decompression bombs are reported as skipped; Pillow's other warnings concern EXIF blocks.
        warnings.simplefilter("ignore")
        for (name, *_), outcome in zip(found, pool.map(probe, found), strict=True):
            if isinstance(outcome, str):
                broken.append(printable(f"{name}: {outcome}"))
            else:
                videos[name] = outcome
    return videos, broken


def _too_short(path: str, longest: int, frames: int, frame_step: int, span: int) -> DataError:
    return DataError(
        f"no video in {path} is long enough: a clip of {_counted(frames, 'frame')}, {frame_step} apart, spans {span}, "
        f"the longest video has {longest}; lower --data.frames or --data.frame_step"
    )


def _cut(videos: TensorDataset, frames: int, frame_step: int, span: int) -> TensorDataset:
    """The clips of videos (N, C, T, H, W) in memory."""
    count = videos.sample_shape[1]
    if count < span:
        raise _too_short(videos.name, count, frames, frame_step, span)
    starts = _starts(count, span)
    within = torch.tensor(starts)[:, None] + torch.arange(frames) * frame_step
    samples = videos.samples[:, :, within].transpose(1, 2).flatten(0, 1)
    return replace(
        videos,
        sample_shape=tuple(samples.shape[1:]),
        samples=samples,
        classes=videos.classes.repeat_interleave(len(starts)),
        fingerprint=refined(videos.fingerprint, frames, frame_step),
        notes=[_note("video", [count] * len(videos), len(samples), frames, frame_step), *videos.notes],
    )


def _common_shape(path: str, videos: list[Video], frames: int, resolution: int | None) -> tuple[int, int, int, int]:
    channels = channels_to_hold(video.shape[0] for video in videos)
    if resolution is not None:
        return channels, frames, resolution, resolution
    sizes = Counter(video.shape[1:] for video in videos)
    if len(sizes) > 1:
        common = ", ".join(f"{width}x{height}: {count}" for (height, width), count in sizes.most_common(4))
        more = ", ..." if len(sizes) > 4 else ""
        raise DataError(
            f"the videos in {path} have {len(sizes)} sizes ({common}{more}); "
            "pass e.g. --resolution 64 to crop and resize them all"
        )
    return channels, frames, *videos[0].shape[1:]


def _starts(count: int, span: int) -> list[int]:
    """The first frame of each clip of a video."""
    return [int(start) for start in np.linspace(0, count - span, count // span).round()]


def _note(kind: str, counts: Sequence[int], clips: int, frames: int, frame_step: int) -> str:
    """A note on the number of clips, and on the videos' kind and length."""
    videos = _counted(len(counts), kind) + " of pictures" * (kind == "folder")
    lengths = "" if min(counts) == max(counts) else f"{min(counts)} to "
    give = "gives" if len(counts) == 1 else "give"
    return (
        f"{videos} of {lengths}{_counted(max(counts), 'frame')} {give} {_counted(clips, 'clip')} of "
        f"{_counted(frames, 'frame')}, {frame_step} apart"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _decode_all(
    videos: dict[str, Video],
    starts: dict[str, list[int]],
    shape: tuple[int, int, int, int],
    frame_step: int,
    resolution: int | None,
) -> tuple[torch.Tensor, dict[str, str]]:
    """All clips as uint8 (N, C, T, H, W), video after video, and the errors of unreadable videos."""
    rows = dict(zip(videos, np.cumsum([0, *map(len, starts.values())]).tolist(), strict=False))
    samples = np.empty((sum(map(len, starts.values())), *shape), dtype=np.uint8)
    within = np.arange(shape[1]) * frame_step

    def decode(name: str) -> str | None:
        numbers, indices = np.unique(np.add.outer(starts[name], within), return_inverse=True)
        try:
            pixels = videos[name].decode(numbers.tolist(), shape[0], resolution)  # each frame once
        except VIDEO_ERRORS as error:
            return reason(error)
        for row, index in enumerate(indices.reshape(-1, shape[1]), rows[name]):
            samples[row] = pixels[:, index]
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = dict(zip(videos, pool.map(decode, videos), strict=True))
    return torch.from_numpy(samples), {name: why for name, why in outcomes.items() if why is not None}
