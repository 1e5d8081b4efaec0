"""Sparring: adversarial generation with transformers.

import sparring
gan = sparring.load("runs/digits")
x = gan.sample(16, seed=0, condition=3)  # (16, 1, 28, 28), float in [-1, 1]
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sparring import presets
    from sparring.config import Config, ConfigError
    from sparring.data import DataError
    from sparring.modalities.registry import open_dataset
    from sparring.pretrained import GAN, CheckpointError, load
    from sparring.training.run import train

# Imported on first use, and PyTorch with them.
_LAZY = {
    "presets": "sparring.presets",
    "Config": "sparring.config",
    "ConfigError": "sparring.config",
    "DataError": "sparring.data",
    "open_dataset": "sparring.modalities.registry",
    "GAN": "sparring.pretrained",
    "CheckpointError": "sparring.pretrained",
    "load": "sparring.pretrained",
    "train": "sparring.training.run",
}

__all__ = [
    "GAN",
    "CheckpointError",
    "Config",
    "ConfigError",
    "DataError",
    "__version__",
    "load",
    "open_dataset",
    "presets",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'sparring' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    return module if name == "presets" else getattr(module, name)
