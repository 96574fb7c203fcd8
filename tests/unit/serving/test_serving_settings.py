"""Settings from the environment."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from serving.logs import LogFormat, LogLevel
from serving.settings import CommaList, Settings, SettingsError, load, variable


class Sample(Settings):
    """Settings of a service that does not exist."""

    count: int = variable("SAMPLE_COUNT", 3, ge=1)
    names: CommaList = variable("SAMPLE_NAMES", ("a",), min_length=1)
    secret: SecretStr | None = variable("SAMPLE_SECRET", None)
    plain: str = variable("SAMPLE_PLAIN", "")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment that sets nothing of ours."""
    for name in ("LOG_LEVEL", "LOG_FORMAT", "DRAIN_SECONDS"):
        monkeypatch.delenv(name, raising=False)


def test_every_process_has_defaults() -> None:
    """Nothing has to be set that has a default."""
    settings = load(Sample)
    assert (settings.log_level, settings.log_format) == (LogLevel.INFO, LogFormat.AUTO)
    assert settings.drain_seconds == 5.0
    assert settings.names == ("a",)


def test_a_list_is_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces around the values and empty ones do not count."""
    monkeypatch.setenv("SAMPLE_NAMES", " a, b ,,c,")
    assert load(Sample).names == ("a", "b", "c")


def test_settings_do_not_change() -> None:
    """What was read stays as it was read."""
    settings = load(Sample)
    with pytest.raises(ValidationError):
        settings.count = 4


@pytest.mark.parametrize(
    "name, value",
    [("SAMPLE_COUNT", "0"), ("SAMPLE_COUNT", "many"), ("SAMPLE_NAMES", ","), ("LOG_LEVEL", "x")],
)
def test_a_wrong_value_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The message begins with the variable's name and is one line."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"\A{name}: [^\n]+\Z"):
        load(Sample)


def test_only_a_secret_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`NAME_FILE` gives a secret its value, and does nothing for what is none."""
    file = tmp_path / "value"
    file.write_text("from the file\n")
    monkeypatch.setenv("SAMPLE_SECRET_FILE", str(file))
    monkeypatch.setenv("SAMPLE_PLAIN_FILE", str(file))
    settings = load(Sample)
    assert settings.secret is not None
    assert settings.secret.get_secret_value() == "from the file"
    assert settings.plain == ""


def test_a_secret_in_two_places_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret that is set and in a file too is a contradiction, an empty one included."""
    monkeypatch.setenv("SAMPLE_SECRET", "")
    monkeypatch.setenv("SAMPLE_SECRET_FILE", str(tmp_path / "value"))
    with pytest.raises(SettingsError, match=r"\ASAMPLE_SECRET_FILE: SAMPLE_SECRET is set"):
        load(Sample)


def test_a_file_that_cannot_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable is named, and why, but not what the file holds."""
    monkeypatch.setenv("SAMPLE_SECRET_FILE", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match=r"\ASAMPLE_SECRET_FILE: [^\n]+No such file[^\n]*\Z"):
        load(Sample)


def test_only_its_own_variable_sets_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that happens to be called as a field of ours configures nothing."""
    monkeypatch.setenv("drain_seconds", "77")
    assert load(Settings).drain_seconds == 5
