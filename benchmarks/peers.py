"""Training steps of published GANs in their authors' own code, imported from checkouts, for `step.py --gat PATH` etc.

    git clone https://github.com/hse1032/GAT
    git clone https://github.com/ByteDance-Seed/Adversarial-Flow-Models     # and DiT's models.py as its README says
    git clone https://github.com/brownvc/R3GAN
    pip install --target packages timm einops omegaconf --no-deps && export PYTHONPATH=packages
    pip install --target StyleGAN2 stylegan2_pytorch kornia --no-deps

Networks, losses, penalties and, if their trainer can be called, the step are theirs, with their settings. Parts that
need a GPU or other packages are replaced on import and named on stderr. Each function takes a checkout, the setting,
the precision, a function that draws a batch and our number of parameters; it returns the step and its number of
parameters. A step updates both networks and the EMA once, with a batch for each network if theirs does so. If theirs
does some work only every few steps, each kind of step is returned with its share.
"""

import bisect
import contextlib
import copy
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from unittest.mock import MagicMock, patch

import torch
from torch import Tensor, nn
from torch.torch_version import TorchVersion

if TYPE_CHECKING:
    from step import Setting

Steps = dict[Callable[[], object], float]
"""Kinds of step and the share of each."""
Build = Callable[[str, "Setting", torch.dtype, Callable[[], Tensor], int], tuple[Steps, int]]
CLASSES = 10
"""Classes of GAT and AFM, which cannot be trained without; labels are random."""


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty modules in place of missing ones: libraries for logs, images and files that no step calls."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name in self.names or name.partition(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> MagicMock:
        return MagicMock(name=spec.name, parse_version=TorchVersion)  # which pkg_resources has

    def exec_module(self, module: ModuleType) -> None:
        pass


@functools.cache
def load(path: str, names: tuple[str, ...], missing: tuple[str, ...], cuda: bool = False) -> list[ModuleType]:
    """Modules of a checkout, with stubs for `missing` ones; another checkout may use the same names afterwards.

    With `cuda`, PyTorch reports a GPU while they are imported.
    """
    root = str(Path(path).resolve())
    missing = tuple(name for name in missing if importlib.util.find_spec(name) is None)
    stubs, before = Stubs(missing), set(sys.modules)
    sys.path.insert(0, root)
    sys.meta_path.insert(0, stubs)
    reported = patch("torch.cuda.is_available", lambda: True) if cuda else contextlib.nullcontext()
    try:
        with reported, contextlib.redirect_stdout(sys.stderr):  # AFM keeps this stdout for its log
            return [importlib.import_module(name) for name in names]
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"{path} does not load ({error}): give the folder of a checkout, with what it needs installed"
        ) from None
    finally:
        sys.path.remove(root)
        sys.meta_path.remove(stubs)
        for name in set(sys.modules) - before:
            module = sys.modules[name]
            if isinstance(module, MagicMock) or str(getattr(module, "__file__", None)).startswith(root):
                del sys.modules[name]
        gpu = "; PyTorch reported CUDA on import" if cuda else ""
        log(f"{Path(path).name}: empty modules for {', '.join(missing) or 'none'}{gpu}")


@functools.cache
def log(line: str) -> None:
    """Prints each line only once."""
    print(f"  {line}", file=sys.stderr)


@contextlib.contextmanager
def without_cuda() -> Iterator[None]:
    """Makes `.cuda()` of tensors and networks do nothing."""
    with patch.object(Tensor, "cuda", lambda x, *_, **__: x), patch.object(nn.Module, "cuda", lambda x, *_: x):
        yield


def lowered(call: Callable, dtype: torch.dtype, *inputs: Tensor, **named: object) -> Tensor | tuple[Tensor, ...]:
    """Calls a network under autocast; its output is float32."""
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        found = call(*inputs, **named)
    return found.float() if isinstance(found, Tensor) else tuple(x.float() for x in found)


