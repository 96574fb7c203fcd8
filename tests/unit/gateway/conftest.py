"""The library: a service that uses all of google.api.http, compiled for the tests."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc_tools  # type: ignore[import-untyped]
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import ServiceDescriptor
from grpc_tools import protoc

from gateway.transcoding.router import Router, make_router, services

HERE = Path(__file__).parent
INCLUDES = (
    Path(grpc_tools.__file__).parent / "_proto",
    Path(annotations_pb2.__file__).parents[2],
)

Compile = Callable[[str], ServiceDescriptor]

_NUMBERS = itertools.count()


def _compile(source: Path, into: Path) -> ServiceDescriptor:
    """Return the service of a proto file, in a pool of its own, as a foreign one would be."""
    image = into / "image.binpb"
    arguments = ["protoc", f"-I{source.parent}", *(f"-I{path}" for path in INCLUDES)]
    arguments += ["--include_imports", f"--descriptor_set_out={image}", source.name]
    assert protoc.main(arguments) == 0
    (service,) = services(descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()))
    return service


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ServiceDescriptor:
    """Return the service of library.proto."""
    return _compile(HERE / "library.proto", tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def library_router(library: ServiceDescriptor) -> Router:
    """Return a router over the library's rules."""
    return make_router([library])


@pytest.fixture
def new(library: ServiceDescriptor) -> Callable[[str], Any]:
    """Return a function that makes an empty message of the library by its name."""

    def make(name: str) -> Any:
        return message_factory.GetMessageClass(library.file.message_types_by_name[name])()

    return make


@pytest.fixture
def compile_service(tmp_path: Path) -> Compile:
    """Return a function that compiles a service whose methods take and return a Thing."""

    def compile_(methods: str) -> ServiceDescriptor:
        (tmp_path / "thing.proto").write_text(
            f"""
            syntax = "proto3";
            package thing.v1;
            import "google/api/annotations.proto";
            message Thing {{
              string name = 1; repeated string names = 2; Thing inner = 3;
              repeated Thing inners = 4; map<string, string> labels = 5; int32 number = 6;
              oneof one {{ string first = 7; string second = 8; Thing either = 9; Thing or = 10; }}
            }}
            service Things {{ {methods} }}
            """
        )
        return _compile(tmp_path / "thing.proto", tmp_path)

    return compile_


@pytest.fixture
def compile_rules(library: ServiceDescriptor) -> Callable[[dict[str, str]], Router]:
    """Return a function that makes a router of GET rules, by name, for Everything."""

    def compile_(templates: dict[str, str]) -> Router:
        pool = library.file.pool
        name = f"rules{next(_NUMBERS)}"
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{name}.proto",
            package=name,
            syntax="proto3",
            dependency=[library.file.name, "google/api/annotations.proto"],
        )
        service = file.service.add(name="Rules")
        everything = ".library.v1.Everything"
        for rpc_name, template in templates.items():
            rpc = service.method.add(name=rpc_name, input_type=everything, output_type=everything)
            rpc.options.Extensions[annotations_pb2.http].get = template
        pool.Add(file)
        return make_router([pool.FindFileByName(file.name).services_by_name["Rules"]])

    return compile_
