"""The plug-in is registered for the tests of this folder alone: others must not find its metric measured."""

import pytest

from sparring.codecs.settings import CODECS
from sparring.critics.settings import VIEWS
from sparring.metrics.metric import EXTRAS
from sparring.metrics.scores import SCORES

REGISTRIES = (CODECS, VIEWS, EXTRAS, SCORES)
_before = [set(registry) for registry in REGISTRIES]

import examples.layered_video  # noqa: E402

OWN = [
    {name: registry.pop(name) for name in registry.keys() - before}
    for registry, before in zip(REGISTRIES, _before, strict=True)
]


@pytest.fixture(autouse=True, scope="module")
def plug_in():
    for registry, own in zip(REGISTRIES, OWN, strict=True):
        registry |= own
    yield examples.layered_video
    for registry, own in zip(REGISTRIES, OWN, strict=True):
        for name in own:
            del registry[name]


LAYERED = {
    "codec.name": "layers",
    "codec.patch_size": 2,
    "critics.0.view": "frames",
    "critics.0.frames": 2,
    "critics.1.view": "crops",
    "critics.1.crops": 2,
    "critics.1.gamma": 8 * 8 / (2 * 16 * 16),
    "data.path": "bouncing",
    "train.evaluate_every": 0,
}


@pytest.fixture
def layered(tiny):
    """A tiny configuration with both critics, for clips of 16×16."""
    return tiny.replace(LAYERED)
