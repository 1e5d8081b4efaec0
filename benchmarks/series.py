"""Series of published generators by their authors' code, imported from checkouts, for `sparring evaluate`.

    git clone https://github.com/Y-debug-sys/Diffusion-TS && git clone https://github.com/imics-lab/tts-gan
    pip install --target packages einops ema-pytorch pyyaml --no-deps && export PYTHONPATH=packages
    python benchmarks/series.py stocks.csv --window 24 --diffusion-ts Diffusion-TS --config stocks --out theirs.npz
    python benchmarks/series.py stocks.csv --window 24 --tts-gan tts-gan --minutes 30 --out theirs.npz
    sparring evaluate theirs.npz --data stocks.csv --window 24

Networks, losses, optimisers and loops are theirs, with their settings. The series come from our reader, with each
channel scaled to -1..1 by its minimum and maximum, as Diffusion-TS does. Diffusion-TS is trained for the number of
steps in its settings; TTS-GAN, whose settings would take days, for --minutes. Prints the times as JSON.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import torch
from peers import Stubs, log, without_cuda
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from sparring.modalities.registry import open_dataset

TTS_GAN = {
    "gen_batch_size": 16, "dis_batch_size": 16, "latent_dim": 100, "loss": "lsgan", "phi": 1, "n_critic": 1,
    "accumulated_times": 1, "g_accumulated_times": 1, "ema_kimg": 500, "ema_warmup": 0.1, "ema": 0.9999,
    "print_freq": 50, "max_epoch": 0, "gpu": None, "rank": 1, "world_size": 1,
}  # fmt: skip
"""Settings of its RunningGAN_Train.py and cfg.py; this rank logs nothing."""
TTS_GAN_RATES = (1e-4, 3e-4)
"""Learning rates of the generator and the discriminator."""
TTS_GAN_PATCHES = 10
"""Patches in its own series: 10 of 15 steps in 150."""


def diffusion_ts(checkout: str, series: Tensor, config: str, count: int) -> tuple[Tensor, dict[str, float]]:
    """Series (N, T, C) in -1..1 -> `count` samples, the times and the number of parameters."""
    sys.path.insert(0, checkout)
    from engine.solver import Trainer
    from Utils.io_utils import instantiate_from_config, load_yaml_config

    if not hasattr(np, "row_stack"):  # newer releases of NumPy lack it
        np.row_stack = np.vstack
    settings = load_yaml_config(f"{checkout}/Config/{config}.yaml")
    settings["model"]["params"] |= {"seq_length": series.shape[1], "feature_size": series.shape[2]}
    # Its trainer makes a folder for checkpoints; there are none here.
    settings["solver"] |= {"results_folder": "runs/diffusion-ts", "save_cycle": sys.maxsize}

    class Windows(TensorDataset):
        def __getitem__(self, index: int) -> Tensor:
            return super().__getitem__(index)[0]

    loader = DataLoader(Windows(series), settings["dataloader"]["batch_size"], shuffle=True, drop_last=True)
    model = instantiate_from_config(settings["model"])
    trainer = Trainer(settings, SimpleNamespace(name=config), model, {"dataloader": loader})
    started = time.perf_counter()
    trainer.train()
    trained = time.perf_counter()
    made = trainer.sample(count, 2001, series.shape[1:])[:count]  # the batch size of its main.py
    times = {"training_seconds": trained - started, "sampling_seconds": time.perf_counter() - trained}
    return torch.from_numpy(made).float(), times | {"parameters": sum(p.numel() for p in model.parameters())}


def tts_gan(checkout: str, series: Tensor, minutes: float, count: int) -> tuple[Tensor, dict[str, float]]:
    """Series (N, T, C) in -1..1 -> `count` samples, the times and the number of parameters."""
    sys.path.insert(0, checkout)
    stubs = ("cv2", "imageio", "torchsummary", "torchvision", "utils.torch_fid_score")
    sys.meta_path.insert(0, Stubs(stubs))
    log(f"tts-gan: empty modules for {', '.join(stubs)}; no CUDA")
    from functions import copy_params, load_params, train
    from GANModels import Discriminator, Generator

    torch.cuda.FloatTensor = torch.FloatTensor
    Tensor.get_device = lambda tensor: "cpu"  # -1 on a CPU, which is no device
    steps, channels = series.shape[1:]
    generator = Generator(seq_len=steps, channels=channels)
    patch = max((size for size in range(1, steps // TTS_GAN_PATCHES + 1) if steps % size == 0), default=1)
    discriminator = Discriminator(in_channels=channels, patch_size=patch, seq_length=steps)
    rates = zip((generator, discriminator), TTS_GAN_RATES, strict=True)
    optimizers = [torch.optim.Adam(network.parameters(), rate, (0.9, 0.999)) for network, rate in rates]
    average = copy_params(generator)
    pictures = TensorDataset(series.transpose(1, 2)[:, :, None], torch.zeros(len(series)))
    loader = DataLoader(pictures, TTS_GAN["dis_batch_size"], shuffle=True)
    state = {"writer": MagicMock(), "train_global_steps": 0}
    started = time.perf_counter()
    arguments, epoch = SimpleNamespace(**TTS_GAN), 0
    with without_cuda():
        while time.perf_counter() - started < 60 * minutes:
            train(arguments, generator, discriminator, *optimizers, average, loader, epoch, state, None)
            epoch += 1
        trained = time.perf_counter()
        load_params(generator, average, arguments, mode="cpu")
    generator.eval()
    with torch.no_grad():
        made = torch.cat([generator(z) for z in torch.randn(count, TTS_GAN["latent_dim"]).split(1000)])
    times = {"training_seconds": trained - started, "sampling_seconds": time.perf_counter() - trained}
    numbers = {"steps": state["train_global_steps"], "parameters": sum(p.numel() for p in generator.parameters())}
    return made[:, :, 0].transpose(1, 2), times | numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="data as for `sparring train`")
    parser.add_argument("--window", type=int)
    parser.add_argument("--diffusion-ts", metavar="CHECKOUT")
    parser.add_argument("--config", default="stocks", help="a name in its Config folder")
    parser.add_argument("--tts-gan", metavar="CHECKOUT")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--num", type=int, help="number of samples; unset: as many as the data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if bool(arguments.diffusion_ts) == bool(arguments.tts_gan):
        parser.error("give one checkout: --diffusion-ts or --tts-gan")
    torch.manual_seed(arguments.seed)
    np.random.seed(arguments.seed)
    data = open_dataset(arguments.data, window=arguments.window)
    stored, _ = data.batch(torch.arange(len(data)))
    series = data.channels.restore(stored).transpose(1, 2)
    least, greatest = series.amin((0, 1)), series.amax((0, 1))
    scaled = (series - least) / (greatest - least) * 2 - 1
    count = arguments.num or len(data)
    if arguments.diffusion_ts:
        made, taken = diffusion_ts(str(Path(arguments.diffusion_ts).resolve()), scaled, arguments.config, count)
    else:
        made, taken = tts_gan(str(Path(arguments.tts_gan).resolve()), scaled, arguments.minutes, count)
    np.savez(arguments.out, samples=((made + 1) / 2 * (greatest - least) + least).numpy())
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
