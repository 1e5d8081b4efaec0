"""Sections of settings: frozen pydantic models whose errors are one line that says what to type.

Nothing here imports torch.
"""

import difflib
import reprlib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from sparring.plain_json import read_json

T = TypeVar("T")

_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = 80


class ConfigError(ValueError):
    """A setting is wrong; the message, one line, says what to type instead."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def setting(
    default: T, help: str, *, ge: float | None = None, le: float | None = None, multiple_of: int | None = None
) -> T:
    """A field with its limits and its help, which `sparring train --help-all` prints."""
    field: T = Field(default, description=help, ge=ge, le=le, multiple_of=multiple_of)
    return field


class Section(BaseModel):
    """A section of strict fields, read from Python, JSON or the command line's text.

    Every error is a `ConfigError` with the setting's full name, e.g. `--model.depth`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    section: ClassVar[str] = ""
    """The part before a field's name: "model" for `--model.depth`."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(self._explain(error)) from None

    # Like BaseModel.__init__: pydantic then validates nested sections itself and knows the location of an error.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], place: str | None = None) -> Self:
        """A section from plain values; errors name it `place` (default: `section`)."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(cls._explain(error, place)) from None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the inverse of `from_dict`."""
        return self.model_dump(mode="json")

    @classmethod
    def unknown(cls, name: str, place: str | None = None) -> str:
        """The message about `name`, which is not a setting of this section."""
        found = difflib.get_close_matches(name, cls.model_fields, 1)
        hint = (
            f"did you mean --{cls._full(found[0], place)}?" if found else "`sparring train --help-all` lists them all"
        )
        return f"there is no setting --{cls._full(name, place)}; {hint}"

    @field_validator("*", mode="before")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        return _read(cls.model_fields[info.field_name].annotation, value)

    def _require(self, condition: bool, name: str, must: str) -> None:
        if not condition:
            raise ConfigError(f"--{self._full(name)} {must}, not {getattr(self, name)}")

    @classmethod
    def _full(cls, name: str, place: str | None = None) -> str:
        return f"{place or cls.section}.{name}".strip(".")

    @classmethod
    def _explain(cls, error: ValidationError, place: str | None = None) -> str:
        """One line about the first error; unknown names come before wrong values."""
        faults = error.errors(include_url=False)
        fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
        cause, path = fault.get("ctx", {}).get("error"), [str(part) for part in fault["loc"]]
        if isinstance(cause, ConfigError):
            return str(cause)
        section: type[Section] = cls
        while path and path[0] in section.model_fields and _is_section(section.model_fields[path[0]].annotation):
            section, place = typing.cast(type[Section], section.model_fields[path.pop(0)].annotation), None
        if not path:  # neither a section nor a dict of its fields
            first = next(iter(section.model_fields))
            if not (place or section.section):
                return f"settings are sections, e.g. {first}, not {_short.repr(fault['input'])}"
            whole, example = section._full("", place), section._full(first, place)
            return f"--{whole} is a section: set one of its fields, e.g. --{example}"
        name = path[0]
        if name not in section.model_fields:
            return section.unknown(name, place)
        field, full = section.model_fields[name], section._full(name, place)
        if fault["type"] == "missing":
            return f"--{full} is missing: give it a value"
        if fault["type"] == "literal_error":
            return one_of(full, fault["input"], _words(field.annotation))
        return f"--{full} {_must(field, fault['type'])}, not {_short.repr(fault['input'])}"


