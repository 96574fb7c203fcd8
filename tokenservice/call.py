"""One call, as it reached us: what it says of itself is not believed yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokenservice.client_info import ClientInfo
from tokenservice.principal import UnverifiedCredentials

if TYPE_CHECKING:
    from tokenservice.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Call:
    """What authentication, policy and the ledger need to know of a call."""

    deadline: Deadline
    client: ClientInfo = field(default_factory=ClientInfo)
    credentials: UnverifiedCredentials = field(default_factory=UnverifiedCredentials)
    identities: tuple[str, ...] = ()
    """Names in the certificate that the connection proved; see serving.peers."""
    method: str = "POST"
    """The HTTP method and path that the client called, which its proofs must name."""
    path: str = ""
    on_behalf_of: str = field(default="", repr=False)  # personal data: not for logs
    """The user that the call is for, if the caller named one."""
    request_id: str = ""
    trace_id: str = ""
