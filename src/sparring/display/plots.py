"""Time series as plots and tables, and points as a scatter plot."""

import csv
import math
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.data.channels import header_of
from sparring.display.figures import figure_to_image, make_figure
from sparring.files import write_atomic
from sparring.metrics.series_scores import autocorrelation

SHOWN = 30  # series in one image
CHANNELS = 6  # lines in one plot
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FORMATS = (".png", ".svg", ".pdf")
PROJECTED = 500  # real and generated samples each in the 2-D projection


def plot_series(samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
    """Draws the first `SHOWN` series (N, C, T) as small line plots; each channel spans its range in `scale` (M, C, T),
    or in the series shown."""
    shown = samples[:SHOWN, :CHANNELS].detach().float().cpu()
    columns = columns or math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    figure, axes = make_figure(rows, columns, (1.6 * columns, 1.2 * rows))
    low, high = _limits(shown if scale is None else scale[:, :CHANNELS].detach().float().cpu())
    for axis, series in zip(axes, shown, strict=False):
        axis.plot(((series - low) / (high - low)).T.numpy(), linewidth=1)
        axis.set(xticks=[], yticks=[], ylim=(-0.1, 1.1))
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    return figure_to_image(figure)


def _limits(samples: Tensor) -> tuple[Tensor, Tensor]:
    """The minimum and the maximum of each channel, (C, 1), which always differ a little."""
    low = samples.nan_to_num(torch.inf).amin((0, 2))[:, None]
    high = samples.nan_to_num(-torch.inf).amax((0, 2))[:, None]
    return low, torch.maximum(high, low + 1e-6 * low.abs() + 1e-12)


def compare(samples: Tensor, real: Tensor, names: tuple[str, ...], path: Path) -> None:
    """Plots generated and real series (N, C, T): quantiles over time, autocorrelations and a projection of both."""
    count = min(len(names), CHANNELS)
    figure, axes = make_figure(count + 1, 3, (12, 2.4 * (count + 1)))
    for channel in range(count):
        bands, correlation, example = axes[3 * channel : 3 * channel + 3]
        for label, color, series in (("real", "C0", real), ("generated", "C1", samples)):
            values = series[:, channel].float().numpy()
            with warnings.catch_warnings():  # steps beyond the end of every series have no quantiles
                warnings.simplefilter("ignore")
                quantiles = np.nanquantile(values, QUANTILES, axis=0)
            steps = np.arange(values.shape[1])
            bands.fill_between(steps, quantiles[0], quantiles[-1], color=color, alpha=0.15)
            bands.fill_between(steps, quantiles[1], quantiles[-2], color=color, alpha=0.25)
            bands.plot(steps, quantiles[2], color=color, label=label)
            correlation.plot(autocorrelation(series[:, channel]).numpy(), color=color, label=label)
            example.plot(values[:5].T, color=color, linewidth=0.8, alpha=0.8)
        some = f", {count} of {len(names)} channels" if count < len(names) else ""
        bands.set(ylabel=names[channel], title=f"quantiles 5, 25, 50, 75, 95%{some}" if channel == 0 else "")
        correlation.set(title="autocorrelation" if channel == 0 else "", ylim=(-1.05, 1.05))
        example.set(title="five of each" if channel == 0 else "")
    axes[0].legend()
    projection = axes[3 * count]
    both = torch.cat([real[:PROJECTED], samples[:PROJECTED]]).float().flatten(1)
    # Steps beyond a series' end get the mean of the series that continue.
    both = both.where(~both.isnan(), both.nanmean(0)).nan_to_num(0)
    both = (both - both.mean(0)) / both.std(0).clamp_min(1e-6)
    directions = torch.linalg.svd(both, full_matrices=False).Vh[:2].T
    for label, color, part in (
        ("real", "C0", both[: len(real[:PROJECTED])]), ("generated", "C1", both[len(real[:PROJECTED]) :]),
    ):  # fmt: skip
        projection.scatter(*(part @ directions).T.numpy(), s=4, color=color, label=label, alpha=0.5)
    projection.set(title="first two principal components")
    for axis in axes[3 * count + 1 :]:
        axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda temporary: figure.savefig(temporary, format=path.suffix[1:].lower() or "png", dpi=100))


def scatter(points: Mapping[str, Tensor]) -> Image.Image:
    """Draws named sets of 2-D points (N, 2, 1, 1)."""
    figure, axes = make_figure(1, 1, (5, 5))
    for name, values in points.items():
        axes[0].scatter(*values.detach().cpu().flatten(1).T.numpy(), s=2, label=name)
    axes[0].set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    axes[0].legend(loc="upper right")
    return figure_to_image(figure)


def save_csv(samples: Tensor, path: Path, names: tuple[str, ...]) -> None:
    """Saves series (N, C, T) as a table of sample, step and one column per channel, without steps beyond the end."""
    write_atomic(path, lambda temporary: _write_csv(samples, temporary, names))


def _write_csv(samples: Tensor, path: Path, names: tuple[str, ...]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "step", *map(header_of, names)])
        for index, series in enumerate(samples.tolist()):
            for step, values in enumerate(zip(*series, strict=True)):
                if not all(map(math.isnan, values)):
                    writer.writerow([index, step, *(f"{value:.7g}" for value in values)])