class Choice(Section):
    """A section with several kinds, registered under the default of their field `tag`."""

    tag: ClassVar[str]
    kinds: ClassVar[dict[str, type[Any]]]

    @classmethod
    def add_kind(cls) -> None:
        """Registers this kind; raises `ConfigError` if the name is taken."""
        name = cls.model_fields[cls.tag].default
        if not isinstance(name, str):
            raise ConfigError(f"{cls.__name__} has no {cls.tag}: write {cls.tag}: Literal['mine'] = 'mine' in it")
        taken = cls.kinds.get(name, cls)
        if (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigError(
                f"the {cls.tag} {name} is taken by {taken.__module__}.{taken.__qualname__}: choose another"
            )
        cls.kinds[name] = cls

    @classmethod
    def read(cls, values: Any, default: str, place: str | None = None) -> Self:
        """A section of the kind named in `values`, else of the kind `default`."""
        if isinstance(values, cls):
            return values
        full = cls._full(cls.tag, place)
        if not isinstance(values, Mapping):
            raise ConfigError(f"--{cls._full('', place)} is a section: set one of its fields, e.g. --{full}")
        name = values.get(cls.tag, default)
        if not isinstance(name, str) or name not in cls.kinds:
            raise ConfigError(f"{one_of(full, name, cls.kinds)}; for your own, import the module that registers it")
        kind: type[Self] = cls.kinds[name]
        return kind.from_dict(values, place)

    @classmethod
    def unknown(cls, name: str, place: str | None = None) -> str:
        others = [other for other, kind in cls.kinds.items() if name in kind.model_fields]
        if not others:
            return super().unknown(name, place)
        full, tag, this = cls._full(name, place), cls._full(cls.tag, place), cls.model_fields[cls.tag].default
        return f"--{full} has no effect with --{tag} {this}: drop it, or set --{tag} {' or '.join(others)}"


def one_of(name: str, value: Any, options: Iterable[str]) -> str:
    """The message about a value that is not an option of the setting `name`."""
    options = list(options)
    found = difflib.get_close_matches(str(value), options, 1)
    return f"--{name} must be one of {', '.join(options)}, not {value}" + (
        f" (did you mean {found[0]}?)" if found else ""
    )


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Section) and not issubclass(hint, Choice)


def spell(hint: Any) -> str:
    """A type in words, e.g. "a whole number | none"."""
    parts = _parts(hint)
    if len(parts) > 1:
        return " | ".join("none" if part is types.NoneType else spell(part) for part in parts)
    if typing.get_origin(hint) is Literal:
        return " | ".join(typing.get_args(hint))
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[hint]


def _read(hint: Any, value: Any) -> Any:
    """`value`, parsed if it is text, for pydantic's strict mode; an unsuitable value is returned unchanged."""
    kinds = _parts(hint)
    if isinstance(value, str):
        if value == "none" and types.NoneType in kinds:
            return None
        if bool in kinds:
            return {"true": True, "false": False}.get(value.lower(), value)
        if int in kinds or float in kinds:
            value = _number(value)
    if isinstance(value, float) and int in kinds and value == value // 1:
        return int(value)
    return value


def _number(text: str) -> Any:
    try:
        value = read_json(text.replace("_", "").lower())
    except ValueError:
        return text
    return value if type(value) in (int, float) and abs(value) < 1e300 else text  # not Infinity, [1] or null


def _parts(hint: Any) -> tuple[Any, ...]:
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)


def _words(hint: Any) -> list[str]:
    return [w for part in _parts(hint) if typing.get_origin(part) is Literal for w in typing.get_args(part)]


def _must(field: Any, fault: str) -> str:
    """The requirement on this field that fits pydantic's error type."""
    limits = {
        name: value
        for constraint in field.metadata
        for name in ("ge", "le", "multiple_of")
        if (value := getattr(constraint, name, None)) is not None
    }
    match fault, limits:
        case "multiple_of", {"multiple_of": factor}:
            return f"must be a multiple of {factor}"
        case "greater_than_equal" | "less_than_equal", {"ge": low, "le": high}:
            return f"must lie between {low:g} and {high:g}"
        case "greater_than_equal", {"ge": low}:
            return f"must be at least {low:g}"
        case "less_than_equal", {"le": high}:
            return f"must be at most {high:g}"
    return f"takes {spell(field.annotation)}"
