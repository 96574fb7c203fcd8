"""What an OpenAPI document says of an API that its descriptors cannot say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.transcoding.rules import Binding
from gateway.transcoding.strict_json import Json

Which = Callable[[Binding], bool]
"""Which operations something is true of."""


def everywhere(_: Binding) -> bool:
    """Be true of each operation."""
    return True


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A header that requests may have, and the field that it is put into, if it is one."""

    name: str
    description: str
    schema: Mapping[str, Json]
    example: str
    where: Which = everywhere
    field: str = ""
    """By full name; bodies and parameters do not show it then."""


@dataclass(frozen=True, slots=True)
class AnswerHeader:
    """A header that answers have: those with one of `statuses`, or all if there is none."""

    name: str
    description: str
    schema: Mapping[str, Json]
    statuses: frozenset[int] = frozenset()
    where: Which = everywhere
    required: bool = False


@dataclass(frozen=True, slots=True)
class RefusalCase:
    """One way to be refused: `when` is a sentence."""

    status: int
    code: str
    when: str
    where: Which = everywhere


@dataclass(frozen=True, slots=True)
class RefusalForm:
    """A media type that refusals have: its schema, given their codes, and an example of it."""

    media_type: str
    schema: Callable[[Sequence[str]], Json]
    example: Callable[[RefusalCase], Json]


@dataclass(frozen=True, slots=True)
class Example:
    """Real messages of an RPC, each under a name."""

    requests: Mapping[str, Json] = field(default_factory=dict)
    answers: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Api:
    """An API in words.

    `fields` has JSON Schema keywords of fields, by full name, which complete or
    replace those of their type; `always_there` the fields with presence that
    every answer has all the same. `security` are the requirements of an
    operation; `envelope` makes the schema of an answer out of that of the message;
    `text_floats` is as the Transcoder has it.
    """

    information: Mapping[str, Json]
    services: frozenset[str] = frozenset()
    """By full name; empty: all that have rules."""
    servers: Sequence[Json] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """Services by full name, and what they are called."""
    security_schemes: Mapping[str, Json] = field(default_factory=dict)
    security: Callable[[Binding], Sequence[Json]] = lambda _: ()
    envelope: Callable[[Json], Json] = lambda schema: schema
    fields: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    always_there: frozenset[str] = frozenset()
    text_floats: bool = True
    request_headers: Sequence[RequestHeader] = ()
    answer_headers: Sequence[AnswerHeader] = ()
    refusals: Sequence[RefusalCase] = ()
    refusal_forms: Sequence[RefusalForm] = ()
    schemas: Mapping[str, Json] = field(default_factory=dict)
    """Schemas beside those of messages, by name."""
    examples: Mapping[str, Example] = field(default_factory=dict)
    """By the full name of the RPC."""
