"""Training steps of published GANs in their authors' own code, imported from checkouts, for `step.py --gat PATH` etc.

    git clone https://github.com/hse1032/GAT
    git clone https://github.com/ByteDance-Seed/Adversarial-Flow-Models     # and DiT's models.py as its README says
    git clone https://github.com/brownvc/R3GAN
    pip install --target packages timm einops omegaconf --no-deps && export PYTHONPATH=packages

Networks, losses, penalties and, where the trainer lets itself be called, the step are theirs, with their settings; what
cannot be had on a CPU is replaced on import and named on stderr. Each function takes a checkout, the setting, the
precision, what draws a batch and our number of parameters, and returns the step and its number of parameters. A step
updates both networks and the average once, with one batch of pictures each where theirs takes a batch for each.
"""

import contextlib
import copy
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import torch
from torch import Tensor, nn
from torch.torch_version import TorchVersion

if TYPE_CHECKING:
    from step import Setting

Step = Callable[[], object]
Build = Callable[[str, "Setting", torch.dtype, Callable[[], Tensor], int], tuple[Step, int]]
CLASSES = 10
"""GAT and AFM know no training without classes; labels are random."""


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty modules in the place of some that are missing: logging, image and file libraries that no step calls."""

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
def load(path: str, names: tuple[str, ...], missing: tuple[str, ...]) -> list[ModuleType]:
    """Modules of a checkout, without `missing` ones; others may use the same names afterwards."""
    root = str(Path(path).resolve())
    missing = tuple(name for name in missing if importlib.util.find_spec(name) is None)
    stubs, before = Stubs(missing), set(sys.modules)
    sys.path.insert(0, root)
    sys.meta_path.insert(0, stubs)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # AFM's log goes where it finds stdout now
            return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(root)
        sys.meta_path.remove(stubs)
        for name in set(sys.modules) - before:
            module = sys.modules[name]
            if isinstance(module, MagicMock) or str(getattr(module, "__file__", None)).startswith(root):
                del sys.modules[name]
        say(f"{Path(path).name}: empty modules for {', '.join(missing) or 'none'}")


@functools.cache
def say(what: str) -> None:
    """Once only."""
    print(f"  {what}", file=sys.stderr)


class Wrapped(nn.Module):
    """A network as Accelerate and DistributedDataParallel hand it out: under autocast, with float32 for output."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = module, dtype

    def forward(self, *inputs: Tensor, **named: object) -> Tensor:
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            return self.module(*inputs, **named).float()


def _shape(setting: "Setting") -> dict[str, int]:
    """What GAT and AFM, both after DiT, call alike."""
    return {
        "input_size": setting.picture[1],
        "patch_size": setting.picture[1] // setting.rows,
        "in_channels": setting.picture[0],
        "hidden_size": setting.width,
        "num_heads": setting.heads,
        "num_classes": CLASSES,
    }


def gat(path: str, setting: "Setting", dtype: torch.dtype, draw: Callable[[], Tensor], ours: int) -> tuple[Step, int]:
    """Hyun et al. 2025, "Scalable GANs with Transformers": train.py without the teacher (its `--enc-type None`)."""
    names = ("train", "models.generator", "models.discriminator", "losses")
    train, generators, discriminators, losses = load(path, names, ("accelerate", "diffusers", "wandb", "torchvision"))
    say("GAT: no DINOv2 teacher (--enc-type None), no VAE, D's head as wide as the network")
    if setting.depth % 4:
        say(f"GAT: its four outputs are read from {setting.depth} blocks, as evenly as they allow")
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

    return step, _trainable(generator, discriminator)


def afm(path: str, setting: "Setting", dtype: torch.dtype, draw: Callable[[], Tensor], ours: int) -> tuple[Step, int]:
    """Lin et al. 2025, "Adversarial Flow Models": its ImageNet trainer with configs/train/afm/train_afm_1nfe.yaml."""
    names = ("train_adversarial_flow_imagenet", "models.afm.dit.generator", "models.afm.dit.discriminator")
    missing = ("kornia", "torchvision", "wandb", "pandas", "deepdiff", "diffusers")
    module, generators, discriminators = load(path, names, missing)
    say("AFM: no VAE, one process; for bfloat16 autocast around its networks, which have none")
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

    return step, _trainable(trainer.gen, trainer.dis)


def r3gan(path: str, setting: "Setting", dtype: torch.dtype, draw: Callable[[], Tensor], ours: int) -> tuple[Step, int]:
    """Huang et al. 2024, "The GAN is dead; long live the GAN!": convolutions, about as many parameters as ours."""
    losses, networks = load(path, ("training.loss", "training.networks"), ("requests", "pkg_resources"))
    say("R3GAN: its own fallbacks for its CUDA kernels, no augmentation")
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

    return step, _trainable(generator, discriminator)


def _trainable(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters() if p.requires_grad)


PEERS: dict[str, Build] = {"GAT": gat, "AFM": afm, "R3GAN": r3gan}
