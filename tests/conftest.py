"""What holds for every test: no secret is seen where none may be."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Watch for secrets from the first test on, and use none of the developer's."""
    for name in ("GEMINI_API_KEY", "GEMINI_API_KEY_FILE"):  # some processes refuse it
        os.environ.pop(name, None)
    config.pluginmanager.import_plugin("secrets_plugin")
