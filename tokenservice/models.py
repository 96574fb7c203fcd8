"""The catalogue of Live models: data, in models.json.

`modalities` are listed only where there is evidence; a model without them is
not restricted. `aliases` are retired or alternative names that lock to it.
`thinking_level` is locked into the tokens of models that demand one.
"""

from __future__ import annotations

from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class Modality(StrEnum):
    """What a session answers with."""

    TEXT = "TEXT"
    AUDIO = "AUDIO"


class Model(BaseModel):
    """A Live model, and what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    aliases: tuple[Name, ...] = ()
    modalities: tuple[Modality, ...] = Field(default=tuple(Modality), min_length=1)
    thinking_level: str | None = None

    @property
    def default_modality(self) -> Modality:
        """TEXT where the model can, else AUDIO."""
        return Modality.TEXT if Modality.TEXT in self.modalities else Modality.AUDIO


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: tuple[Model, ...]


class Catalogue:
    """The models that tokens may be locked to, by name and by alias."""

    def __init__(self, models: Iterable[Model], *, default: str) -> None:
        """Allow `models`; a request that names none gets `default`, one of them."""
        self.models = tuple(models)
        self._by_name = {model.name: model for model in self.models}
        for model in self.models:
            for alias in model.aliases:
                self._by_name.setdefault(alias, model)
        self.default = self._by_name[default]

    def find(self, name: str) -> Model | None:
        """Return the model that a name or alias stands for, if it is allowed."""
        return self._by_name.get(name)

    @property
    def aliases(self) -> Mapping[str, str]:
        """The aliases and the names they stand for."""
        return {name: model.name for name, model in self._by_name.items() if name != model.name}


def known_models() -> dict[str, Model]:
    """Return the models of models.json, by name."""
    text = resources.files(__package__).joinpath("models.json").read_text(encoding="utf-8")
    return {model.name: model for model in _File.model_validate_json(text).models}


def catalogue(allowed: Iterable[str], default: str) -> Catalogue:
    """Allow the models that `allowed` names, by name or alias.

    A name that models.json does not know is allowed as it is, without
    restrictions: models come faster than releases of ours.

    Raises:
        ValueError: `default` is not among the allowed.

    """
    known = known_models()
    by_alias = {alias: model for model in known.values() for alias in model.aliases}
    models = {}
    for name in allowed:
        model = known.get(name) or by_alias.get(name) or Model(name=name)
        models[model.name] = model
    resolved = by_alias[default].name if default in by_alias else default
    if resolved not in models:
        raise ValueError(default)
    return Catalogue(models.values(), default=resolved)
