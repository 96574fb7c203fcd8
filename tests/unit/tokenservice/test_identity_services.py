"""Which services may call, and which of them for a user whom they name."""

import pytest

from serving.errors import InvalidArgument, PermissionDenied
from tokenservice.call import Call
from tokenservice.client_info import ClientInfo
from tokenservice.deadline import Deadline
from tokenservice.identity.services import Services
from tokenservice.principal import Caller, Principal

BACKEND = "spiffe://example.org/backend"
BATCH = "dns:batch.internal"
SERVICES = Services([BACKEND, BATCH], [BACKEND, "https://issuer.example#robot"])
CLIENT = ClientInfo("192.0.2.1")
ANN = Principal("ann", tier="gold")


def naming(subject: str) -> Call:
    """Return a call on behalf of somebody."""
    return Call(Deadline(0), CLIENT, on_behalf_of=subject)


def test_a_certificate_of_a_known_service_is_that_service() -> None:
    """Of a certificate's names, the one that is listed is the principal."""
    assert SERVICES.principal(["dns:x.internal", BACKEND]) == Principal(BACKEND, service=True)


@pytest.mark.parametrize("names", [(), ("dns:gateway.internal",), (BACKEND, BATCH)])
def test_other_certificates_are_nobody(names: tuple[str, ...]) -> None:
    """No name that is listed, or two of them, is no principal."""
    assert SERVICES.principal(names) is None


def test_a_delegate_asks_for_the_user_whom_it_names() -> None:
    """The user is the principal, the service acts, and its tier counts for its users."""
    service = Principal(BACKEND, tier="gold", service=True)
    assert SERVICES.caller(service, naming("ann")) == Caller(ANN, ClientInfo(), acting=BACKEND)


def test_a_service_behind_a_gateway_is_not_where_its_users_are() -> None:
    """What the gateway says is the address of the service, too."""
    call = Call(Deadline(0), ClientInfo("192.0.2.1", ("user-agent",)), on_behalf_of="ann")
    assert SERVICES.caller(Principal(BACKEND, service=True), call).client == ClientInfo()


@pytest.mark.parametrize(
    "principal",
    [
        ANN,
        Principal("ann", operator=True),
        Principal(BACKEND),  # a user who is called as a service is
        Principal(BATCH, service=True),
        Principal("https://other.example#robot", service=True),
    ],
)
def test_whoever_else_names_somebody_is_refused(principal: Principal) -> None:
    """Users, operators, and services that are not listed may not name anybody."""
    with pytest.raises(PermissionDenied):
        SERVICES.caller(principal, naming("bob"))


@pytest.mark.parametrize("named", ["", "ann"])
def test_everybody_may_name_itself(named: str) -> None:
    """Who names itself, or nobody, calls for itself."""
    assert SERVICES.caller(ANN, naming(named)) == Caller(ANN, CLIENT)


@pytest.mark.parametrize("named", ["a" * 256, "a\nb", "\x00", "a\u202eb"])
def test_what_is_no_subject_cannot_be_named(named: str) -> None:
    """A subject is printable and has a length; the field is named in the error."""
    with pytest.raises(InvalidArgument) as refused:
        SERVICES.caller(Principal(BACKEND, service=True), naming(named))
    assert refused.value.violations[0].field == "onBehalfOf"
