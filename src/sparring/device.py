"""Choice of device, precision and number of threads, with the reason."""

import os
import time
from collections.abc import Callable

import torch

from sparring.settings import ConfigError


def choose_device(name: str) -> torch.device:
    """The named device; "auto" is CUDA, else MPS, else the CPU. A missing device raises `ConfigError`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros((), device=device)
    except Exception as error:  # each backend that is not here fails in its own way, some by a missing module
        available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        if torch.backends.mps.is_available():
            available.append("mps")
        raise ConfigError(f"--device {name} is not available; available: {', '.join(available)}") from error
    if device.type == "meta":
        raise ConfigError("--device meta cannot compute: use cpu, cuda or mps")
    return device


def choose_dtype(precision: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The type of matrix products, and the reason. Logits, losses and penalties are always float32."""
    if precision == "float32":
        return torch.float32, "float32 as asked"
    if precision == "bfloat16":
        return torch.bfloat16, "bfloat16 as asked"
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16, "bfloat16, which this GPU multiplies fastest"
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _multiplies_bfloat16():
        return torch.bfloat16, "bfloat16, which this CPU multiplies fastest"
    return torch.float32, f"float32, as this {device.type.upper()} does not multiply bfloat16 faster"


PROBES, LONG_PROBE, MAX_SLOWDOWN = 3, 1.0, 3.0


def choose_threads(probe: Callable[[], object] | None, device: torch.device) -> tuple[int, str]:
    """The number of CPU threads and the reason: one thread or PyTorch's default, whichever runs `probe` faster.

    Threads of small networks mostly wait for each other: on cores that are shared with other programs, one thread can
    be twenty times as fast as two. Without a `probe`, or with `OMP_NUM_THREADS`, it is PyTorch's default.
    """
    many = torch.get_num_threads()
    if probe is None or device.type != "cpu" or many == 1 or "OMP_NUM_THREADS" in os.environ:
        return many, "PyTorch's default"
    try:
        torch.set_num_threads(1)
        alone = _least_seconds(probe, LONG_PROBE)
        if alone > LONG_PROBE:
            return many, "because the networks are large"
        torch.set_num_threads(many)
        together = _least_seconds(probe, MAX_SLOWDOWN * alone)
    finally:
        torch.set_num_threads(many)
    if alone < together:
        return 1, f"{together / alone:.1f} times as fast as {many} here"
    return many, f"{alone / together:.1f} times as fast as one"


def _least_seconds(probe: Callable[[], object], enough: float) -> float:
    """The shortest time of a few calls; a call longer than `enough` is the last."""
    probe()  # the first call allocates
    times: list[float] = []
    while len(times) < PROBES and not (times and times[-1] > enough):
        start = time.perf_counter()
        probe()
        times.append(time.perf_counter() - start)
    return min(times)


def _multiplies_bfloat16() -> bool:
    """Whether the CPU has matrix instructions for bfloat16; without them bfloat16 is emulated and slower."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
