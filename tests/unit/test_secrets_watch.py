"""A secret that is shown fails the test that showed it: the net itself, tried out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from secrets_watch import Watch

ROOT = Path(__file__).parents[2]
TOKEN = "auth_tokens/0123456789abcdef"
PRELUDE = """
import logging
import subprocess
import sys
import jwt
import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel, SecretStr
from gateway.refusal import Refusal
from serving import rendering
from serving.errors import PermissionDenied
from tokenservice.identity.key_text import new_text
from tokenservice.token import EphemeralToken

TOKEN = "auth_tokens/" + "0123456789abcdef"
BEARER = jwt.encode({"sub": "ann"}, "k" * 32, algorithm="HS256")

class Settings(BaseModel):
    key: SecretStr
"""
LEAKS = {
    "a log record": "EphemeralToken(TOKEN)\n    logging.getLogger('x').warning('got %s', TOKEN)",
    "a structlog event": "EphemeralToken(TOKEN)\n    structlog.get_logger().info('x', a=[TOKEN])",
    "a bound value": "EphemeralToken(TOKEN)\n    structlog.get_logger().bind(a=TOKEN).info('x')",
    "an exception that is logged": (
        "EphemeralToken(TOKEN)\n"
        "    try:\n        raise ValueError(TOKEN)\n"
        "    except ValueError:\n        logging.getLogger('x').exception('failed')"
    ),
    "a JWT": "logging.getLogger('x').warning(BEARER)",
    "the claims of a JWT": "logging.getLogger('x').warning(BEARER.split('.')[1])",
    "a setting": (
        "Settings(key='0123456789-canary')\n    logging.getLogger('x').error('0123456789-canary')"
    ),
    "an API key": "logging.getLogger('x').warning(new_text())",
    "a span": (
        "EphemeralToken(TOKEN)\n"
        "    with TracerProvider().get_tracer('x').start_as_current_span('x') as span:\n"
        "        span.set_attribute('a', TOKEN)"
    ),
    "a status": "EphemeralToken(TOKEN)\n    rendering.status_details(PermissionDenied(TOKEN))",
    "an HTTP answer": "EphemeralToken(TOKEN)\n    Refusal(400, 'X', TOKEN).body('r')",
    "standard error": "EphemeralToken(TOKEN)\n    print(TOKEN, file=sys.stderr)",
    "the standard error of a process": (
        "subprocess.run([sys.executable, '-c', "
        "'import os, sys; sys.stderr.write(os.environ[\"A_KEY\"])'], "
        "env={'A_KEY': '0123456789-canary'}, check=True)"
    ),
}


KEPT = "logging.getLogger('x').warning('got %s', EphemeralToken(TOKEN))"
SHOWN = "logging.getLogger('x').warning(EphemeralToken(TOKEN).reveal())"


def inner(name: str, body: str) -> str:
    """Return a test."""
    return f"def {name}():\n    {body}\n"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run tests that leak, each in its own way, in a pytest of their own; return its report."""
    path = tmp_path_factory.mktemp("inner")
    tests = [inner(f"test_leak_{n}", body) for n, body in enumerate(LEAKS.values())]
    tests += [
        inner("test_kept", KEPT),
        "@pytest.mark.shows_secrets",
        inner("test_shown_on_purpose", SHOWN),
    ]
    (path / "test_inner.py").write_text("\n".join([PRELUDE, *tests]), encoding="utf-8")
    options = ["-q", "-p", "secrets_plugin", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(path), str(path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


@pytest.mark.parametrize("number", range(len(LEAKS)), ids=LEAKS)
def test_a_test_that_shows_a_secret_fails(said: str, number: int) -> None:
    """It is named, whatever it showed the secret in."""
    assert f"test_inner.py::test_leak_{number} showed a secret:\n" in said


def test_a_test_that_keeps_its_secrets_passes(said: str) -> None:
    """A token that is only held is no leak; nor is one that is shown on purpose."""
    named = re.findall(r"test_inner\.py::(\w+) showed a secret:", said)
    assert set(named) == {f"test_leak_{n}" for n in range(len(LEAKS))}
    assert f"{len(LEAKS) + 2} passed, {len(LEAKS)} errors" in said


def test_a_secret_is_found_wherever_it_stands() -> None:
    """Alone, inside, twice, in bytes and in what an object shows; and is not repeated."""
    watch = Watch()
    watch.know("a token", TOKEN)
    for content in (TOKEN, f"x={TOKEN}&y", TOKEN.encode(), {"a": [TOKEN]}, f"{TOKEN}{TOKEN}"):
        found = watch.seen("here", content)
        assert found
        assert TOKEN not in "".join(map(str, found))
    for content in ("", TOKEN[:-1], TOKEN[1:], "auth_tokens/[redacted]"):
        assert watch.seen("here", content) == []


def test_what_is_no_secret_is_not_looked_for() -> None:
    """Words too short to tell apart, keys of one letter, and addresses of stores."""
    watch = Watch()
    watch.know("a setting", "a-short-key")
    watch.know("a setting", "x" * 64)
    watch.know("a setting", "redis://127.0.0.1:6379/0")
    assert len(watch) == 0
    watch.know("a setting", "redis://policy:0123456789abcdef@127.0.0.1:6379/0")
    assert watch.seen("here", "AUTH policy 0123456789abcdef")


def test_the_environment_of_a_process_names_its_secrets(tmp_path: Path) -> None:
    """Keys, secrets and passwords are looked for, in files too; other variables are not."""
    file = tmp_path / "key"
    file.write_text("0123456789-in-a-file\n")
    watch = Watch()
    watch.know_environment(
        {
            "GEMINI_API_KEY": "0123456789-gemini",
            "POLICY_OPERATOR_KEY_FILE": str(file),
            "LOG_FORMAT": "0123456789-format",
        }
    )
    said = "0123456789-gemini 0123456789-in-a-file 0123456789-format"
    kinds = [leak.kind for leak in watch.seen("here", said)]
    assert kinds == ["GEMINI_API_KEY", "POLICY_OPERATOR_KEY_FILE"]


def test_parts_of_a_jwt_are_secrets_too() -> None:
    """The claims name a person, and the signature is what a thief lacks."""
    watch = Watch()
    token = jwt.encode({"sub": "ann"}, "k" * 32, algorithm="HS256")
    watch.know("a JWT", token)
    _, claims, signature = token.split(".")
    assert [leak.kind for leak in watch.seen("here", claims)] == ["claims of a JWT"]
    assert [leak.kind for leak in watch.seen("here", signature)] == ["signature of a JWT"]
