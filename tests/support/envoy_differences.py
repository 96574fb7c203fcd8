"""Where our transcoder and Envoy's differ, and why: every difference that there is.

`python tests/support/envoy_differences.py` writes the list to docs/transcoding-envoy.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "transcoding-envoy.md"


@dataclass(frozen=True)
class Difference:
    """One decision: what Envoy does, what we do, and why.

    `change` is `request` or `answer`, where the statuses are alike and what
    reached the server or what it answered is not; else the two statuses,
    Envoy's first. `cases` are patterns of the whole names of cases.
    """

    what: str
    envoy: str
    ours: str
    why: str
    change: str
    cases: tuple[str, ...]

    def explains(self, change: str, case: str) -> bool:
        """Return whether this is why a case came out so."""
        return change == self.change and any(fits(pattern, case) for pattern in self.cases)


def fits(pattern: str, case: str) -> bool:
    """Return whether a pattern is of a case."""
    return re.fullmatch(pattern, case, re.DOTALL) is not None


_NUMBERS = "small|large|natural|large[-_]natural|single|precise"
_TRIES = rf"(GET /(paths/|queries\?)|POST /bodies/whole \{{\")({_NUMBERS})"

METHODS_AND_PATHS = (
    Difference(
        "A path that is there, with another method",
        "404",
        "405, with `Allow`",
        "RFC 9110, 15.5.6: it tells a wrong method from a wrong path.",
        "404/405",
        (
            r"(PUT|POST|PATCH|PURGE|PROPFIND|GET|HEAD|DELETE) /(options|deletes)/a.*",
            r"(PROPFIND|TRACE) /verbs/a",
            r"GET /paths/one/?",
            r"(GET|HEAD) /api/v1/live-token/?",
            r"POST /api/v1/live-token/(usage/?|health|config|stats)",
        ),
    ),
    Difference(
        "`OPTIONS` where no rule has it",
        "404",
        "204, with `Allow`",
        "RFC 9110, 9.3.7.",
        "404/204",
        (r"OPTIONS /(verbs|deletes)/a", r"OPTIONS /api/v1/live-token(/usage|/health|/.*)?"),
    ),
    Difference(
        "`HEAD` where a rule has `GET`",
        "404",
        "as `GET`, without the body",
        "RFC 9110, 9.3.2.",
        "404/200",
        (r"HEAD /verbs/a", r"HEAD /api/v1/live-token/(usage/?|health|config|stats)"),
    ),
    Difference(
        "`HEAD` of a `GET` that fails",
        "404, without a call",
        "the call's status",
        "As above.",
        "request",
        (r"HEAD /fail/5",),
    ),
    Difference(
        "`CONNECT`",
        "400",
        "405, with `Allow`",
        "It is a method as any other to a server that is no proxy.",
        "400/405",
        (r"CONNECT /verbs/a",),
    ),
    Difference(
        "A target `*`",
        "400",
        "404",
        "Nothing is there; it is well-formed for `OPTIONS`.",
        "400/404",
        (r"GET \*",),
    ),
    Difference(
        "A target with a fragment",
        "400",
        "the fragment is dropped",
        "Our HTTP parser does it before anybody sees the path, so there are no two readings.",
        "400/200",
        (r"GET /verbs/a#b",),
    ),
    Difference(
        "An empty segment where a template has `*`",
        "matches",
        "404",
        "A resource has a name. google-api-core never sends it.",
        "200/404",
        (
            r"GET /paths/star//end",
            r"GET /paths/multi/shelves//books/2",
            r"GET /paths/nested//b",
            r"GET /paths/verb/a/:archive",
        ),
    ),
    Difference(
        "More than one slash at the end",
        "all are dropped",
        "404; one is dropped",
        "One is a habit, two are a mistake.",
        "200/404",
        (r"GET //", r"GET /paths/star/a/end//", r"GET /verbs/a//"),
    ),
    Difference(
        "A slash at the end of what `**` captures",
        "is dropped",
        "is captured",
        "`**` is all that remains, as in grpc-gateway; names of files may end so.",
        "request",
        (
            r"GET /paths/tail/a//?",
            r"GET /paths/files/",
            r"GET /paths/trees/a/b/:tree",
            r"GET /paths/choice/literal/",
        ),
    ),
    Difference(
        "Letters that are percent-encoded without need, in a literal or a verb",
        "are others",
        "are the same",
        "RFC 3986, 6.2.2.2.",
        "404/200",
        (r"GET /paths/a-b_c\.d%7Ee", r"GET /paths/a%2Db_c\.d~e"),
    ),
    Difference(
        "The same, where another rule takes the path",
        "another rule",
        "the rule with the verb",
        "As above.",
        "request",
        (r"GET /paths/verb/a:archiv%65",),
    ),
    Difference(
        "A slash after a verb",
        "the verb is text",
        "the slash makes no difference",
        "It makes none elsewhere.",
        "request",
        (r"GET /paths/verb/a:archive/",),
    ),
    Difference(
        "A colon before what is a verb elsewhere, or after nothing",
        "404",
        "is text",
        "A verb is one where a rule has it; a name may have a colon.",
        "404/200",
        (r"GET /paths/verb/:archive", r"GET /paths/verb/a:tree"),
    ),
    Difference(
        "A percent sign that begins no escape",
        "is itself",
        "400",
        "It is no URI (RFC 3986, 2.1), and the next reader may see another.",
        "200/400",
        (r"GET /(verbs/|paths/tail/x/|queries\?text=)(%|%2|%zz|a%|%%41)",),
    ),
    Difference(
        "Escapes that are no UTF-8",
        "go on, for the server to fail at",
        "400",
        "A string field must be UTF-8.",
        "500/400",
        (r"GET /(verbs/|paths/tail/x/|queries\?text=)(%ff|%E2%82|%C0%AF|%ED%A0%80)",),
    ),
)

QUERIES = (
    Difference(
        "A parameter that is given twice, or whose field the path has",
        "the last holds",
        "400",
        "Which one is meant, two readers decide differently. grpc-gateway refuses it too.",
        "200/400",
        (
            r"GET /queries\?(text=a&text=[ab]|small=1&small=2|flag=true&flag=false)",
            r"GET /queries\?(time=.*&time=.*|maybe_text=a&maybe_text=b)",
            r"GET /queries/a\?text=[ab]",
            r"GET /queries/inner/a\?inner\.text=b",
            r"POST /bodies/message/a\?text=b \{.*",
        ),
    ),
    Difference(
        "Parameters for what is in the body",
        "are merged into it",
        "400",
        'http.proto: with `body: "*"` there are none, else they are for other fields.',
        "200/400",
        (
            r"POST /bodies/whole\?(small|text|inner\.small|inner\.text)=. \{.*",
            r"POST /bodies/message(/a)?\?inner\.(small|text)=.( \{.*)?",
            r"POST /bodies/texts\?texts=b .*",
            r"POST /api/v1/live-token\?model=m( \{\})?",
        ),
    ),
    Difference(
        "A parameter without `=`, or without a name",
        "is ignored",
        "400, or its value is empty",
        "It is a parameter to everybody else, and a mistake here.",
        "200/400",
        (
            r"GET /queries\?(inner|unknown|flag|=a|=|text=a&;)",
            r"GET /verbs/a\?\?",
        ),
    ),
    Difference(
        "The inside of a Timestamp, Duration, FieldMask or wrapper",
        "can be set",
        "400",
        "They are one value, and written as JSON writes them.",
        "200/400",
        (
            r"GET /queries\?(time\.seconds|time\.nanos|maybe_text\.value|wait\.seconds|mask\.paths)=.",
        ),
    ),
    Difference(
        "A field of a repeated message, or of a Struct or Value",
        "an element, or a string, is added",
        "400",
        "http.proto has neither as a parameter.",
        "200/400",
        (r"GET /queries\?(inners\.text|anything|object\.fields|anything\.boolValue)=.",),
    ),
    Difference(
        "A dot in a parameter's name that is percent-encoded",
        "400",
        "is a dot",
        "Names are decoded before they are split, as in grpc-gateway.",
        "400/200",
        (r"GET /queries\?inner%2[eE]text=a",),
    ),
)

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
        "A Duration with more than nine digits after its point",
        "400",
        "is cut",
        "As protobuf's own parser for Python, and grpc-gateway in a query.",
        "400/200",
        (
            r"GET /queries\?wait=1\.0000000001s",
            r"POST /bodies/whole \{\"wait\": \"1\.0000000001s\"\}",
        ),
    ),
    Difference(
        "A FieldMask with underscores",
        "is taken",
        "400",
        "The JSON mapping has lowerCamelCase.",
        "200/400",
        (
            r"GET /queries\?mask=inner\.number_of_pages",
            r"POST /bodies/whole \{\"mask\": \"inner\.number_of_pages\"\}",
        ),
    ),
    Difference(
        "A FieldMask with empty paths, or with capitals at their beginning",
        "are dropped, are small",
        "are empty, begin with an underscore",
        "As protobuf's own parser for Python: a mask is for the server to judge.",
        "request",
        (
            r"GET /queries\?mask=(%2C|text%2C|Text)",
            r"POST /bodies/whole \{\"mask\": \"(,|text,|Text)\"\}",
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

RULES = {
    "Methods and paths": METHODS_AND_PATHS,
    "Parameters": QUERIES,
    "Values": VALUES,
    "Bodies": BODIES,
}


def all_differences() -> list[Difference]:
    """Return the differences of all rooms."""
    return [difference for group in RULES.values() for difference in group]


def document() -> str:
    """Return docs/transcoding-envoy.md."""
    parts = [_PREFACE]
    for title, group in RULES.items():
        parts.append(f"\n## {title}\n\n| What | Envoy | Here | Why |\n|---|---|---|---|\n")
        parts += [f"| {each.what} | {each.envoy} | {each.ours} | {each.why} |\n" for each in group]
    return "".join(parts)


_PREFACE = """\
# Where our transcoding and Envoy's differ

Tests send the same requests, more than a thousand, to the gateway's transcoder
and to a real Envoy with its `grpc_json_transcoder`, on the same descriptors and
before the same server. They compare the status, the request that reached the
server, and the JSON of its answer. This is every difference that there is:
another fails the tests, and so does one that is there no longer.

Envoy is set to be as strict as it can be (`reject_unknown_method`,
`reject_unknown_query_parameters`), to keep `%2F` in variables of several
segments, to read `+` in a query as a space, and to print fields at their
default. Bodies of errors are not compared: ours are the contract's.

Whole seconds of a Timestamp have three digits here, `00:00:00.000Z`, as
JavaScript writes them, and none in Envoy; the JSON mapping allows both.
"""

if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
