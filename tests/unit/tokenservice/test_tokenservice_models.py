"""The catalogue of Live models."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tokenservice.models import Modality, Model, ModelsFileError, catalogue, known_models

SHUT_DOWN = dt.date(2025, 12, 9)


def test_the_known_models_contradict_nothing() -> None:
    """No alias stands for two models or hides a model's name."""
    known = known_models()
    aliases = [alias.name for model in known.values() for alias in model.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(known)


def test_a_name_and_its_aliases_find_the_model() -> None:
    """An allowed model is found by each of its names, and by no other's."""
    models = catalogue(["gemini-3.8-live"], "gemini-3.8-live")
    assert models.find("gemini-3.8-live") is models.default
    assert models.find("gemini-2.0-flash-live-001") is models.default
    assert models.find("gemini-3.1-flash-live-preview") is None
    assert models.find("") is None
    names = [alias.name for alias in models.default.aliases]
    assert models.aliases == dict.fromkeys(names, "gemini-3.8-live")


def test_an_alias_on_the_list_allows_its_model() -> None:
    """Who allows or prefers an alias means the model that it stands for."""
    models = catalogue(["gemini-2.0-flash-live-001"], "gemini-live-2.5-flash-preview")
    assert models.default.name == "gemini-3.8-live"
    assert [model.name for model in models.models] == ["gemini-3.8-live"]


def test_a_name_twice_is_one_model() -> None:
    """A model that the list names twice is allowed once."""
    models = catalogue(["gemini-3.8-live", "gemini-2.0-flash-live-001"], "gemini-3.8-live")
    assert len(models.models) == 1


def test_an_unknown_name_is_allowed_as_it_is() -> None:
    """A model that came after this release has no alias and no restriction."""
    models = catalogue(["gemini-9-live"], "gemini-9-live")
    assert models.default == Model(name="gemini-9-live")
    assert models.default.modalities == (Modality.TEXT, Modality.AUDIO)


def test_the_default_must_be_allowed() -> None:
    """A default that is not on the list is refused."""
    with pytest.raises(ValueError, match="gemini-9"):
        catalogue(["gemini-3.8-live"], "gemini-9")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "", "a b", "-a", "x" * 129, "a\n"])
def test_a_name_that_no_model_can_have_is_refused(name: str) -> None:
    """A name goes into a resource path: nothing in it can leave its place."""
    with pytest.raises(ValidationError):
        Model(name=name)


def test_the_names_of_old_configurations_are_known_as_retired() -> None:
    """Both were shut down on 2025-12-09, and stand for the stable model."""
    models = catalogue(["gemini-3.8-live"], "gemini-3.8-live")
    for name in ("gemini-2.0-flash-live-001", "gemini-live-2.5-flash-preview"):
        assert models.find(name) is models.default
        assert models.retired_on(name) == SHUT_DOWN
    assert models.retired_on("gemini-3.8-live") is None
    assert models.retired_on("") is None


def file_of(path: Path, *models: dict[str, Any]) -> Path:
    """Write a file of models."""
    file = path / "models.json"
    file.write_text(json.dumps({"models": models}), encoding="utf-8")
    return file


def test_a_model_becomes_an_alias_on_the_day_it_is_retired(tmp_path: Path) -> None:
    """Until the day before it is locked itself; from then on its successor's successor is."""
    file = file_of(
        tmp_path,
        {"name": "old", "retired_on": "2027-01-31", "successor": "newer"},
        {"name": "newer", "retired_on": "2027-01-31", "successor": "newest"},
        {"name": "newest"},
    )
    today = dt.date(2027, 1, 30)
    models = catalogue(["old", "newest"], "old", known_models(file), lambda: today)
    assert [model.name for model in models.models] == ["old", "newest"]
    assert (models.default.name, models.retired_on("old")) == ("old", None)
    assert models.find("newer") is None
    today = dt.date(2027, 1, 31)
    assert [model.name for model in models.models] == ["newest"]
    assert (models.default.name, models.retired_on("old")) == ("newest", today)
    assert models.aliases == {"old": "newest", "newer": "newest"}


def test_a_file_takes_the_place_of_ours(tmp_path: Path) -> None:
    """What is known is what the file says, all of it."""
    file = file_of(
        tmp_path,
        {"name": "mute", "modalities": ["TEXT"], "aliases": [{"name": "silent"}]},
        {"name": "deep", "thinking_level": "HIGH"},
    )
    assert known_models(file) == {
        "mute": Model.model_validate_json(
            '{"name": "mute", "modalities": ["TEXT"], "aliases": [{"name": "silent"}]}'
        ),
        "deep": Model(name="deep", thinking_level="HIGH"),
    }


@pytest.mark.parametrize(
    "models, says",
    [
        ([], "models: Tuple should have at least 1 item"),
        ([{}], "models.0.name: Field required"),
        ([{"name": "a/b"}], "models.0.name: String should match pattern"),
        ([{"name": "a", "modalities": []}], "models.0.modalities: "),
        ([{"name": "a", "modalities": ["VIDEO"]}], "models.0.modalities.0: Input should be"),
        ([{"name": "a", "alias": "b"}], "models.0.alias: Extra inputs are not permitted"),
        ([{"name": "a", "aliases": [{"name": "b", "retired_on": "soon"}]}], "retired_on: Input"),
        ([{"name": "a", "retired_on": "2027-01-31"}], "models.0: retired_on and successor go"),
        ([{"name": "a"}, {"name": "a"}], "each name must stand there once"),
        ([{"name": "a", "aliases": [{"name": "a"}]}], "each name must stand there once"),
        (
            [{"name": "a", "retired_on": "2027-01-31", "successor": "b"}],
            "each successor must be a model of the file",
        ),
        (
            [{"name": "a", "retired_on": "2027-01-31", "successor": "a"}],
            "no model may succeed itself",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, models: list[dict[str, Any]], says: str
) -> None:
    """One line says where in the file, and what is wrong there."""
    with pytest.raises(ModelsFileError) as refused:
        known_models(file_of(tmp_path, *models))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """It is not there, no text, or no JSON."""
    file = tmp_path / "models.json"
    with pytest.raises(ModelsFileError, match="cannot read the file: No such file"):
        known_models(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ModelsFileError, match="not UTF-8 text"):
        known_models(file)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(ModelsFileError, match="Invalid JSON"):
        known_models(file)
