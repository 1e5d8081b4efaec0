from typing import Literal

import pytest

from sparring.codecs.settings import CODECS, CodecSettings, LearntSettings, register_codec
from sparring.config import Config, ConfigError, describe
from sparring.critics.settings import VIEWS, CriticSettings, register_view
from sparring.settings import setting


class Built(Exception):
    """What the stand-ins below raise when they are built."""


@pytest.fixture
def own_codec():
    known = dict(CODECS)

    @register_codec
    class OwnSettings(LearntSettings):
        """My own."""

        name: Literal["own"] = "own"
        layers: int = setting(2, "things that move", ge=1, le=64)

        def build(self, spec, multiple):
            raise Built(self.layers)

    yield OwnSettings
    CODECS.clear()
    CODECS.update(known)


@pytest.fixture
def own_view():
    known = dict(VIEWS)

    @register_view
    class OwnSettings(CriticSettings):
        view: Literal["own"] = "own"
        crops: int = setting(2, "crops of a sample", ge=1, le=64)

        def build(self, codec, stem):
            raise Built(self.crops)

    yield OwnSettings
    VIEWS.clear()
    VIEWS.update(known)


def test_a_codec_of_one_s_own_is_named_as_any_other(own_codec):
    config = Config().replace({"codec.name": "own", "codec.layers": "3"})
    assert config.codec == own_codec(layers=3)
    assert Config.from_dict(config.to_dict()) == config
    assert ("codec.layers", "a whole number", 2, "things that move (own)") in describe()
    with pytest.raises(Built, match="3"):
        config.codec.build(None, 1)
    with pytest.raises(ConfigError, match=r"--codec\.layers must lie between 1 and 64, not 0"):
        config.replace({"codec.layers": 0})
    with pytest.raises(ConfigError, match=r"--codec\.layers has no effect with --codec\.name patch"):
        Config().replace({"codec.layers": 3})


def test_a_view_of_one_s_own_is_named_as_any_other(own_view):
    config = Config().replace({"critics.1.view": "own", "critics.1.crops": 3})
    assert config.critics[1] == own_view(crops=3)
    assert Config.from_dict(config.to_dict()) == config
    with pytest.raises(Built, match="3"):
        config.critics[1].build(None, 0)


def test_a_codec_that_is_not_imported_is_named_in_the_error():
    with pytest.raises(ConfigError, match=r"--codec\.name must be one of .*, not own.* import the module"):
        Config().replace({"codec.name": "own"})


def test_a_name_is_taken_once(own_codec):
    with pytest.raises(ConfigError, match=r"the name patch is taken by sparring\.codecs\.settings\.PatchSettings"):

        @register_codec
        class Another(LearntSettings):
            name: Literal["patch"] = "patch"

    with pytest.raises(ConfigError, match="Nameless has no name"):

        @register_codec
        class Nameless(LearntSettings):
            pass

    assert type(Config().codec) is CODECS["patch"]


def test_settings_that_are_not_built_are_no_codec():
    with pytest.raises(TypeError, match="abstract"):
        LearntSettings(name="mine")


def test_a_setting_without_a_default_must_be_given():
    class Needy(CodecSettings):
        name: Literal["needy"] = "needy"
        count: int

        def build(self, spec, multiple): ...

    with pytest.raises(ConfigError, match=r"--codec\.count is missing: give it a value"):
        Needy()
