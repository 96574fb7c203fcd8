"""The catalogue of Live models."""

import pytest
from pydantic import ValidationError

from tokenservice.models import Modality, Model, catalogue, known_models


def test_the_known_models_contradict_nothing() -> None:
    """No alias stands for two models or hides a model's name."""
    known = known_models()
    aliases = [alias for model in known.values() for alias in model.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(known)


def test_a_name_and_its_aliases_find_the_model() -> None:
    """An allowed model is found by each of its names, and by no other's."""
    models = catalogue(["gemini-3.8-live"], "gemini-3.8-live")
    assert models.find("gemini-3.8-live") is models.default
    assert models.find("gemini-2.0-flash-live-001") is models.default
    assert models.find("gemini-3.1-flash-live-preview") is None
    assert models.find("") is None
    assert models.aliases == dict.fromkeys(models.default.aliases, "gemini-3.8-live")


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
