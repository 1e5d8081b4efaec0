"""Fine-tuning: initial weights from another run."""

import dataclasses

from sparring.build import Networks
from sparring.config import Config, ConfigError
from sparring.data.spec import DataSpec
from sparring.files import load_tensors
from sparring.migration import present_name
from sparring.pretrained import find_run, read_config


def load_weights(config: Config, spec: DataSpec, networks: Networks) -> str:
    """Loads the weights of the run `config.train.init_from`; returns a line for the log.

    Weights that belong to the condition or to changed settings keep their initial values where the shapes differ.
    Raises `ConfigError` for a run on other kinds of samples or with another codec.
    """
    assert config.train.init_from is not None, "only such a run has a start"
    name = config.train.init_from
    folder = find_run(name)
    theirs, their_spec = read_config(folder)
    if not dataclasses.replace(their_spec, condition=spec.condition).like(spec):
        raise ConfigError(
            f"--from {name} makes {their_spec.modality} samples of shape {their_spec.sample_shape}, and "
            f"{config.data.path} has {spec.modality} samples of shape {spec.sample_shape}"
            + (" with another vocabulary" if their_spec.vocabulary != spec.vocabulary else "")
            + (" with other channels" if their_spec.channel_names != spec.channel_names else "")
            + ": give data of the same kind, e.g. with --resolution, --window or --length"
        )
    if theirs.codec != config.codec:
        raise ConfigError(f"--from {name} has another codec ({theirs.codec.name}): drop the changes to --codec")
    weights = {present_name(key): value for key, value in load_tensors(folder / "model.safetensors")[0].items()}
    own = networks.state_dict()
    fitting = {key: value for key, value in weights.items() if key in own and own[key].shape == value.shape}
    networks.load_state_dict(own | fitting)
    line = f"starts from the weights of {name}"
    fresh = sorted(own.keys() - fitting.keys())
    return line + (f", but for {len(fresh)} of {len(own)} tensors, which do not fit: {fresh[0]}, ..." if fresh else "")
