"""What can be configured, and how a mistake is told."""

from pathlib import Path

import pytest

from emulator.options import Options, OptionsError, parse_options


def test_defaults_need_nothing() -> None:
    """Without flags and environment the documented defaults hold."""
    assert parse_options([], {}) == Options()


def test_a_flag_wins_over_its_variable() -> None:
    """The environment fills in what the command line leaves out."""
    environ = {
        "GEMINI_LIVE_EMULATOR_PORT": "1",
        "GEMINI_LIVE_EMULATOR_API_KEY": "from-env",
        "GEMINI_LIVE_EMULATOR_TLS_NAMES": "emulator, gemini.test",
        "GEMINI_LIVE_EMULATOR_CA_FILE": "ca.pem",
    }
    options = parse_options(["--port", "0", "--tls-port", "-1"], environ)
    assert (options.port, options.tls_port, options.api_key) == (0, -1, "from-env")
    assert options.tls_names == ("emulator", "gemini.test")
    assert options.ca_file == Path("ca.pem")


@pytest.mark.parametrize(
    "flag,value",
    [
        ("port", "eighty"),
        ("port", "-1"),
        ("port", "65536"),
        ("tls-port", "-2"),
        ("host", ""),
        ("api-key", " "),
        ("ca-file", ""),
        ("log-level", "loud"),
        ("connection-seconds", "0"),
        ("connection-seconds", "nan"),
        ("go-away-seconds", "soon"),
        ("answer-after-audio-bytes", "-1"),
    ],
)
def test_a_bad_value_is_named_in_one_line(flag: str, value: str) -> None:
    """The message is one line that begins with the flag or the variable."""
    variable = "GEMINI_LIVE_EMULATOR_" + flag.replace("-", "_").upper()
    for argv, environ, name in (
        ([f"--{flag}={value}"], {}, f"--{flag}"),
        ([], {variable: value}, variable),
    ):
        with pytest.raises(OptionsError) as refused:
            parse_options(argv, environ)
        assert str(refused.value).startswith(f"{name}: ")
        assert "\n" not in str(refused.value)


def test_an_unknown_flag_is_named() -> None:
    """A flag that does not exist is a mistake, also if it is the beginning of one that does."""
    with pytest.raises(OptionsError, match="--por"):
        parse_options(["--por", "1"], {})
