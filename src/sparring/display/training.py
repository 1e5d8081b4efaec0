"""The plot of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sparring.display.figures import make_figure
from sparring.files import write_atomic
from sparring.metrics.scores import DISTANCES

PENALTIES = "½‖∇D‖²"


def plot_training(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Plots losses, logit gap, penalties and, if logged, the metric, over samples seen."""
    gaps = dict.fromkeys(key for row in rows for key in row if key.endswith("logits/gap"))
    critics = {key: key.removesuffix("logits/gap").strip("/") or "critic 0" for key in gaps}
    panels = [
        ("losses", {"loss/d": "discriminator", "loss/g": "generator"}),
        ("gap D(x) - D(G(z))", critics if len(critics) > 1 else {"logits/gap": ""}),
        (PENALTIES, {"loss/r1": "R1 (real)", "loss/r2": "R2 (fake)"}),
    ]
    for name in DISTANCES:
        if any(name in row for row in rows):
            panels.append(("Fréchet distance", {name: "generated", f"{name}_floor": "real"}))
    if any("c2st" in row for row in rows):
        panels.append(("classifier two-sample test", {"c2st": "generated", "c2st_floor": "real"}))
    figure, axes = make_figure(1, len(panels), (4 * len(panels), 3.2))
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for key, label in lines.items():
            points = [(row["samples_seen"], row[key]) for row in rows if key in row]
            axis.plot(*zip(*points, strict=True), label=label, marker="o" if len(points) < 30 else None, markersize=3)
        axis.set(title=title, xlabel="samples seen")
        axis.locator_params(axis="x", nbins=5)
        if any(lines.values()):
            axis.legend()
        if title in (PENALTIES, "Fréchet distance"):
            axis.set_yscale("log")
    write_atomic(path, lambda temporary: figure.savefig(temporary, format="png", dpi=110))
