"""The names and files of video data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sparring.modalities.image.opening import MATCH_CHANNELS, other_channels, square_side
from sparring.modalities.opening import Opening, Options

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset
    from sparring.data.spec import DataSpec

FRAMES = 16
DIGITS = {"bouncing": 2, "bouncing-1": 1}


class VideoOpening(Opening):
    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = dict.fromkeys(DIGITS, ("frames", "resolution"))
    files = "a video, or a folder, .zip or .tar of them"
    own = ("frames", "frame_step")
    effective = ("frames", "frame_step", "resolution", "labels")
    others = "pictures"

    def claims(self, path: str, options: Options) -> bool:
        from sparring.data.clips import is_clips

        return is_clips(path, options.get("frames"))

    def open(self, path: str, options: Options, *, conditional: Conditional, memory_limit: int) -> Dataset:
        from sparring.data import clips
        from sparring.data.bouncing import bouncing

        settings = {name: value for name, value in options.items() if value}
        if path in DIGITS:
            return bouncing(**{"frames": FRAMES} | settings, num_digits=DIGITS[path], conditional=conditional)
        return clips.open_clips(
            path, **{"frames": FRAMES} | settings, conditional=conditional, memory_limit=memory_limit
        )

    def options_for(self, spec: DataSpec, options: dict[str, Any]) -> dict[str, Any]:
        return options | square_side(spec) | {"frames": spec.sample_shape[1]}

    def advice(self, first: DataSpec, second: DataSpec, *, resizable: bool) -> str:
        if other_channels(first, second):
            return MATCH_CHANNELS
        return super().advice(first, second, resizable=resizable)
