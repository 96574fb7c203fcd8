"""How the command line writes JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from google.protobuf.message import Message


def echo_json(value: Any) -> None:
    """Print for a script."""
    click.echo(json.dumps(value, indent=2))


def echo_message(message: Message) -> None:
    """Print a message for a script, by the API's own names."""
    echo_json(
        MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    )
