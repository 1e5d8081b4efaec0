"""The names and files of image data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sparring.modalities.opening import Opening, Options

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset
    from sparring.data.spec import DataSpec

HUB = "hf:"


class ImageOpening(Opening):
    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = {"digits": ("resolution",)}
    files = "a folder, .zip or .tar of images, .npz, .npy, IDX images (.gz), hf:NAME"
    own = ("resolution",)
    effective = ("resolution", "labels")

    def named(self, name: str) -> tuple[str, ...] | None:
        return ("resolution",) if name.startswith(HUB) else super().named(name)

    def claims(self, path: str, options: Options) -> bool:
        from sparring.data import archives, arrays

        endings = (*arrays.ENDINGS, *archives.EXTENSIONS, ".zip", *archives.TAR_ENDINGS)
        return os.path.isdir(path) or path.lower().endswith(endings) or arrays.is_idx(path)

    def open(self, path: str, options: Options, *, conditional: Conditional, memory_limit: int) -> Dataset:
        from sparring.data import archives, arrays, hub, images
        from sparring.data.dataset import DataError
        from sparring.data.digits import open_digits

        if path == "digits":
            return open_digits(conditional=conditional, **options)
        if path.startswith(HUB):
            return hub.open_hub(path, conditional=conditional, memory_limit=memory_limit, **options)
        in_folder = arrays.idx_pair_in(path) if os.path.isdir(path) else None
        if in_folder is not None:
            return arrays.open_idx(in_folder, conditional=conditional, **options)
        if not os.path.isdir(path):
            if path.lower().endswith(arrays.ENDINGS):
                return arrays.open_numpy(path, conditional=conditional, **options)
            if path.lower().endswith(archives.EXTENSIONS):
                raise DataError(f"{path} is a single image; name the folder that holds all of them")
            if not path.lower().endswith((".zip", *archives.TAR_ENDINGS)):
                return arrays.open_idx(path, conditional=conditional, **options)
        return images.open_images(path, conditional=conditional, memory_limit=memory_limit, **options)

    def options_for(self, spec: DataSpec, options: dict[str, Any]) -> dict[str, Any]:
        return options | square_side(spec)

    def open_few(self, path: str, options: Options) -> Dataset | None:
        """Opens a single image."""
        from sparring.data.archives import EXTENSIONS
        from sparring.data.images import load_images
        from sparring.data.video_files import SingleFile

        if not (path.lower().endswith(EXTENSIONS) and os.path.isfile(path)):
            return None
        return load_images(path, SingleFile(path), None, resolution=options["resolution"])

    def advice(self, first: DataSpec, second: DataSpec, *, resizable: bool) -> str:
        if other_channels(first, second):
            return MATCH_CHANNELS
        return (
            "bring them to one shape with --resolution"
            if resizable
            else super().advice(first, second, resizable=resizable)
        )


MATCH_CHANNELS = "bring both to the same number of channels: grey (1), RGB (3) or RGBA (4)"


def other_channels(first: DataSpec, second: DataSpec) -> bool:
    """Whether the samples differ only in their number of channels."""
    one, other = first.sample_shape, second.sample_shape
    return one[0] != other[0] and one[1:] == other[1:]


def square_side(spec: DataSpec) -> dict[str, int]:
    """The option `resolution` of square images or frames."""
    *_, height, width = spec.sample_shape
    return {"resolution": width} if height == width else {}
