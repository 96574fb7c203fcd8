"""Who is let in, and what policy hears of those who are not."""

import hashlib
from typing import Any

import jwt
import pytest

from serving.errors import InvalidArgument, PermissionDenied, Unauthenticated
from serving.pseudonym import Pseudonyms
from tokenservice.admission import Admission
from tokenservice.call import Call
from tokenservice.client_info import ClientInfo
from tokenservice.deadline import Deadline
from tokenservice.errors import SubjectDenied, WrongCredentials
from tokenservice.grant import Terms, TokenRequest
from tokenservice.identity.authenticator import Authenticator
from tokenservice.identity.bearer import BearerVerifier, simple_issuer
from tokenservice.identity.directory import NoDirectory
from tokenservice.identity.possession import Possession
from tokenservice.identity.services import Services
from tokenservice.models import catalogue
from tokenservice.principal import Caller, Principal, UnverifiedCredentials

NOW = 1_767_225_600
SECRET = b"a secret of the tests, long enough."
MODEL = "gemini-3.8-live"
TERMS = Terms(
    catalogue=catalogue((MODEL,), MODEL),
    default_duration_minutes=30,
    max_duration_minutes=60,
    start_window_minutes=2,
    custom_instructions=False,
    default_instruction="You are a helpful assistant.",
    api_version="v1beta",
)
BACKEND = "spiffe://example.org/backend"
SERVICES = Services([BACKEND], [BACKEND])
CLIENT = ClientInfo("192.0.2.1", ("user-agent",))
ANN = Caller(Principal("ann", tier="gold"), CLIENT)


class ListeningPolicy:
    """Remembers what is reported."""

    def __init__(self) -> None:
        """Have heard nothing yet."""
        self.heard: list[Any] = []
        self.decision_id = "d"

    async def report_credentials(
        self, client: ClientInfo, fingerprint: bytes, deadline: Deadline
    ) -> str:
        """Hear of wrong credentials."""
        assert deadline.remaining > 0
        self.heard.append((client, fingerprint))
        return self.decision_id

    async def report_request(self, caller: Caller, asked: TokenRequest, deadline: Deadline) -> str:
        """Hear of a request that could not be granted."""
        assert deadline.remaining > 0
        self.heard.append((caller, asked))
        return self.decision_id


@pytest.fixture
def policy() -> Any:
    """Return a policy that listens; an admission asks nothing else of one."""
    return ListeningPolicy()


@pytest.fixture
def admission(policy: Any) -> Admission:
    """Return an admission that reports to it."""
    bearers = BearerVerifier({}, lambda: NOW * 1000, simple=simple_issuer(SECRET))
    return Admission(
        authenticator=Authenticator(bearers, NoDirectory(), SERVICES, Possession(None)),
        services=SERVICES,
        denials=Denied({"mallory"}),
        terms=TERMS,
        policy=policy,
        pseudonyms=Pseudonyms(bytes(32)),
    )


class Denied:
    """Denies some."""

    def __init__(self, subjects: set[str]) -> None:
        """Deny these."""
        self._subjects = subjects

    def check(self, subject: str) -> None:
        """Raise for one of them."""
        if subject in self._subjects:
            raise SubjectDenied


def calling(credentials: UnverifiedCredentials, **more: Any) -> Call:
    """Return a call with these credentials."""
    return Call(Deadline.after(5), CLIENT, credentials, **more)


def bearer(secret: bytes = SECRET, **claims: Any) -> UnverifiedCredentials:
    """Return a bearer token of Ann's as credentials."""
    token = jwt.encode({"sub": "ann", "exp": NOW + 60, **claims}, secret, algorithm="HS256")
    return UnverifiedCredentials(authorization=(f"Bearer {token}",))


async def test_who_is_known_is_let_in_unreported(admission: Admission, policy: Any) -> None:
    """A good bearer makes a caller, of its principal and where it calls from."""
    caller = await admission.caller(calling(bearer(tier="gold")))
    assert caller == ANN
    assert policy.heard == []


@pytest.mark.parametrize(
    "credentials",
    [
        bearer(b"another secret of the same length.."),
        UnverifiedCredentials(authorization=("Bearer nonsense",)),
        UnverifiedCredentials(api_key=("guess",)),
        bearer(sub=""),
    ],
    ids=["signature", "no JWT", "API key", "no subject"],
)
async def test_wrong_credentials_are_reported(
    admission: Admission, policy: Any, credentials: UnverifiedCredentials
) -> None:
    """Whoever guesses is counted where it guesses from, and reads by which decision."""
    with pytest.raises(WrongCredentials) as refused:
        await admission.caller(calling(credentials))
    assert policy.heard == [(CLIENT, credentials.fingerprint)]
    assert refused.value.metadata == {"decision_id": "d"}


async def test_a_report_that_is_not_heard_names_no_decision(
    admission: Admission, policy: Any
) -> None:
    """Where there was no decision, the refusals are the same without one."""
    policy.decision_id = ""
    with pytest.raises(WrongCredentials) as guessed:
        await admission.caller(calling(UnverifiedCredentials(api_key=("guess",))))
    with pytest.raises(InvalidArgument) as asked:
        await admission.grant(ANN, TokenRequest(model="../x"), calling(bearer()))
    assert guessed.value.metadata == asked.value.metadata == {}


