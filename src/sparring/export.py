"""Exports a trained GAN to a file that runs without Sparring: ONNX, or PyTorch's `.pt2`. The codec's decoder is inside.

Inputs: `z` (B, z_size), standard normal; `truncation_psi` (B,), 1 for no truncation; for a conditioned GAN `condition`,
class numbers (B,) int64 or numbers (B, K) float32, as the metadata say. Output: `samples` (B, *sample_shape), pixels in
[-1, 1], series in their own units with NaN after their ends, or token numbers of texts. B is any batch size.
"""

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

import sparring
from sparring.config import ConfigError
from sparring.files import write_atomic
from sparring.pretrained import GAN, run_json
from sparring.privacy import without_paths
from sparring.sampling import FEW_MEAN_SAMPLES, draw_z, mean_of_each, mean_w

OPSET = 18
TOLERANCE = {"float32": 1e-4, "float16": 2e-2}
"""Maximum of `Modality.difference` from PyTorch's samples; a modality may allow more for rounding."""
MIN_HALVED = 256
"""Weights with fewer values stay in float32."""
CHECKED = 16
"""Samples compared with PyTorch's."""
FORMATS = {".onnx": "onnx", ".pt2": "pt2"}

Precision = Literal["float32", "float16"]
Runner = Callable[[dict[str, Tensor]], Tensor]


class Sampler(nn.Module):
    """The exported module: `GAN.decode` with one truncation psi per sample, on tensors only."""

    def __init__(self, gan: GAN) -> None:
        super().__init__()
        # a copy, so that the GAN stays on its device
        self.generator, self.codec = copy.deepcopy(gan.generator).cpu(), copy.deepcopy(gan.codec).cpu()
        self.spec, self.modality = gan.spec, gan.modality
        table = gan.spec.condition.table()
        self.register_buffer("mean_w", None if table is None else mean_w(self.generator, table).clone())
        self.register_buffer(
            "mean_z", draw_z(FEW_MEAN_SAMPLES, self.generator.z_dim, seed=0) if table is None else None
        )
        self.eval().requires_grad_(False)

    mean_w: Tensor | None
    """(conditions, width): the mean of w under each condition, if their number is finite."""
    mean_z: Tensor | None
    """(S, z_dim): otherwise the z whose w are averaged."""

    def forward(self, z: Tensor, truncation_psi: Tensor, condition: Tensor | None = None) -> Tensor:
        """See the top of this file."""
        global_z, noise = self.generator.split(z)
        w = self.generator.mapping(global_z, condition)
        mean, psi = self._mean(condition), truncation_psi[:, None]
        tokens = self.generator.synthesize(mean + psi * (w - mean), noise * psi[..., None])
        return self.modality.to_user_tensor(self.codec.decode(self.codec.unpatchify(tokens)), self.spec)

    def _mean(self, condition: Tensor | None) -> Tensor:
        if self.mean_w is not None:
            return self.mean_w if condition is None else self.mean_w[condition]
        assert condition is not None, "a GAN conditioned on numbers needs a condition"
        assert self.mean_z is not None
        return mean_of_each(self.generator, self.mean_z, condition)

    def inputs(self, num: int, seed: int = 0) -> dict[str, Tensor]:
        """Random z, and all conditions in turn."""
        inputs = {"z": draw_z(num, self.generator.z_size, seed=seed), "truncation_psi": torch.ones(num)}
        if self.spec.condition.size:
            inputs["condition"] = self.spec.condition.spread(num)
        return inputs


@dataclass(frozen=True)
class Exported:
    """A written file of `size` bytes. `difference` is that of its samples from PyTorch's."""

    path: Path
    precision: str
    size: int
    difference: float


