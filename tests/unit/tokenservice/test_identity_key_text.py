"""What an API key looks like."""

import re

import pytest

from serving.logs import redact
from tokenservice.identity import key_text


def test_a_key_is_long_random_and_known_by_its_looks() -> None:
    """No two keys are alike, in id or secret; each has 190 random bits, and one form."""
    texts = [key_text.new_text() for _ in range(100)]
    assert all(re.fullmatch(r"ltk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", text) for text in texts)
    assert len({text.split("_")[1] for text in texts}) == 100
    assert len({text.split("_")[2] for text in texts}) == 100


def test_the_id_of_a_key_is_read() -> None:
    """The id is what stands between the prefix and the secret."""
    text = key_text.new_text()
    assert key_text.id_in(text) == text.split("_")[1]


@pytest.mark.parametrize(
    "mangle",
    [
        lambda _: "",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.upper(),
        lambda text: text.replace("ltk_", "ltk-"),
        lambda text: text[:30] + ("0" if text[30] != "0" else "1") + text[31:],
        lambda text: text[:-6] + "000000",
        lambda text: text[:20] + "é" + text[21:],
        lambda text: text[:20] + "٣" + text[21:],
        lambda text: text * 1000,
    ],
)
def test_what_only_resembles_a_key_is_none(mangle: object) -> None:
    """A typo, a piece of a key, foreign digits and whitespace are told by the form alone."""
    assert callable(mangle)
    assert key_text.id_in(mangle(key_text.new_text())) is None


def test_an_operator_may_name_a_key_by_what_is_at_hand() -> None:
    """Its id, the whole of it, and what a log shows of it name a key; other words do not."""
    text = key_text.new_text()
    key_id = text.split("_")[1]
    for named in (key_id, text, f" {text}\n", redact(text), f"ltk_{key_id}"):
        assert key_text.id_named(named) == key_id
    for other in ("", "abc", "ltk_", "AIzaSyA0123456789", key_id + "x", f"x{text}"):
        assert key_text.id_named(other) is None


@pytest.mark.parametrize("frame", ["{}", "key={}&x=1", "'{}'", "X-API-Key: {}\r\n", "{},{}"])
def test_a_log_shows_which_key_and_no_more(frame: str) -> None:
    """The second net takes a key's secret out of foreign messages, and leaves its id."""
    text = key_text.new_text()
    prefix, key_id, secret = text.split("_")
    shown = redact(frame.format(text, text))
    assert secret[:8] not in shown
    assert f"{prefix}_{key_id}_[redacted]" in shown
