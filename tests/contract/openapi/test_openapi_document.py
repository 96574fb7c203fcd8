"""The committed document: fresh, valid to strict eyes, and complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
from http import HTTPMethod
from pathlib import Path
from typing import Any

import pytest
from node_tools import node_tools
from openapi_document import FILE, ROOT, Description, compile_image, load
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from gateway.openapi.__main__ import text
from gateway.transcoding.router import make_router
from tokenservice.v1 import tokenservice_pb2

SERVICE = tokenservice_pb2.DESCRIPTOR.services_by_name["TokenService"]
PROTOS = ROOT / "proto"
API_DOCS = (ROOT / "docs/api.md").read_text(encoding="utf-8")
ERROR_TABLE = re.findall(r"^\| ([0-9, ]+) \| (`[A-Z_`, ]+`) \|", API_DOCS, flags=re.MULTILINE)
REDOCLY_CONFIG = Path(__file__).with_name("redocly.yaml")


@pytest.fixture(scope="module")
def document() -> Any:
    """Return the committed document."""
    return load()


def test_it_is_fresh(tmp_path: Path) -> None:
    """It is what the protos, their comments and the generator make now."""
    files = [file.relative_to(PROTOS).as_posix() for file in sorted(PROTOS.glob("*/v1/*.proto"))]
    image = compile_image(tmp_path, PROTOS, *files)
    assert text(image.SerializeToString()) == FILE.read_text(encoding="utf-8"), "run make openapi"


def test_it_satisfies_a_strict_linter(tmp_path: Path) -> None:
    """Redocly's `recommended-strict` finds nothing at all."""
    cli = node_tools() / "node_modules/@redocly/cli/bin/cli.js"
    offline = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_NOTIFICATIONS": "true", "CI": "true"}
    linted = subprocess.run(
        ["node", cli, "lint", FILE, "--config", REDOCLY_CONFIG, "--format=json"],
        cwd=tmp_path,
        env=os.environ | offline,
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    report = json.loads(linted.stdout)
    assert report["problems"] == []
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}
    assert linted.returncode == 0, linted.stderr


def test_it_is_openapi(document: Any) -> None:
    """The schema of OpenAPI 3.1 allows it."""
    OPENAPI_31_VALIDATOR.validate(document)


def test_every_route_is_in_it(document: Any) -> None:
    """And nothing else."""
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method.upper() in HTTPMethod.__members__
    }
    routes = {(each.http_method, each.template.text) for each in make_router([SERVICE]).bindings}
    assert described == routes


def test_every_code_is_in_it(document: Any) -> None:
    """Each of the API's documentation is an example under its status, and the other way round."""
    documented = {
        (status, code)
        for statuses, codes in ERROR_TABLE
        for status, code in _rows(statuses.split(", "), re.findall(r"`(\w+)`", codes))
    }
    described = {
        (status, code)
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        for media in Description(document).resolved(response)["content"].values()
        for code in media["examples"]
        if status != "200"
    }
    assert len(documented) > 20
    assert described == documented


def test_every_example_is_as_its_schema_says(document: Any) -> None:
    """With no member that it does not name."""
    description = Description(document)
    examples = list(description.examples())
    assert len(examples) > 100
    for where, schema, value in examples:
        try:
            description.ensure_valid(schema, value)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error


def test_the_example_of_a_token_is_that_of_the_documentation(document: Any) -> None:
    """Nobody reads two."""
    block = re.search(r"```json\n(\{\"success\": true.*?)```", API_DOCS, flags=re.DOTALL)
    assert block is not None
    success = document["paths"]["/api/v1/live-token"]["post"]["responses"]["200"]
    examples = success["content"]["application/json"]["examples"]
    assert examples["success"]["value"] == json.loads(block[1])


def test_health_needs_no_credentials_and_everything_else_does(document: Any) -> None:
    """Any one of three kinds will do."""
    kinds: Any = [{"bearer": []}, {"apiKey": []}, {"dpop": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["security"] == ([] if path.endswith("/health") else kinds)


def _rows(statuses: list[str], codes: list[str]) -> list[tuple[str, str]]:
    """Pair them: one status for all codes, or one for each."""
    return list(zip(statuses if len(statuses) > 1 else statuses * len(codes), codes, strict=True))