def export(gan: GAN, path: Path, *, precision: Precision = "float32", licence: str | None = None) -> Exported:
    """Writes `path`, .onnx or .pt2, and checks it against PyTorch on random inputs.

    float16 weights are half as large; the computation is in float32, which every runtime supports. The metadata hold
    the configuration and `licence`. Raises `ConfigError` for another suffix, a missing extra, or samples that differ
    from PyTorch's; then `path` is unchanged.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(f"--out {path} must end in {' or '.join(FORMATS)}")
    if suffix == ".pt2" and precision != "float32":
        raise ConfigError("a .pt2 file holds float32 weights: drop --precision, or export to .onnx")
    sampler, facts = Sampler(gan), metadata(gan, licence)
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".onnx":
        content = onnx_bytes(sampler, precision, facts)
        found = checked(sampler, onnx_runner(content), precision)
    else:
        content = _pt2_bytes(sampler, facts)
        found = checked(sampler, _pt2_runner(content), precision)
    write_atomic(path, lambda temporary: temporary.write_bytes(content))
    return Exported(path, precision, path.stat().st_size, found)


def checked(sampler: Sampler, run: Runner, precision: Precision) -> float:
    """The `difference`; raises `ConfigError` if it is larger than the tolerance."""
    found = difference(sampler, run)
    allowed = max(TOLERANCE[precision], sampler.modality.tolerance)
    if found > allowed:
        raise ConfigError(
            f"the exported model's samples differ from PyTorch's by {found:.1e}, more than {allowed:.0e}; nothing was "
            "written: report this with the run's config.json"
        )
    return found


def metadata(gan: GAN, licence: str | None) -> dict[str, str]:
    """The metadata of the file: origin, licence, shapes and configuration."""
    facts = run_json(without_paths(gan.config), gan.spec)
    return {
        "producer": f"sparring {sparring.__version__}",
        "licence": licence or "not stated",
        "sample_shape": json.dumps(list(gan.spec.sample_shape)),
        "condition": json.dumps(gan.spec.condition.to_dict()),
        "config": json.dumps(facts["config"]),
        "data": json.dumps(facts["data"]),
    }


def onnx_bytes(sampler: Sampler, precision: Precision, facts: dict[str, str]) -> bytes:
    """The content of the ONNX file; needs the extra `export`."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(f'ONNX needs the package {error.name}: pip install "sparring[export]"') from None
    inputs = sampler.inputs(2)
    with _quiet():
        program = torch.onnx.export(
            sampler,
            kwargs=inputs,
            input_names=list(inputs),
            output_names=["samples"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=_any_batch(inputs),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    if precision == "float16":
        _halve(model)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]  # source locations, half the file
    for name, value in facts.items():
        model.metadata_props.add(key=name, value=value)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _halve(model: Any) -> None:
    """Stores float32 weights in float16, with a cast node to float32 for each."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < MIN_HALVED:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _pt2_bytes(sampler: Sampler, facts: dict[str, str]) -> bytes:
    inputs, content = sampler.inputs(2), io.BytesIO()
    with _quiet():
        program = torch.export.export(sampler, (), kwargs=inputs, dynamic_shapes=_any_batch(inputs))
        for node in program.graph.nodes:  # source locations with paths of this machine
            node.meta.pop("stack_trace", None)
            node.meta.pop("nn_module_stack", None)
        torch.export.save(program, content, extra_files=dict(facts))
    return content.getvalue()


def _any_batch(inputs: dict[str, Tensor]) -> dict[str, Any]:
    batch = torch.export.Dim("batch")
    return {name: {0: batch} for name in inputs}


def onnx_runner(content: bytes) -> Runner:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError('checking an ONNX file needs onnxruntime: pip install "sparring[export]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, Tensor]) -> Tensor:
        (samples,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        return torch.from_numpy(samples)

    return run


def _pt2_runner(content: bytes) -> Runner:
    program = torch.export.load(io.BytesIO(content)).module()
    return lambda inputs: program(**inputs)


@torch.inference_mode()
def difference(sampler: Sampler, run: Runner) -> float:
    """The difference between the outputs of `run` and of the sampler, by `Modality.difference`."""
    pairs = []
    for num in (1, CHECKED):  # two batch sizes, to check that the axis is dynamic
        inputs = sampler.inputs(num, seed=1)
        pairs.append((sampler(**inputs), run(inputs)))
    expected, found = (torch.cat(part) for part in zip(*pairs, strict=True))
    return sampler.modality.difference(expected, found)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's log and warnings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
