"""Where our transcoder and Envoy's differ in values, bodies and answers, and why."""

from __future__ import annotations

from envoy_difference import Difference

_NUMBERS = "small|large|natural|large[-_]natural|single|precise"

VALUES = (
    Difference(
        "Numbers that JSON does not have: `+7`, `.5`, `1.`, `0x1p3`",
        "are read",
        "400",
        "Text is read as the JSON of the field would be.",
        "200/400",
        (
            rf"GET /(paths/|queries\?)({_NUMBERS})[/=](%2B[17]|1\.|\.5|0x1p3)",
            rf"POST /bodies/whole \{{\"({_NUMBERS})\": \"(\+[17]|1\.|\.5|0x1p3)\"\}}",
        ),
    ),
    Difference(
        "A bool that is not `true` or `false`, or in a body is a string",
        "`True`, `t`, `1`, `yes` and so on are read",
        "400",
        "The JSON mapping has two bools.",
        "200/400",
        (
            r"GET /(paths/|queries\?)flag[/=](True|TRUE|t|1|0|yes)",
            r"GET /queries\?maybe_flag=False",
            r"POST /bodies/whole \{\"(maybe_)?flag\": \"\w+\"\}",
        ),
    ),
    Difference(
        "`-0` for an unsigned field",
        "400",
        "is 0",
        "It is 0.",
        "400/200",
        (
            r"GET /(paths/|queries\?)(natural|large[-_]natural)[/=]-0",
            r"POST /bodies/whole \{\"(natural|large_natural)\": \"-0\"\}",
        ),
    ),
    Difference(
        "The number of an enum, unknown, in a path or query",
        "400",
        "is taken",
        "proto3's enums are open, and Envoy takes it in a body.",
        "400/200",
        (r"GET /(paths/|queries\?)color[/=](7|-1)", r"GET /queries\?nothing=1"),
    ),
    Difference(
        "The number of an enum as a string in a body, or with an exponent",
        "is taken",
        "400",
        "The JSON mapping has names and integers.",
        "200/400",
        (
            r"POST /bodies/whole \{\"(color|nothing)\": \"[01]\"\}",
            r"POST /bodies/whole \{\"(color|nothing)\":1e3\}",
        ),
    ),
    Difference(
        "An integer with an exponent beyond 2^53",
        "is taken",
        "400",
        "It has been a double on its way, which no longer tells it from the next.",
        "200/400",
        (r"POST /bodies/whole \{\"large\":1e18\}",),
    ),
    Difference(
        "A second 60",
        "is the next minute",
        "400",
        "The JSON mapping has no leap seconds.",
        "200/400",
        (
            r"GET /queries\?time=2026-01-01T00%3A00%3A60Z",
            r"POST /bodies/whole \{\"time\": \"2026-01-01T00:00:60Z\"\}",
        ),
    ),
    Difference(
        "A Timestamp with digits left out",
        "is taken",
        "400",
        "RFC 3339 leaves none out.",
        "200/400",
        (
            r"GET /queries\?time=2026-(1-1T1%3A1%3A1|01-01T00%3A00%3A00\.)Z",
            r"POST /bodies/whole \{\"time\": \"2026-(1-1T1:1:1|01-01T00:00:00\.)Z\"\}",
        ),
    ),
    Difference(
        "A FieldMask with underscores in a body",
        "is taken",
        "400",
        "The JSON mapping has lowerCamelCase.",
        "200/400",
        (r"POST /bodies/whole \{\"mask\": \"inner\.number_of_pages\"\}",),
    ),
    Difference(
        "A FieldMask with empty paths",
        "are dropped",
        "400",
        "A path has a name; protobuf's parser for Go refuses them too.",
        "200/400",
        (
            r"GET /queries\?mask=(%2C|text%2C)",
            r"POST /bodies/whole \{\"mask\": \"(,|text,)\"\}",
        ),
    ),
    Difference(
        "A FieldMask with capitals at the beginning of a path",
        "are small",
        "begin with an underscore",
        "As protobuf's own parsers: a mask is for the server to judge.",
        "request",
        (
            r"GET /queries\?mask=Text",
            r"POST /bodies/whole \{\"mask\": \"Text\"\}",
            r"POST /bodies/whole \{\"mask\":\"NaN\"\}",
        ),
    ),
)

