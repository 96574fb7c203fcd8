"""`tokenservice keys` and `tokenservice users`, on a real file and a real server."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from identity_rows import HASH_KEY

from serving.pseudonym import Pseudonyms
from tokenservice.cli import commands
from tokenservice.identity import key_text

if TYPE_CHECKING:
    from servers import ValkeyServer

ANN = "ann.owner@example.com"
ALIAS = Pseudonyms(HASH_KEY).user(ANN)
UNREACHABLE = "redis://user:a-password@127.0.0.1:1/0"


@dataclass
class Ran:
    """What became of a command."""

    code: int
    out: str
    err: str


@dataclass
class Terminal:
    """An operator's terminal."""

    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, typed: str = "") -> Ran:
        """Run a command, with `typed` on its standard input."""
        self.patch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            commands.main(arguments)
        said = self.capture.readouterr()
        self.said.append(said.out + said.err)
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, said.out, said.err)

    def key(self, *options: str) -> str:
        """Make a key, and return its text."""
        ran = self.run("keys", "create", "--owner", ANN, "--expires", "90d", *options)
        assert ran.code == 0
        return ran.out.strip()


@pytest.fixture(params=["sqlite", "valkey"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of each store in turn."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'identity.db'}"
    server: ValkeyServer = request.getfixturevalue("server")
    return server.url


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal without a store."""
    for name in list(os.environ):
        if name.startswith("TOKENSERVICE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("USER", "the operator")
    monkeypatch.setenv("TZ", "UTC")
    return Terminal(capsys, monkeypatch)


@pytest.fixture
def terminal(bare: Terminal, url: str, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal on each store in turn."""
    monkeypatch.setenv("TOKENSERVICE_STORE_URL", url)
    monkeypatch.setenv("TOKENSERVICE_STORE_PREFIX", f"test-{secrets.token_hex(6)}")
    monkeypatch.setenv("TOKENSERVICE_HASH_KEY", HASH_KEY.decode())
    monkeypatch.setenv("TOKENSERVICE_STORE_TIMEOUT_MS", "5000")
    return bare


def test_a_key_is_shown_once(terminal: Terminal) -> None:
    """Making a key prints it, and nothing else, to standard output; no other command does."""
    made = terminal.run(
        "keys", "create", "--owner", ANN, "--expires", "90d", "--label", "ci", "--tier", "gold"
    )
    text = made.out.removesuffix("\n")
    key_id = key_text.id_in(text)
    assert made.code == 0
    assert key_id is not None
    assert re.fullmatch(
        rf"Made key {key_id}, which ends .*Z \(in 90 d\)\. It cannot be shown again\.\n", made.err
    )
    terminal.said.clear()
    terminal.run("keys", "list")
    terminal.run("keys", "list", "--json", "--show-owner")
    terminal.run("keys", "revoke", text, "--json")
    assert text.split("_")[2] not in "".join(terminal.said)


def test_keys_are_listed_by_pseudonym(terminal: Terminal) -> None:
    """A list has all that is known; owners are named only where that is asked for."""
    assert terminal.run("keys", "list").out == "No keys.\n"
    assert json.loads(terminal.run("keys", "list", "--json").out) == []
    key_id = terminal.key("--label", "ci", "--operator").split("_")[1]
    listed = terminal.run("keys", "list")
    header, row = listed.out.splitlines()
    assert header.split() == [
        *("ID", "STATE", "OWNER", "TIER", "OPERATOR", "EXPIRES", "CREATED", "BY", "LABEL")
    ]
    assert row.split()[:5] == [key_id, "valid", ALIAS, "-", "yes"]
    assert "the operator" in row
    assert ANN not in listed.out
    (told,) = json.loads(terminal.run("keys", "list", "--json").out)
    assert (told["id"], told["owner"], told["operator"], told["label"]) == (
        key_id,
        ALIAS,
        True,
        "ci",
    )
    assert ANN in terminal.run("keys", "list", "--show-owner").out


def test_a_script_makes_a_key(terminal: Terminal) -> None:
    """JSON has the key and what is known of it; the owner may come on standard input."""
    made = terminal.run(
        "keys", "create", "--owner", "-", "--expires", "12h", "--json", typed=f"{ANN}\n"
    )
    told = json.loads(made.out)
    assert key_text.id_in(told["key"]) == told["id"]
    assert (told["owner"], told["tier"], told["operator"]) == (ALIAS, "", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["expires_at"])
    assert ANN not in made.out + made.err


@pytest.mark.parametrize("named", ["id", "key", "stdin"])
def test_a_key_is_revoked_by_what_is_at_hand(terminal: Terminal, named: str) -> None:
    """Its id, the key itself, or either on standard input; who did it is kept."""
    text = terminal.key()
    key_id = text.split("_")[1]
    argument = {"id": key_id, "key": text, "stdin": "-"}[named]
    ran = terminal.run("keys", "revoke", argument, typed=text + "\n")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"Revoked key {key_id}: refused everywhere a moment from now.\n"
    (told,) = json.loads(terminal.run("keys", "list", "--json").out)
    assert (told["state"], told["revoked_by"]) == ("revoked", "the operator")
    assert told["revoked_at"]


def test_a_key_that_is_not_there_cannot_be_revoked(terminal: Terminal) -> None:
    """What names no key is told in a line: 1 where there is none, 2 where it can be none."""
    ran = terminal.run("keys", "revoke", "nobodysid000")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "tokenservice: there is no key nobodysid000\n"
    ran = terminal.run("keys", "revoke", "AIzaSyNotOneOfOurs")
    assert (ran.code, ran.out) == (2, "")
    assert "AIza" not in ran.err


def test_a_user_is_denied_and_allowed(terminal: Terminal) -> None:
    """Who is denied, by whom and why is listed by pseudonym; so is, on demand, who was allowed."""
    assert terminal.run("users", "denied").out == "Nobody is denied.\n"
    ran = terminal.run("users", "deny", ANN, "--reason", "left us")
    assert ran.out == f"Denied user {ALIAS} for good: everywhere a moment from now.\n"
    denied = terminal.run("users", "denied").out
    assert denied.splitlines()[0].split() == ["USER", "SINCE", "BY", "UNTIL", "REASON"]
    assert ALIAS in denied
    assert "left us" in denied
    ran = terminal.run("users", "deny", "-", "--for", "30d", "--reason", "a pause", typed=ANN)
    assert re.search(r" until .*Z \(in 30 d\): ", ran.out)
    (told,) = json.loads(terminal.run("users", "denied", "--json").out)
    assert (told["user"], told["reason"], told["denied_by"]) == (ALIAS, "a pause", "the operator")
    assert told["until"]
    assert terminal.run("users", "allow", ANN, "--actor", "another").out == "Allowed.\n"
    assert terminal.run("users", "allow", ANN).out == "The user was not denied.\n"
    assert json.loads(terminal.run("users", "denied", "--json").out) == []
    (told,) = json.loads(terminal.run("users", "denied", "--all", "--json").out)
    assert told["lifted_by"] == "another"
    assert "LIFTED" in terminal.run("users", "denied", "--all").out
    assert ANN not in "".join(terminal.said)


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["keys", "create", "--owner", "a"], "'--expires'"),
        (["keys", "create", "--owner", "a", "--expires", "366d"], "at most 365d"),
        (["keys", "create", "--owner", "a", "--expires", "0d"], "more than nothing"),
        (["keys", "create", "--owner", "a", "--expires", "90"], "like 30m"),
        (["keys", "create", "--owner", "", "--expires", "1d"], "'--owner'"),
        (["keys", "create", "--owner", "-", "--expires", "1d"], "'--owner'"),
        (["keys", "create", "--owner", "x" * 256, "--expires", "1d"], "'--owner'"),
        (["keys", "create", "--owner", "x\x1b[2J", "--expires", "1d"], "'--owner'"),
        (["keys", "create", "--owner", "a", "--expires", "1d", "--tier", "a b"], "'--tier'"),
        (["keys", "create", "--owner", "a", "--expires", "1d", "--label", "a\nb"], "'--label'"),
        (["users", "deny", "a"], "'--reason'"),
        (["users", "deny", "", "--reason", "r"], "'SUBJECT'"),
        (["users", "deny", "a", "--reason", "r" * 201], "'--reason'"),
        (["users", "deny", "a", "--reason", "r", "--for", "soon"], "'--for'"),
    ],
)
def test_what_is_wrong_is_one_line(bare: Terminal, arguments: list[str], told: str) -> None:
    """A value that cannot be is named on standard error, the exit code is 2, nothing changes."""
    bare.patch.setenv("TOKENSERVICE_STORE_URL", UNREACHABLE)
    bare.patch.setenv("TOKENSERVICE_HASH_KEY", HASH_KEY.decode())
    ran = bare.run(*arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith("tokenservice: ")
    assert told in ran.err


def test_who_acts_must_be_known(bare: Terminal) -> None:
    """Without $USER, $LOGNAME and --actor nothing is changed."""
    bare.patch.delenv("USER")
    bare.patch.delenv("LOGNAME", raising=False)
    ran = bare.run("users", "allow", "ann")
    assert (ran.code, ran.out) == (2, "")
    assert "--actor" in ran.err


@pytest.mark.parametrize(
    "variables, told",
    [
        ({}, "TOKENSERVICE_STORE_URL: must be set"),
        ({"TOKENSERVICE_STORE_URL": "sqlite:x"}, "TOKENSERVICE_HASH_KEY: must be set"),
        ({"TOKENSERVICE_STORE_URL": "sqlite:", "TOKENSERVICE_HASH_KEY": "k" * 32}, "no file"),
        ({"TOKENSERVICE_STORE_URL": "ftp://p4ss@x", "TOKENSERVICE_HASH_KEY": "k" * 32}, "URL: "),
        ({"TOKENSERVICE_STORE_URL": "sqlite:x", "TOKENSERVICE_HASH_KEY": "short"}, "32 bytes"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    bare: Terminal, variables: dict[str, str], told: str
) -> None:
    """The variable is named, its value is not, and the exit code is 2."""
    for name, value in variables.items():
        bare.patch.setenv(name, value)
    ran = bare.run("keys", "list")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith("tokenservice: TOKENSERVICE_")
    assert told in ran.err
    assert "p4ss" not in ran.err


def test_a_store_that_is_away_is_one_line(bare: Terminal) -> None:
    """A store that cannot be reached ends a command with 1, and its password is not told."""
    bare.patch.setenv("TOKENSERVICE_STORE_URL", UNREACHABLE)
    bare.patch.setenv("TOKENSERVICE_HASH_KEY", HASH_KEY.decode())
    ran = bare.run("keys", "list")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith("tokenservice: the store is not available: ")
    assert "a-password" not in ran.err


def test_another_hash_key_is_one_line(terminal: Terminal) -> None:
    """Under another key than the store's a command changes nothing, and says what to do."""
    terminal.key()
    terminal.patch.setenv("TOKENSERVICE_HASH_KEY", HASH_KEY.decode()[::-1])
    for arguments in (["keys", "list"], ["users", "deny", ANN, "--reason", "r"]):
        ran = terminal.run(*arguments)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
        assert "another TOKENSERVICE_HASH_KEY" in ran.err


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_without_a_command_tokenservice_serves(arguments: list[str]) -> None:
    """`tokenservice` and `tokenservice serve` start the service; its settings come first."""
    environment = os.environ | {"TOKENSERVICE_DEADLINE_MS": "soon"}
    ran = subprocess.run(
        [sys.executable, "-m", "tokenservice.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("tokenservice: TOKENSERVICE_DEADLINE_MS: ")
    assert ran.stderr.count("\n") == 1


def test_every_command_of_tokenservice_explains_itself(bare: Terminal) -> None:
    """Each command has help; a group without a command shows it and exits 2."""
    for path in (
        [],
        ["keys"],
        ["keys", "create"],
        ["keys", "revoke"],
        ["users"],
        ["users", "deny"],
    ):
        helped = bare.run(*path, "--help")
        assert (helped.code, helped.err) == (0, "")
        assert helped.out.startswith("Usage: tokenservice")
    group = bare.run("keys")
    assert (group.code, group.out) == (2, "")
    assert "revoke" in group.err
