"""A certificate made at the start, and the authority to trust for it."""

from __future__ import annotations

import ssl
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = ("localhost", "127.0.0.1", "::1")


class Certificate:
    """A server certificate for this machine, and the file that holds its authority."""

    def __init__(self, ca_file: Path | None, further_names: Sequence[str] = ()) -> None:
        self._temporary = ExitStack()
        self.ca_file = ca_file or self._temporary_file()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        names = dict.fromkeys((*_NAMES, *further_names))
        authority.issue_cert(*names).configure_cert(self.context)

    def close(self) -> None:
        """Remove the authority's file, unless somebody asked for it at that place."""
        self._temporary.close()

    def _temporary_file(self) -> Path:
        directory = tempfile.TemporaryDirectory(prefix="gemini-live-emulator-")
        return Path(self._temporary.enter_context(directory)) / "ca.pem"