class Wrapped(nn.Module):
    """A network as Accelerate and DistributedDataParallel wrap it, `lowered`."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = module, dtype

    def forward(self, *inputs: Tensor, **named: object) -> Tensor | tuple[Tensor, ...]:
        return lowered(self.module, self.dtype, *inputs, **named)


def _shape(setting: "Setting") -> dict[str, int]:
    """The arguments that GAT and AFM, both based on DiT, share."""
    return {
        "input_size": setting.picture[1],
        "patch_size": setting.picture[1] // setting.rows,
        "in_channels": setting.picture[0],
        "hidden_size": setting.width,
        "num_heads": setting.heads,
        "num_classes": CLASSES,
    }


def gat(path: str, setting: "Setting", dtype: torch.dtype, draw: Callable[[], Tensor], ours: int) -> tuple[Steps, int]:
    """Hyun et al. 2025, "Scalable GANs with Transformers": train.py without the teacher (its `--enc-type None`)."""
    names = ("train", "models.generator", "models.discriminator", "losses")
    train, generators, discriminators, losses = load(path, names, ("accelerate", "diffusers", "wandb", "torchvision"))
    log("GAT: no DINOv2 teacher (--enc-type None), no VAE, D's head as wide as the network")
    if setting.depth % 4:
        log(f"GAT: its four outputs are read from {setting.depth} blocks, as evenly as they allow")
    options = train.parse_args(["--exp-name", "speed"])
    shape = {
        **_shape(setting),
        "z_dims": [0],
        "fused_attn": options.fused_attn,
        "qk_norm": options.qk_norm,
    }
    generator = generators.GAT(depth=4 * math.ceil(setting.depth / 4), **shape)
    generator.blocks = generator.blocks[: setting.depth]
    generator.rgb_indice = [math.ceil(place * setting.depth / 4) - 1 for place in (1, 2, 3, 4)]
    discriminator = discriminators.GATD(depth=setting.depth, cmap_dim=setting.width, **shape)
    average = copy.deepcopy(generator).requires_grad_(False)
    loss = losses.RpGANLoss(
        r1_every=options.R1_every,
        r1_gamma=options.R1_gamma,
        r2_every=options.R2_every,
        r2_gamma=options.R2_gamma,
        approximate=True,
    )
    networks = {"disc": Wrapped(discriminator, dtype), "gen": Wrapped(generator, dtype)}
    optimizers = {
        name: torch.optim.AdamW(
            network.parameters(),
            options.learning_rate,
            betas=(options.adam_beta1, options.adam_beta2),
            eps=options.adam_epsilon,
            weight_decay=options.adam_weight_decay,
        )
        for name, network in networks.items()
    }

    def step() -> None:
        pictures = draw()
        for name, network in networks.items():
            network.requires_grad_(True)
            kwargs = {"y": torch.randint(CLASSES, (len(pictures),))}
            value, *_ = getattr(loss, f"step_{name}")(
                networks["gen"], networks["disc"], None, pictures, None, 0, model_kwargs=kwargs
            )
            value.mean().backward()
            nn.utils.clip_grad_norm_(network.parameters(), options.max_grad_norm)
            optimizers[name].step()
            optimizers[name].zero_grad(set_to_none=True)
            if name == "gen":
                train.update_ema(average, generator)
            network.requires_grad_(False)

    return {step: 1.0}, _trainable(generator, discriminator)


def afm(path: str, setting: "Setting", dtype: torch.dtype, draw: Callable[[], Tensor], ours: int) -> tuple[Steps, int]:
    """Lin et al. 2025, "Adversarial Flow Models": its ImageNet trainer with configs/train/afm/train_afm_1nfe.yaml."""
    names = ("train_adversarial_flow_imagenet", "models.afm.dit.generator", "models.afm.dit.discriminator")
    missing = ("kornia", "torchvision", "wandb", "pandas", "deepdiff", "diffusers")
    module, generators, discriminators = load(path, names, missing)
    log("AFM: no VAE, one process; in bfloat16 autocast around its networks, which have none")
    module.get_device = lambda: torch.device("cpu")
    trainer = object.__new__(module.AdversarialFlowTrainer)
    trainer.config = module.OmegaConf.load(Path(path) / "configs/train/afm/train_afm_1nfe.yaml")
    trainer.resume = trainer.cls = None
    shape = {
        **_shape(setting),
        "depth": setting.depth,
        "learn_sigma": False,
        "class_dropout_prob": 0.0,
    }
    trainer.gen = Wrapped(generators.Generator(**shape), dtype)
    trainer.dis = Wrapped(discriminators.Discriminator(**shape), dtype)
    trainer.ema = copy.deepcopy(trainer.gen)
    trainer.dis_trainable_params = [p for p in trainer.dis.parameters() if p.requires_grad]
    trainer.vae_encode = lambda pictures: pictures
    trainer.configure_optimizers()
    trainer.configure_gradient_capture()

    def step() -> None:
        for number in (0, 1):  # the discriminator's, the generator's
            pictures = draw()
            inputs = trainer.prepare_input({"image": pictures, "label": torch.randint(CLASSES, (len(pictures),))})
            values, _ = trainer.training_step(number, **inputs)
            values["loss/total"].backward()
            trainer.optimizer_step(number)
            trainer.ema_step(number)

    return {step: 1.0}, _trainable(trainer.gen, trainer.dis)


def r3gan(
    path: str, setting: "Setting", dtype: torch.dtype, draw: Callable[[], Tensor], ours: int
) -> tuple[Steps, int]:
    """Huang et al. 2024, "The GAN is dead; long live the GAN!": convolutional, with about our number of parameters."""
    losses, networks = load(path, ("training.loss", "training.networks"), ("requests", "pkg_resources"))
    log("R3GAN: its own fallbacks for its CUDA kernels, no augmentation")
    stages = int(math.log2(setting.picture[1])) - 1  # from 4×4 up

    def build(width: int) -> tuple[nn.Module, nn.Module]:
        shared = {
            "WidthPerStage": stages * [width],
            "CardinalityPerStage": stages * [width // 8],
            "BlocksPerStage": stages * [2],
            "ExpansionFactor": 2,
            "c_dim": 0,
            "img_resolution": setting.picture[1],
        }
        low = [] if dtype == torch.float32 else list(range(1, stages))  # the stage at 4×4 stays in float32
        return (
            networks.Generator(NoiseDimension=64, FP16Stages=low, **shared),
            networks.Discriminator(FP16Stages=[place - 1 for place in low], **shared),
        )

    with torch.device("meta"):
        width = min(range(8, 513, 8), key=lambda width: abs(_trainable(*build(width)) - ours))
    generator, discriminator = build(width)
    average = copy.deepcopy(generator).requires_grad_(False)
    loss = losses.R3GANLoss(generator, discriminator)
    phases = [
        (name, network, torch.optim.Adam(network.parameters(), 2e-4, betas=(0.0, 0.9)))
        for name, network in (("D", discriminator), ("G", generator))
    ]

    def step() -> None:
        for name, network, optimizer in phases:
            pictures = draw()
            optimizer.zero_grad(set_to_none=True)
            network.requires_grad_(True)
            z = torch.randn(len(pictures), generator.z_dim)
            loss.accumulate_gradients(name, pictures, None, z, gamma=0.05, gain=1)
            network.requires_grad_(False)
            optimizer.step()
        with torch.no_grad():
            for averaged, current in zip(average.parameters(), generator.parameters(), strict=True):
                averaged.copy_(current.lerp(averaged, 0.999))

    return {step: 1.0}, _trainable(generator, discriminator)


def stylegan2(
    path: str, setting: "Setting", dtype: torch.dtype, draw: Callable[[], Tensor], ours: int
) -> tuple[Steps, int]:
    """Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN": `train` of Wang's port to PyTorch.

    Its defaults, latents and feature maps of at most 512 channels at a capacity of 16, are scaled nearly in proportion
    to about our number of parameters. Late in training it has a gradient penalty every 4th step, a path-length penalty
    every 32nd and an EMA update every 10th; a turn with the right share of each would have 160 steps.
    """
    missing = ("aim", "einops", "fire", "kornia_rs", "torchvision", "tqdm", "vector_quantize_pytorch")
    (module,) = load(path, ("stylegan2_pytorch.stylegan2_pytorch",), missing, cuda=True)
    log("StyleGAN2: .cuda() does nothing, no files are written; in bfloat16 autocast around its networks, not Apex")
    module.Trainer.init_folders = lambda trainer: None

    def shape(capacity: int, width: int) -> dict[str, int]:
        return {
            "image_size": setting.picture[1],
            "network_capacity": capacity,
            "fmap_max": width,
            "latent_dim": width,
        }

    def count(capacity: int, width: int) -> int:
        with torch.device("meta"), without_cuda():
            return _trainable(module.StyleGAN2(**shape(capacity, width)))

    doublings = setting.picture[1] // 2  # the generator's widest maps over its capacity
    most = 512 // doublings  # its EMA has at most 512 channels for any `fmap_max`
    capacities = [n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if n <= most]  # 13 takes a fifth longer than 12
    near = bisect.bisect_left(capacities, ours, key=lambda capacity: count(capacity, 32 * capacity))
    choices = [
        (capacity, 4 * capacity * eighths)
        for capacity in capacities[max(0, near - 1) : near + 2]
        for eighths in (6, 7, 8, 9, 10, 12, 16)
        if 4 * eighths >= doublings
    ]

    def miss(choice: tuple[int, int]) -> tuple[float, float]:
        capacity, width = choice
        return max(0.05, abs(count(capacity, width) / ours - 1)), abs(math.log(width / capacity / 32))

    best = min(choices, key=miss)  # if several are within 5% of ours, the one nearest to its proportion
    never = 10**9
    trainer = module.Trainer(batch_size=setting.batch, save_every=never, evaluate_every=never, **shape(*best))
    trainer.loader = (draw() for _ in itertools.count())
    with without_cuda():
        trainer.init_GAN()
    gan = trainer.GAN
    for network in (gan.S, gan.G, gan.D):
        network.forward = functools.partial(lowered, network.forward, dtype)

    def step(number: int) -> None:
        trainer.steps = number
        with without_cuda():
            trainer.train()

    late = 25_024  # all three have begun, and the EMA is no longer reset; none of these steps updates the EMA
    lengths, gradients, neither = (functools.partial(step, late + more) for more in (0, 4, 1))
    return {lengths: 1 / 32, gradients: 1 / 4 - 1 / 32, neither: 3 / 4, gan.EMA: 1 / 10}, _trainable(gan)


def _trainable(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters() if p.requires_grad)


PEERS: dict[str, Build] = {"GAT": gat, "AFM": afm, "R3GAN": r3gan, "StyleGAN2": stylegan2}
