"""Facts about made-up data of any shape."""

from sparring.data.channels import Channels, default_names
from sparring.data.spec import DataSpec

MODALITIES = {2: "series", 3: "image", 4: "video"}


def spec_of(shape: tuple[int, ...], **facts) -> DataSpec:
    """Of samples of this shape: series (C, T), pictures (C, H, W) or clips (C, T, H, W)."""
    if len(shape) == 2 and "channels" not in facts:
        facts["channels"] = Channels(tuple(default_names(shape[0])), (0.0,) * shape[0], (1.0,) * shape[0])
    return DataSpec(shape, modality=MODALITIES[len(shape)], **facts)
