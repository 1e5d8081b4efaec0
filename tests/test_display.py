import numpy as np
import pytest
import torch
from PIL import Image

from sparring.config import ConfigError
from sparring.display import images, video
from sparring.display.plots import scatter
from sparring.display.training import plot_training


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_pixels_come_back_from_the_picture(channels, mode):
    pixels = torch.randint(0, 256, (channels, 5, 7), generator=torch.Generator().manual_seed(0))
    image = images.to_image(pixels / 127.5 - 1)
    assert image.mode == mode
    assert image.size == (7, 5)
    assert np.array_equal(np.asarray(image).reshape(5, 7, channels), pixels.permute(1, 2, 0).numpy())


def test_values_beyond_the_range_are_clipped():
    assert np.asarray(images.to_image(torch.tensor([[[-3.0, 3.0]]]))).tolist() == [[0, 255]]


def test_grid_goes_row_by_row():
    samples = torch.stack([torch.full((1, 56, 56), value) for value in (-1.0, -0.5, 0.0, 0.5, 1.0)])
    image = np.asarray(images.grid(samples, columns=2))
    assert image.shape == (3 * 56, 2 * 56)
    assert [int(image[56 * (i // 2) + 9, 56 * (i % 2) + 9]) for i in range(6)] == [0, 64, 128, 191, 255, 0]


def test_small_pictures_are_enlarged_and_points_plotted():
    assert images.grid(torch.zeros(4, 1, 8, 8)).size == (112, 112)
    points = scatter({"points": torch.randn(50, 2, 1, 1)})
    assert points.size[0] > 200
    assert len(points.getcolors(maxcolors=1 << 20)) > 2


def test_plot_survives_few_rows_and_missing_values(tmp_path):
    row = {"samples_seen": 8, "loss/d": 1.0, "loss/g": 0.5, "logits/gap": 0.1, "loss/r1": 0.2, "loss/r2": 0.0}
    for rows in ([row], [row, row | {"samples_seen": 16, "frechet": 9.0, "frechet_floor": 1.0}]):
        plot_training(rows, tmp_path / "plot.png")
        assert Image.open(tmp_path / "plot.png").size[0] > 500


def test_films(tmp_path):
    pytest.importorskip("av")
    import av

    frames = [images.to_image(torch.full((1, 63, 65), value)) for value in torch.linspace(-1, 1, 8)]
    for name in ("film.gif", "film.webp"):
        video.save(frames, tmp_path / name)
        with Image.open(tmp_path / name) as film:
            assert film.n_frames == 8
            assert film.size == (65, 63)
    video.save(frames, tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as container:
        brightness = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
    assert len(brightness) == 8
    assert brightness == sorted(brightness)
    assert brightness[-1] - brightness[0] > 200
    with pytest.raises(ConfigError, match="must end in"):
        video.check_format(tmp_path / "film.avi")
