"""The catalogue of Live models: data, in models.json or the file of `LIVE_API_MODELS_FILE`.

`modalities` are listed only where there is evidence; a model without them is
not restricted. `aliases` are other names that lock to it, some of them of models
that Google has retired. A model that is to be retired has `retired_on` and a
`successor`: from that day on, in UTC, its name is an alias. `thinking_level` is
locked into the tokens of models that demand one.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class ModelsFileError(ValueError):
    """Why a file of models cannot be used, in one line."""


class Modality(StrEnum):
    """What a session answers with."""

    TEXT = "TEXT"
    AUDIO = "AUDIO"


class Alias(BaseModel):
    """Another name of a model. `retired_on`: when the model of that name was shut down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    retired_on: dt.date | None = None


class Model(BaseModel):
    """A Live model, and what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    aliases: tuple[Alias, ...] = ()
    modalities: tuple[Modality, ...] = Field(default=tuple(Modality), min_length=1)
    thinking_level: str | None = None
    retired_on: dt.date | None = None
    successor: Name | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.retired_on is None) != (self.successor is None):
            raise ValueError("retired_on and successor go together")
        return self

    @property
    def default_modality(self) -> Modality:
        """TEXT where the model can, else AUDIO."""
        return Modality.TEXT if Modality.TEXT in self.modalities else Modality.AUDIO


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: tuple[Model, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {model.name: model for model in self.models}
        names = [*known, *(alias.name for model in self.models for alias in model.aliases)]
        if len(names) != len(set(names)) or len(known) != len(self.models):
            raise ValueError("each name must stand there once")
        for model in self.models:
            if model.successor is not None and model.successor not in known:
                raise ValueError("each successor must be a model of the file")
            if not _ends(model, known):
                raise ValueError("no model may succeed itself")
        return self


def _ends(model: Model, known: Mapping[str, Model]) -> bool:
    for _ in known:
        if model.successor is None:
            return True
        model = known[model.successor]
    return False


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


class Catalogue:
    """The models that tokens may be locked to, by each name that stands for them."""

    def __init__(
        self,
        known: Mapping[str, Model],
        allowed: Iterable[str],
        default: str,
        today: Callable[[], dt.date] = _today,
    ) -> None:
        """Allow what the names `allowed` stand for; `default` for a request that names none.

        Raises:
            ValueError: `default` is not among the allowed.

        """
        self._known = known
        self._aliases = {a.name: (model, a) for model in known.values() for a in model.aliases}
        self._allowed = tuple(allowed)
        self._default = default
        self._today = today
        if self.find(default) is None:
            raise ValueError(default)

    @property
    def models(self) -> tuple[Model, ...]:
        """The allowed models, each once."""
        return tuple(self._now().values())

    @property
    def default(self) -> Model:
        """The model of a request that names none."""
        model = self.find(self._default)
        if model is None:  # checked at the start; what stands for it is allowed with it
            raise AssertionError(self._default)
        return model

    def find(self, name: str) -> Model | None:
        """Return the model that a name stands for today, if it is allowed."""
        model = self._stands_for(name)
        return model if model is not None and model.name in self._now() else None

    def retired_on(self, name: str) -> dt.date | None:
        """Return when the model of this name was retired, if it was."""
        if name in self._aliases:
            return self._aliases[name][1].retired_on
        model = self._known.get(name)
        return model.retired_on if model is not None and self._retired(model) else None

    @property
    def aliases(self) -> Mapping[str, str]:
        """The names that stand for an allowed model of another name."""
        names = (*self._known, *self._aliases)
        found = {name: self.find(name) for name in names}
        return {n: model.name for n, model in found.items() if model and model.name != n}

    def _now(self) -> Mapping[str, Model]:
        found = (self._stands_for(name) for name in self._allowed)
        return {model.name: model for model in found if model is not None}

    def _stands_for(self, name: str) -> Model | None:
        model = self._aliases[name][0] if name in self._aliases else self._known.get(name)
        while model is not None and model.successor is not None and self._retired(model):
            model = self._known[model.successor]
        return model

    def _retired(self, model: Model) -> bool:
        return model.retired_on is not None and model.retired_on <= self._today()


def known_models(file: Path | None = None) -> dict[str, Model]:
    """Return the models of `file`, or those that come with us, by name.

    Raises:
        ModelsFileError: The file cannot be used.

    """
    ours = resources.files(__package__).joinpath("models.json")
    try:
        models = _File.model_validate_json((file or ours).read_text(encoding="utf-8")).models
    except OSError as error:
        raise ModelsFileError(f"cannot read the file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelsFileError("cannot read the file: not UTF-8 text") from error
    except ValidationError as error:
        raise ModelsFileError(_first_line(error)) from error
    return {model.name: model for model in models}


def catalogue(
    allowed: Iterable[str],
    default: str,
    known: Mapping[str, Model] | None = None,
    today: Callable[[], dt.date] = _today,
) -> Catalogue:
    """Allow the models that `allowed` names, by name or alias.

    A name that is not among the `known` (ours, unless given) is allowed as it is,
    without restrictions: models come faster than releases of ours.

    Raises:
        ValueError: `default` is not among the allowed; a pydantic.ValidationError, if
            an allowed name is one that no model can have.

    """
    known = known_models() if known is None else known
    aliases = {alias.name for model in known.values() for alias in model.aliases}
    allowed = tuple(allowed)
    unknown = {n: Model(name=n) for n in allowed if n not in known and n not in aliases}
    return Catalogue({**known, **unknown}, allowed, default, today)


def _first_line(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ").splitlines()[0]
    return f"{place}: {message}" if place else message
