"""What holds for every test: no secret is seen where none may be."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Watch for secrets from the first test on."""
    config.pluginmanager.import_plugin("secrets_plugin")