def test_each_guess_has_a_digest_of_its_own() -> None:
    """The digest is of the credential that is judged, as it was sent, and shows nothing of it."""
    tokens = [UnverifiedCredentials(authorization=(f"Bearer {word}",)) for word in ("a", "b", "a")]
    first, other, again = (each.fingerprint for each in tokens)
    assert first == again != other
    assert first == hashlib.sha256(b"Bearer a").digest()
    keys = [
        UnverifiedCredentials(authorization=(f"Bearer {bearer}",), api_key=(key,))
        for bearer, key in (("a", "k"), ("b", "k"), ("a", "l"))
    ]
    key, beside_another, other_key = (each.fingerprint for each in keys)
    assert key == beside_another != other_key


@pytest.mark.parametrize(
    "credentials",
    [
        UnverifiedCredentials(),
        UnverifiedCredentials(authorization=("",)),
        UnverifiedCredentials(authorization=("Bearer",)),
        UnverifiedCredentials(authorization=("Bearer ",)),
        UnverifiedCredentials(authorization=("Basic YTpi",)),
        UnverifiedCredentials(api_key=(" ",)),
        UnverifiedCredentials(authorization=("Bearer nonsense",), api_key=("",)),
        bearer(exp=NOW - 3600),
        bearer(nbf=NOW + 3600),
    ],
    ids=[
        "none",
        "blank",
        "scheme",
        "scheme and blank",
        "another scheme",
        "blank API key",
        "blank API key beside a bearer",
        "expired",
        "not yet",
    ],
)
async def test_honest_mistakes_are_not(
    admission: Admission, policy: Any, credentials: UnverifiedCredentials
) -> None:
    """No credentials, and a token of ours at the wrong time, are refused and forgotten."""
    with pytest.raises(Unauthenticated) as refused:
        await admission.caller(calling(credentials))
    assert not isinstance(refused.value, WrongCredentials)
    assert (policy.heard, refused.value.metadata) == ([], {})


@pytest.mark.parametrize(
    "asked, reason",
    [
        (TokenRequest(model="../x"), "MODEL_NOT_ALLOWED"),
        (TokenRequest(system_instruction="eval(1)"), "CUSTOM_INSTRUCTION_NOT_ALLOWED"),
        (TokenRequest(temperature=float("nan")), "INVALID_ARGUMENT"),
    ],
)
async def test_a_request_that_cannot_be_granted_is_reported(
    admission: Admission, policy: Any, asked: TokenRequest, reason: str
) -> None:
    """Policy sees what a principal tried; the principal reads the reason and the decision."""
    with pytest.raises(InvalidArgument) as refused:
        await admission.grant(ANN, asked, calling(bearer()))
    assert refused.value.reason == reason
    assert policy.heard == [(ANN, asked)]
    assert refused.value.metadata == {"decision_id": "d"}


async def test_what_is_granted_is_not_reported(admission: Admission, policy: Any) -> None:
    """Policy hears of a good request by its reservation."""
    grant = await admission.grant(ANN, TokenRequest(), calling(bearer()))
    assert grant == TERMS.grant(TokenRequest())
    assert policy.heard == []


async def test_a_service_with_a_certificate_asks_for_a_user(
    admission: Admission, policy: Any
) -> None:
    """Its certificate proves who it is, and both it and the user are known from then on."""
    call = calling(UnverifiedCredentials(), identities=(BACKEND,), on_behalf_of="ann")
    caller = await admission.caller(call)
    assert (caller.principal.subject, caller.acting) == ("ann", BACKEND)
    assert caller.principal.credential == "certificate"
    assert policy.heard == []


async def test_a_token_goes_before_the_certificate(admission: Admission) -> None:
    """A user whose call a service passes on is that user, and may name nobody else."""
    caller = await admission.caller(calling(bearer(), identities=(BACKEND,)))
    assert (caller.principal.subject, caller.acting) == ("ann", "")
    with pytest.raises(PermissionDenied):
        await admission.caller(calling(bearer(), identities=(BACKEND,), on_behalf_of="bob"))


async def test_a_bad_token_is_refused_whatever_the_certificate(admission: Admission) -> None:
    """What is wrong is not made good by what is beside it."""
    wrong = UnverifiedCredentials(authorization=("Bearer nonsense",))
    with pytest.raises(WrongCredentials):
        await admission.caller(calling(wrong, identities=(BACKEND,)))


@pytest.mark.parametrize(
    "call",
    [{"on_behalf_of": "mallory", "identities": (BACKEND,)}, {"token": "mallory"}],
    ids=["named by a service", "itself"],
)
async def test_who_is_denied_is_denied_however_it_comes(
    admission: Admission, call: dict[str, Any]
) -> None:
    """Neither its own token nor a service's word lets a denied user in."""
    token = call.pop("token", None)
    credentials = bearer(sub=token) if token else UnverifiedCredentials()
    with pytest.raises(SubjectDenied):
        await admission.caller(calling(credentials, **call))


async def test_a_denied_user_is_known_before_it_is_refused(admission: Admission) -> None:
    """So the ledger has the user, and the service that asked, where the user is denied."""
    call = calling(UnverifiedCredentials(), identities=(BACKEND,), on_behalf_of="mallory")
    caller = admission.named(await admission.authenticated(call), call)
    assert (caller.principal.subject, caller.acting) == ("mallory", BACKEND)
    with pytest.raises(SubjectDenied):
        admission.ensure_welcome(caller)
