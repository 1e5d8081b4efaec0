"""Points in the plane as a plot."""

from collections.abc import Mapping

from PIL import Image
from torch import Tensor

from sparring.display.figures import figure_to_image, make_figure


def scatter(points: Mapping[str, Tensor]) -> Image.Image:
    """Named sets of 2-D points (N, 2, 1, 1)."""
    figure, axes = make_figure(1, 1, (5, 5))
    for name, values in points.items():
        axes[0].scatter(*values.detach().cpu().flatten(1).T.numpy(), s=2, label=name)
    axes[0].set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    axes[0].legend(loc="upper right")
    return figure_to_image(figure)
