"""Samples as files for download."""

import tempfile
from pathlib import Path

from sparring.explorer.model import Model
from sparring.explorer.points import Drawn, Mixture, Projected
from sparring.files import file_name


def saved(model: Model, point: Drawn | Projected | Mixture) -> tuple[bytes, str]:
    """The file's content and name: .png, .csv or .txt; for clips .mp4 if PyAV is installed, else .webp."""
    display = model.gan.modality.display
    suffix = display.download_suffix()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{suffix}"
        display.save(model.samples([point]), path, model.gan.spec)
        return path.read_bytes(), point_name(model.title, point) + suffix


def point_name(title: str, point: Drawn | Projected | Mixture) -> str:
    """The name without suffix: digits-seed7-12-class3-psi0.7-moved, digits-seed7-12-to-seed7-15-0.25."""
    title = file_name(title)
    if isinstance(point, Mixture):
        return f"{title}-{_named(point.start)}-to-{_named(point.end)}-{point.t:.2f}"
    return f"{title}-{_named(point)}"


def _named(point: Drawn | Projected) -> str:
    parts = [f"projected{point.latent}" if isinstance(point, Projected) else f"seed{point.seed}-{point.index}"]
    parts += [] if point.condition is None else [_condition(point.condition)]
    parts += [] if point.psi == 1 else [f"psi{point.psi:g}"]
    return "-".join(parts + ["moved"] * any(point.offsets))


def _condition(condition: int | list[float]) -> str:
    return f"class{condition}" if isinstance(condition, int) else "condition" + "_".join(f"{x:g}" for x in condition)
