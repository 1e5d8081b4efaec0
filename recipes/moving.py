"""The animation at the top of the README: walks through z of the four runs that come with the package.

python recipes/moving.py docs/moving.webp
"""

import sys
from pathlib import Path

import matplotlib
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import sparring
from sparring.display import images, video

FRAMES, RATE = 64, 12
PANEL, GAP, TITLE = 196, 12, 22
BACK, INK, SOFT = "#ffffff", "#1b1b1f", "#6b6b73"
LINES = ("#1d4ed8", "#d97706", "#0f766e", "#be123c", "#6d28d9")


def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)


def tiles(samples: Tensor, columns: int) -> Image.Image:
    return images.grid(samples, columns).resize((PANEL, PANEL), Image.Resampling.LANCZOS)


def plots(series: Tensor) -> Image.Image:
    """Six series (6, 5, 24) in [0, 1]."""
    image = Image.new("RGB", (2 * PANEL, 2 * PANEL), "#f4f4f5")
    draw = ImageDraw.Draw(image)
    wide, high = 2 * PANEL // 2, 2 * PANEL // 3
    for index, one in enumerate(series):
        left, top = index % 2 * wide + 12, index // 2 * high + 12
        for channel, color in zip(one, LINES, strict=True):
            x = torch.linspace(left, left + wide - 24, len(channel))
            y = top + (high - 24) * (1 - channel.clamp(0, 1))
            draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=color, width=4, joint="curve")
    return image.resize((PANEL, PANEL), Image.Resampling.LANCZOS)


def lines(names: list[str]) -> Image.Image:
    image = Image.new("RGB", (PANEL, PANEL), "#f4f4f5")
    draw = ImageDraw.Draw(image)
    step = PANEL / len(names)
    for index, name in enumerate(names):
        draw.text((PANEL / 2, (index + 0.5) * step), name, fill=INK, font=font(17), anchor="mm")
    return image


def main(path: Path) -> None:
    gans = {name: sparring.load(name, "cpu") for name in ("digits", "bouncing", "sines", "names")}
    digits = gans["digits"].interpolate(FRAMES, num=25, seed=1)
    clips = gans["bouncing"].sample(4, seed=4)
    series = gans["sines"].interpolate(FRAMES, num=6, seed=2)
    names = gans["names"].interpolate(FRAMES, num=7, seed=3)
    frames = []
    for step in range(FRAMES):
        panels = {
            "pictures": tiles(digits[step], 5),
            "clips": tiles(clips[:, :, step // 2 % clips.shape[2]], 2),
            "time series": plots(series[step]),
            "text": lines(names[step]),
        }
        frame = Image.new("RGB", (len(panels) * PANEL + (len(panels) + 1) * GAP, PANEL + TITLE + 2 * GAP), BACK)
        draw = ImageDraw.Draw(frame)
        for index, (title, panel) in enumerate(panels.items()):
            left = GAP + index * (PANEL + GAP)
            frame.paste(panel, (left, GAP + TITLE))
            draw.text((left, GAP), title, fill=SOFT, font=font(13))
        frames.append(frame)
    video.save(frames, path, RATE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
