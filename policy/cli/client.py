"""The command line's connection to a running policy."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import grpc
from pydantic import SecretStr  # noqa: TC002 - the settings are made of it at run time

from policy.v1 import operator_pb2_grpc
from serving import plaintext, settings as serving_settings
from serving.certificates import certificate_files, open_certificates
from serving.settings import Settings, variable
from serving.tls import channel_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving.certificates import Certificates

_TARGET = "unix:.run/policy.sock"
_TIMEOUT_SECONDS = 10.0
_DETAILS = "grpc-status-details-bin"
_BAD_SETTING = 2


class BadSetting(click.ClickException):
    """An environment variable that cannot be used."""

    exit_code = _BAD_SETTING


class OperatorSettings(Settings):
    """What an operator's environment holds."""

    operator_key: SecretStr | None = variable("POLICY_OPERATOR_KEY", None)
    tls_cert_file: Path | None = variable("POLICY_TLS_CERT_FILE", None)
    tls_key_file: Path | None = variable("POLICY_TLS_KEY_FILE", None)
    tls_ca_file: Path | None = variable("POLICY_TLS_CA_FILE", None)
    allow_plaintext: bool = variable("POLICY_ALLOW_PLAINTEXT", False)  # noqa: FBT003 - a default

    def certificates(self) -> Certificates | None:
        """Read what to show to policy over TCP. Raises SettingsError, ValueError."""
        return open_certificates(
            certificate_files(
                ("POLICY_TLS_CERT_FILE", self.tls_cert_file),
                ("POLICY_TLS_KEY_FILE", self.tls_key_file),
                ("POLICY_TLS_CA_FILE", self.tls_ca_file),
            )
        )


def online(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection, and the connection as its first argument."""

    @click.option(
        "--target",
        envvar="POLICY_TARGET",
        default=_TARGET,
        show_default=True,
        help="Where policy listens; $POLICY_TARGET. Over TCP with $POLICY_TLS_*, if set.",
    )
    @click.option(
        "--server-name",
        envvar="POLICY_SERVER_NAME",
        help="The name in policy's certificate, if not the target's host; $POLICY_SERVER_NAME.",
    )
    @click.option(
        "--key-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A file that holds the operator key; else $POLICY_OPERATOR_KEY(_FILE).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def connected(
        *, target: str, server_name: str | None, key_file: Path | None, **options: Any
    ) -> None:
        with _told(target), _channel(target, server_name) as channel:
            command(Operator(channel, _key(key_file)), **options)

    return connected


class Operator:
    """Calls the operator service."""

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        """Call through `channel` with the operator key."""
        self._stub: Any = operator_pb2_grpc.OperatorServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def call(self, method: str, request: Any) -> Any:
        """Call a method and return its answer."""
        return getattr(self._stub, method)(
            request, metadata=self._metadata, timeout=_TIMEOUT_SECONDS
        )


@contextmanager
def _channel(target: str, server_name: str | None) -> Iterator[grpc.Channel]:
    options: list[tuple[str, Any]] = [("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
    if target.startswith("unix:"):
        options.append(("grpc.default_authority", "localhost"))  # a path is no authority
    if server_name is not None:
        options.append(("grpc.ssl_target_name_override", server_name))
    certificates = None if target.startswith("unix:") else _certificates(target)
    if certificates is None:
        opened = grpc.insecure_channel(target, options=options)
    else:
        credentials = channel_credentials(certificates.current())
        opened = grpc.secure_channel(target, credentials, options=options)
    with opened as channel:
        yield channel


def _certificates(target: str) -> Certificates | None:
    try:
        settings = serving_settings.load(OperatorSettings)
        certificates = settings.certificates()
        if certificates is None and not settings.allow_plaintext:  # it would tell the key
            unless = "set POLICY_TLS_CERT_FILE, or POLICY_ALLOW_PLAINTEXT=true"
            plaintext.refuse("--target", [target], unless=unless)
    except (serving_settings.SettingsError, ValueError) as error:
        raise BadSetting(str(error)) from error
    return certificates


def _key(path: Path | None) -> str:
    if path is not None:
        try:
            key = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise click.ClickException(f"cannot read {path}: {why}") from error
    else:
        try:
            secret = serving_settings.load(OperatorSettings).operator_key
        except serving_settings.SettingsError as error:
            raise BadSetting(str(error)) from error
        key = "" if secret is None else secret.get_secret_value()
    if not key:
        raise click.ClickException(
            "no operator key: set POLICY_OPERATOR_KEY or POLICY_OPERATOR_KEY_FILE, "
            "or give --key-file"
        )
    if not (key.isascii() and key.isprintable()):
        raise click.ClickException("the operator key must be one line of ASCII")
    return key


@contextmanager
def _told(target: str) -> Iterator[None]:
    """Turn what a call fails with into one line."""
    try:
        yield
    except grpc.RpcError as error:
        code, trailers = error.code(), error.trailing_metadata() or ()
        if any(each.key == _DETAILS for each in trailers):  # it is policy's own, and a sentence
            raise click.ClickException(error.details() or code.name) from None
        match code:
            case grpc.StatusCode.UNAVAILABLE:
                message = f"cannot reach policy at {target}"
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                message = f"policy at {target} did not answer in {_TIMEOUT_SECONDS:.0f} s"
            case grpc.StatusCode.UNIMPLEMENTED:
                message = f"what listens at {target} has no operator service, or an older one"
            case _:
                message = f"the call to {target} failed: {code.name}"
        raise click.ClickException(message) from None
