"""Which device to use and in what precision, and why."""

import torch

from sparring.config import ConfigError


def choose_device(name: str) -> torch.device:
    """CUDA, then MPS, then the CPU for "auto"; a device that is not there raises `ConfigError`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        if torch.backends.mps.is_available():
            there.append("mps")
        raise ConfigError(f"--device {name} is not here; there is: {', '.join(there)}") from error
    if device.type == "meta":
        raise ConfigError("--device meta holds no numbers: use cpu, cuda or mps")
    return device


def choose_dtype(precision: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The type of the matrix products and the reason, in words. Logits, losses and penalties are always float32."""
    if precision == "float32":
        return torch.float32, "float32 as asked"
    if precision == "bfloat16":
        return torch.bfloat16, "bfloat16 as asked"
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16, "bfloat16, which this GPU multiplies fastest"
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _multiplies_bfloat16():
        return torch.bfloat16, "bfloat16, which this CPU multiplies fastest"
    return torch.float32, f"float32, as this {device.type.upper()} does not multiply bfloat16 faster"


def _multiplies_bfloat16() -> bool:
    """Whether the CPU has matrix instructions for bfloat16; without them it is emulated, and slower."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
