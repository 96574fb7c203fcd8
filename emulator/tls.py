"""A certificate made at the start, and the authority to trust for it."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = ("localhost", "127.0.0.1", "::1")


class Certificate:
    """A server certificate for this machine, and the file that holds its authority."""

    def __init__(self, ca_file: Path | None, further_names: Sequence[str] = ()) -> None:
        authority = trustme.CA()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(*_NAMES, *further_names).configure_cert(self.context)
        self._own_directory = None if ca_file else tempfile.TemporaryDirectory(prefix="emulator-")
        self.ca_file = ca_file or Path(self._own_directory.name if self._own_directory else "") / (
            "ca.pem"
        )
        self.ca_file.parent.mkdir(parents=True, exist_ok=True)
        authority.cert_pem.write_to_path(str(self.ca_file))

    def close(self) -> None:
        """Remove the file, unless somebody asked for it at that place."""
        if self._own_directory:
            self._own_directory.cleanup()
