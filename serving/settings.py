"""Typed settings from the environment, checked before anything starts.

A setting that cannot be read stops the start with one line that names it;
nothing falls back silently. A secret `NAME` can also be given as `NAME_FILE`,
the path of a file that holds it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from serving import log_areas
from serving.logs import LogFormat, LogLevel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

S = TypeVar("S", bound="Settings")


class SettingsError(Exception):
    """A setting that cannot be read; the message names it and is one line."""


def _split(value: object) -> object:
    return (
        tuple(v.strip() for v in value.split(",") if v.strip()) if isinstance(value, str) else value
    )


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several values in one variable, by commas; spaces around them do not count."""


def variable(name: str, default: Any = ..., **constraints: Any) -> Any:
    """Declare a setting by the name of its environment variable."""
    return Field(default, validation_alias=name, **constraints)


class Settings(BaseSettings):
    """The settings that every process has. Fields are read once and never change."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=True,
        hide_input_in_errors=True,
        validate_default=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    log_level: LogLevel = variable("LOG_LEVEL", LogLevel.INFO)
    log_format: LogFormat = variable("LOG_FORMAT", LogFormat.AUTO)
    trace_slow_ms: int = variable("TRACE_SLOW_MS", 1000, ge=1, le=3_600_000)
    trace_kept_per_second: int = variable("TRACE_KEPT_PER_SECOND", 20, ge=0, le=10_000)
    debug_areas: Annotated[CommaList, AfterValidator(log_areas.parse)] = variable(
        "LIVE_API_DEBUG", ()
    )
    drain_seconds: float = variable("DRAIN_SECONDS", 5.0, ge=0, le=600)
    grpc_reflection: bool = variable("GRPC_REFLECTION", False)  # noqa: FBT003 - a default

    foreign_secrets: ClassVar[tuple[str, ...]] = ()
    """Variables of another process's secrets: with one, this process does not serve."""

    @property
    def heeds_sampling(self) -> bool:
        """Whether callers decide which of their requests are traced."""
        return True

    @property
    def secrets(self) -> list[str]:
        """What must not be seen of these settings."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see _Variables
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - files are not read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see _Variables
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment and the files it names."""
        return init_settings, _Variables(settings_cls)


class _Variables(PydanticBaseSettingsSource):
    """Reads each setting from its variable, and a secret also from the file of `<NAME>_FILE`.

    The library's own source would read a field's bare name as well: a stray
    `listen` in the environment would configure us.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = str(field.validation_alias or field_name)
        value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
        if path is None or not _is_secret(field):
            return value, name, False
        if value is not None:
            raise SettingsError(f"{name}_FILE: {name} is set as well; set one of them")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), name, False
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SettingsError(f"{name}_FILE: cannot read the file: {why}") from error

    def __call__(self) -> dict[str, Any]:
        values = (
            self.get_field_value(field, name)
            for name, field in self.settings_cls.model_fields.items()
        )
        return {name: value for value, name, _ in values if value is not None}


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def load(settings_type: type[S]) -> S:
    """Read settings from the environment.

    Raises:
        SettingsError: The first setting that cannot be read.

    """
    try:
        return settings_type()
    except ValidationError as error:
        raise SettingsError(_first_line(error.errors()[0])) from None


def refuse_foreign_secrets(settings_type: type[Settings]) -> None:
    """Refuse secrets in the environment that are another process's.

    For what serves: a command is run in an operator's own environment.

    Raises:
        SettingsError: There is one.

    """
    for name in settings_type.foreign_secrets:
        for given in (name, f"{name}_FILE"):
            if os.environ.get(given):
                raise SettingsError(f"{given}: must not be set for this process: it has no use")


def _first_line(problem: Mapping[str, Any]) -> str:
    message: str = problem["msg"].removeprefix("Value error, ").splitlines()[0]
    if not problem["loc"]:  # a check of several settings together names them itself
        return message
    name = problem["loc"][0]
    missing = problem["type"] == "missing"
    return f"{name}: {'must be set' if missing else message}"
