"""What runs where: the programs of the stack, their ports and their environments."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import jwt

from stack import ready, scrapes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_DEV_TOKEN_SECONDS = 12 * 3600
_JWT_SECRET = ("LIVE_API_JWT_SECRET", "LIVE_API_JWT_SECRET_FILE")  # handed on by `programs`
_OPERATOR_KEY = "POLICY_OPERATOR_KEY"
_OPERATOR_KEY_OF_TOKENSERVICE = "TOKENSERVICE_POLICY_OPERATOR_KEY"
_HASH_KEYS = ("POLICY_HASH_KEY", "TOKENSERVICE_HASH_KEY")
_STORE = "TOKENSERVICE_STORE_URL"
_LEDGER = "TOKENSERVICE_LEDGER"
_EMULATOR_KEY = "GEMINI_LIVE_EMULATOR_API_KEY"
_REFLECTION = "true"  # who runs it here may ask what there is
_SECRETS = frozenset(
    {
        "GEMINI_API_KEY",
        _EMULATOR_KEY,
        "TOKENSERVICE_SEAL_KEY",
        "POLICY_STORE_URL",
        "TOKENSERVICE_ISSUERS",
        _STORE,
        *_HASH_KEYS,
        _OPERATOR_KEY,
        _OPERATOR_KEY_OF_TOKENSERVICE,
    }
)


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the stack listens on, and the variable that moves it."""

    number: int
    variable: str


