"""Which version of this software runs."""

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """Return it, or `unknown` where the software is not installed as a package."""
    try:
        return version("gemini-live-token")
    except PackageNotFoundError:
        return "unknown"
