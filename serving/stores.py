"""What every store may raise, whatever it keeps and wherever."""

from __future__ import annotations


class StoreUnavailable(Exception):
    """The store cannot answer, so there is no decision."""