@dataclass(frozen=True, slots=True)
class Program:
    """One process: how to start it, and how to see that it is ready."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    ready: Callable[[], Awaitable[bool]] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The stack on one machine. `environment` is what its user set."""

    directory: Path
    gateway: Port
    tokenservice: Port
    emulator: Port
    emulator_tls: Port
    scraped: Mapping[str, int] = field(default_factory=dict)
    """At which port each process tells Prometheus what it measures."""
    environment: Mapping[str, str] = field(repr=False)
    jwt_secret: str = field(repr=False)
    host: str = "127.0.0.1"

    @classmethod
    def of(cls, directory: Path, environment: Mapping[str, str]) -> Layout:
        """Lay it out as the environment says.

        Raises:
            ValueError: A variable that is not a port, in one line.

        """

        def port(variable: str, default: int) -> Port:
            text = environment.get(variable, str(default))
            if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):  # noqa: PLR2004 - ports
                raise ValueError(f"{variable}: must be a port number, 1 to 65535")
            return Port(int(text), variable)

        gateway, tokenservice = port("GATEWAY_PORT", 8080), port("TOKENSERVICE_PORT", 50051)
        emulator = port("GEMINI_LIVE_EMULATOR_PORT", 8090)
        emulator_tls = port("GEMINI_LIVE_EMULATOR_TLS_PORT", 8443)
        own = [each.number for each in (gateway, tokenservice, emulator, emulator_tls)]
        named = environment.get(scrapes.PORT)  # empty is not set, as the standard has it
        first = port(scrapes.PORT, 0).number if named else scrapes.FIRST_PORT
        return cls(
            directory=directory,
            gateway=gateway,
            tokenservice=tokenservice,
            emulator=emulator,
            emulator_tls=emulator_tls,
            scraped=scrapes.ports(environment, first, own, host=cls.host),
            environment={k: v for k, v in environment.items() if k not in _JWT_SECRET},
            jwt_secret=_jwt_secret(environment),
        )

    @property
    def emulated(self) -> bool:
        """Whether Gemini is the emulator, which it is unless there is a key."""
        return not ({"GEMINI_API_KEY", "GEMINI_API_KEY_FILE"} & self.environment.keys())

    @property
    def ports(self) -> Mapping[str, Port]:
        """The ports to listen on, by what listens."""
        own = {"gateway": self.gateway, "tokenservice": self.tokenservice}
        emulator = {"emulator": self.emulator, "emulator (TLS)": self.emulator_tls}
        return own | emulator if self.emulated else own

    @property
    def gateway_url(self) -> str:
        """Where browsers call."""
        return f"http://{self.host}:{self.gateway.number}"

    @property
    def tokenservice_target(self) -> str:
        """Where services call."""
        return f"{self.host}:{self.tokenservice.number}"

    @property
    def scrape_urls(self) -> Mapping[str, str]:
        """Where Prometheus asks each process."""
        return {
            name: scrapes.url(self.environment, self.host, port)
            for name, port in self.scraped.items()
        }

    @property
    def emulator_url(self) -> str:
        """Where the emulator speaks http and ws."""
        return f"http://{self.host}:{self.emulator.number}"

    @property
    def live_url(self) -> str:
        """Where the emulator speaks the Live API to a page."""
        return f"ws://{self.host}:{self.emulator.number}"

    @property
    def emulator_tls_url(self) -> str:
        """Where the emulator speaks https and wss."""
        return f"https://{self.host}:{self.emulator_tls.number}"

    @property
    def ca_file(self) -> Path:
        """The authority that vouches for the emulator."""
        return self.directory / "emulator-ca.pem"

    @property
    def policy_target(self) -> str:
        """Where tokenservice asks."""
        return f"unix:{self.directory / 'policy.sock'}"

    def bearer(self, subject: str, now: float, **claims: object) -> str:
        """Return a bearer token of `subject`, good for half a day."""
        content = {"sub": subject, "iat": int(now), "exp": int(now) + _DEV_TOKEN_SECONDS, **claims}
        return jwt.encode(content, self.jwt_secret, algorithm="HS256")

    @property
    def programs(self) -> list[Program]:
        """The programs, in the order to start them; they stop in the other."""
        internal = f"unix:{self.directory / 'tokenservice.sock'}"
        programs = [
            self._program(
                "policy",
                ready.serving(self.policy_target, "policy.v1.PolicyService"),
                "POLICY_HASH_KEY",
                "POLICY_STORE_URL",
                _OPERATOR_KEY,
                POLICY_LISTEN=self.policy_target,
                GRPC_REFLECTION=_REFLECTION,
                **self._operator_key(),
                **self._hash_key("POLICY_HASH_KEY"),
            ),
            self._program(
                "tokenservice",
                ready.serving(self.tokenservice_target, "tokenservice.v1.TokenService"),
                "GEMINI_API_KEY",
                "TOKENSERVICE_SEAL_KEY",
                "TOKENSERVICE_ISSUERS",
                "TOKENSERVICE_HASH_KEY",
                _STORE,
                _OPERATOR_KEY_OF_TOKENSERVICE,
                GRPC_REFLECTION=_REFLECTION,
                TOKENSERVICE_LISTEN=f"{internal},{self.tokenservice_target}",
                TOKENSERVICE_POLICY_TARGET=self.policy_target,
                LIVE_API_JWT_SECRET=self.jwt_secret,
                **self._operator_key_of_tokenservice(),
                **self._books(),
                **self._gemini(),
            ),
            self._program(
                "gateway",
                ready.answering(f"{self.gateway_url}/api/v1/live-token/health"),
                GATEWAY_HOST=self.host,
                GATEWAY_PORT=str(self.gateway.number),
                GATEWAY_TOKENSERVICE_TARGET=internal,
                **self._pages(),
            ),
        ]
        if self.emulated:
            programs.insert(0, self._emulator())
        return programs

    @property
    def operator_key_file(self) -> Path:
        """The key to policy's operators' API, unless the user has one of their own."""
        return self.directory / "policy-operator.key"

    @property
    def operator_options(self) -> str:
        """What the `policy` command needs here, beside the user's own environment."""
        own = f" --key-file {self.operator_key_file}" if self._operator_key() else ""
        return f"--target {self.policy_target}{own}"

    @property
    def operator_env_file(self) -> Path:
        """What operators' commands need in their environment here, for a shell to read."""
        return self.directory / "operator.env"

    def prepare(self) -> None:
        """Make the directory, and in it the keys of this run and the environment to use them."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._operator_key():
            _write(self.operator_key_file, secrets.token_hex(32))
        if not self._hash_key_file.exists():  # it names users in files that outlive a run
            _write(self._hash_key_file, secrets.token_hex(32))
        own = {"POLICY_TARGET": self.policy_target} | self._operator_key() | self._books()
        lines = [f"export {name}={shlex.quote(value)}" for name, value in own.items()]
        lines.append('export USER="${USER:-$(id -un)}"')  # who acts is kept
        _write(self.operator_env_file, "\n".join(lines) + "\n")

    @property
    def _hash_key_file(self) -> Path:
        return self.directory / "hash.key"

    def _hash_key(self, name: str) -> dict[str, str]:
        if {name, f"{name}_FILE"} & self.environment.keys():
            return {}
        return {f"{name}_FILE": str(self._hash_key_file)}

    def _books(self) -> dict[str, str]:
        """Return where tokenservice keeps API keys, denials and its ledger."""
        own = self._hash_key("TOKENSERVICE_HASH_KEY")
        if not {_STORE, f"{_STORE}_FILE"} & self.environment.keys():
            own[_STORE] = f"sqlite:{self.directory / 'tokenservice.db'}"
        if _LEDGER not in self.environment:
            own[_LEDGER] = str(self.directory / "ledger.jsonl")
        return own

    def _operator_key(self) -> dict[str, str]:
        if {_OPERATOR_KEY, f"{_OPERATOR_KEY}_FILE"} & self.environment.keys():
            return {}
        return {f"{_OPERATOR_KEY}_FILE": str(self.operator_key_file)}

    def _operator_key_of_tokenservice(self) -> dict[str, str]:
        """Return policy's operator key as tokenservice reads it, wherever it is."""
        if {
            _OPERATOR_KEY_OF_TOKENSERVICE,
            f"{_OPERATOR_KEY_OF_TOKENSERVICE}_FILE",
        } & self.environment.keys():
            return {}
        policys = dict(self.environment) | self._operator_key()
        return {
            f"{_OPERATOR_KEY_OF_TOKENSERVICE}{end}": policys[f"{_OPERATOR_KEY}{end}"]
            for end in ("", "_FILE")
            if f"{_OPERATOR_KEY}{end}" in policys
        }

    def _gemini(self) -> dict[str, str]:
        if not self.emulated:
            return {}
        return {
            "GEMINI_API_KEY": self.environment.get(_EMULATOR_KEY, "emulator-key"),
            "GOOGLE_GEMINI_BASE_URL": self.emulator_url,
        }

    def _pages(self) -> dict[str, str]:
        """Return which pages there are, and where the one to try it on talks to.

        Unless the user says so.
        """
        own = {"GATEWAY_PLAYGROUND": "true", "GATEWAY_OPS": "true"}
        if self.emulated:
            own["GATEWAY_PLAYGROUND_LIVE_URL"] = self.live_url
        return {name: value for name, value in own.items() if name not in self.environment}

    def _emulator(self) -> Program:
        return self._program(
            "emulator",
            ready.answering(f"{self.emulator_url}/healthz"),
            _EMULATOR_KEY,
            GEMINI_LIVE_EMULATOR_HOST=self.host,
            GEMINI_LIVE_EMULATOR_PORT=str(self.emulator.number),
            GEMINI_LIVE_EMULATOR_TLS_PORT=str(self.emulator_tls.number),
            GEMINI_LIVE_EMULATOR_CA_FILE=str(self.ca_file),
            GEMINI_LIVE_EMULATOR_LOG_LEVEL="warning",
        )

    def _program(
        self, module: str, is_ready: Callable[[], Awaitable[bool]], *secrets: str, **own: str
    ) -> Program:
        """Describe a program of ours; of the secrets it is given its own alone."""
        withheld = {f"{name}{end}" for name in _SECRETS - set(secrets) for end in ("", "_FILE")}
        inherited = {k: v for k, v in self.environment.items() if k not in withheld}
        own |= scrapes.environment(self.environment, self.scraped.get(module))
        return Program(module, (sys.executable, "-m", module), inherited | own, is_ready)


def _write(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")


def _jwt_secret(environment: Mapping[str, str]) -> str:
    """Return the secret that the user set, or one for this run."""
    if path := environment.get("LIVE_API_JWT_SECRET_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return environment.get("LIVE_API_JWT_SECRET") or secrets.token_hex(32)


def user_environment() -> Mapping[str, str]:
    """Return the environment that the stack was started in."""
    return dict(os.environ)