BODIES = (
    Difference(
        "A body that is not `application/json` in UTF-8, or is compressed",
        "is read as if it were",
        "415",
        "RFC 9110, 15.5.16. A form of another site can send `text/plain` without asking.",
        "200/415",
        (r"POST /bodies/whole \{\"text\":\"a\"\} \[Content-(Type|Encoding): .*\]",),
    ),
    Difference(
        "A body where the rule has none",
        "is the whole request",
        "400",
        "The rule says which fields there are.",
        "200/400",
        (
            r"DELETE /verbs/a \{.*",
            r"POST /bodies/none \{.*",
            r"GET /queries \{.*",
        ),
    ),
    Difference(
        "A field in the body that the path has too",
        "the body's holds",
        "the path's holds",
        "Who may do what, and logs, go by the path. So does grpc-gateway.",
        "request",
        (
            r"POST /bodies/whole/a \{\"text\":\"b\"\}",
            r"PATCH /bodies/message/a \{\"text\":\"b\"\}",
            r"POST /bodies/inner/a \{\"inner\":.*",
        ),
    ),
    Difference(
        "No body where the rule has a message or a list for it",
        "an empty message is set, or added",
        "the field is not set",
        "Nothing is nothing; as grpc-gateway.",
        "request",
        (
            r"POST /bodies/message(/a)?",
            r"POST /bodies/message\?(small=7|text=b)",
            r"POST /bodies/messages",
            r"POST /bodies/time",
        ),
    ),
    Difference(
        "No body where the rule has a scalar for it",
        "400",
        "the field is not set",
        "As above.",
        "400/200",
        (r"POST /bodies/(texts|text|number|color)",),
    ),
    Difference(
        "What is almost JSON: single quotes, bare keys, commas at the end, raw newlines, `1.`",
        "is read",
        "400",
        "RFC 8259. Readers differ in what else they forgive.",
        "200/400",
        (
            r"POST /bodies/whole \{\"text\":\"a\",\}",
            r"POST /bodies/whole \{'text':'a'\}",
            r"POST /bodies/whole \{text:'a'\}",
            r"POST /bodies/whole \{\"text\":\"a\nb\"\}",
            r"POST /bodies/whole \{\"text\":\"\\x\"\}",
            r"POST /bodies/whole \{\"small\":1\.\}",
        ),
    ),
    Difference(
        "A member that is there twice, under one name or two",
        "the last holds",
        "400",
        "Which one is meant, two readers decide differently.",
        "200/400",
        (
            r"POST /bodies/whole \{\"text\":\"a\",\"text\":\"b\"\}",
            r"POST /bodies/whole \{\"pages\":1,\"number_of_pages\":2\}",
            r"POST /bodies/whole \{\"byNumber\":\{\"1\":\{\},\"01\":\{\}\}\}",
        ),
    ),
    Difference(
        "Unknown members, `@type` among them",
        "are ignored",
        "400",
        "A mistyped name is a mistake, and here one about money.",
        "200/400",
        (
            r"POST /bodies/whole \{\"(unknown|Text|numberOfPages|@type)\":.*",
            r"POST /bodies/whole \{\"inner\":\{\"(unknown|a)\":.*",
            r"POST /api/v1/live-token \{\"(unknown|durationMinutes)\":.*",
        ),
    ),
    Difference(
        "One value for a list",
        "is a list of one",
        "400",
        "The JSON mapping has lists.",
        "200/400",
        (
            r"POST /bodies/whole \{\"(texts|times|numbers|colors|inners)\": ?[\"{17].*",
            r"POST /bodies/texts \".*\"",
            r"POST /bodies/messages \{.*",
        ),
    ),
    Difference(
        "null in a list or a map",
        "is left out, or is empty",
        "400",
        "The JSON mapping has it nowhere but for Value.",
        "200/400",
        (
            r"POST /bodies/whole \{\"(texts|numbers|inners)\":\[(\"a\",)?null\]\}",
            r"POST /bodies/whole \{\"(labels|byNumber)\":\{\"[a1]\":null\}\}",
            r"POST /bodies/(texts|messages) \[null\]",
        ),
    ),
    Difference(
        "An object for a Timestamp, FieldMask, wrapper or ListValue",
        "is read, field by field",
        "400",
        "The JSON mapping has another form for each.",
        "200/400",
        (
            r"POST /bodies/whole \{\"(time|mask|maybeText|maybeLarge|list)\":\{.*",
            r"POST /bodies/time \{.*",
        ),
    ),
    Difference(
        "Objects nested deeper than 16 levels",
        "are read, up to 100 or so",
        "400",
        "No request needs it, and depth costs.",
        "200/400",
        (r"POST /bodies/whole (\{\"inner\":){10}.*",),
    ),
)

ANSWERS = (
    Difference(
        "Fields at their default in the details of an error",
        "are printed",
        "are not printed",
        "Nobody asks for them. Where no more is said, the body of an error is the same.",
        "answer",
        (r"GET /fail/[0-9]+\?message=no&detailed=true",),
    ),
    Difference(
        "A stream that fails after its first message",
        "ends as if it were complete",
        "ends with the error",
        "Who reads it can tell half of it from all of it.",
        "answer",
        (r"GET /streams/2\?code=5 .*",),
    ),
    Difference(
        "A stream of HttpBody that fails after its first message",
        "ends as if it were complete",
        "breaks off",
        "Bytes have no other place for an error.",
        "ending",
        (r"GET /raw/pages/2\?code=5",),
    ),
    Difference(
        "An HttpBody whose type is empty, or has a line break; a stream of none",
        "has no type; has the header after the break; is `application/json`",
        "is `application/octet-stream`",
        "RFC 9110, 8.3: else the client guesses. A server's text makes no headers.",
        "type",
        (r"GET /raw/(page|part)/a\?word=(a%0d%0aB:c)?", r"GET /raw/pages/0"),
    ),
)
