"""What holds for every test: no secret is seen where none may be."""

import os

import pytest
from hypothesis import settings


def pytest_configure(config: pytest.Config) -> None:
    """Watch for secrets from the first test on, and use none of the developer's."""
    for name in ("GEMINI_API_KEY", "GEMINI_API_KEY_FILE"):  # some processes refuse it
        os.environ.pop(name, None)
    config.pluginmanager.import_plugin("secrets_plugin")
    config.pluginmanager.import_plugin("spans_plugin")
    settings.register_profile("patient", settings(), deadline=None)  # a busy machine is no defect
    settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left alone with it at the end."""
    items.sort(key=_brevity)


def _brevity(item: pytest.Item) -> int:
    for rank, part in enumerate(("test_roles", "/browser/", "/integration/", "/contract/")):
        if part in item.path.as_posix():
            return rank
    return 9
