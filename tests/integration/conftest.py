"""Real processes, each test module on ports and in a directory of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from layouts import laid_out
from sdks import install_node_sdk

from stack.layout import Layout

MakeLayout = Callable[..., Layout]


@pytest.fixture(scope="session")
def node() -> Path:
    """Return the JavaScript client program, beside the official SDK."""
    return install_node_sdk()


@pytest.fixture(scope="module")
def make_layout() -> Iterator[MakeLayout]:
    """Return what lays out a stack of its own, with the variables it is given."""
    with ExitStack() as opened:
        yield lambda **variables: opened.enter_context(laid_out(**variables))
