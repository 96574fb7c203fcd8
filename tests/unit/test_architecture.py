"""Who may import whom. A rule that nobody checks is a wish."""

import grimp
import pytest

ROOMS = ("emulator", "gateway", "policy", "serving", "stack", "tokenservice")
ALLOWED = {
    "serving": set(),
    "policy": {"serving"},
    "tokenservice": {"serving", "policy.v1"},
    "gateway": {"serving", "tokenservice.v1"},
    "emulator": set(),
    "stack": {"serving"},
}
LOGIC = (
    "policy.account",
    "policy.counting",
    "policy.decisions",
    "policy.degraded",
    "policy.effective",
    "policy.explain",
    "policy.judge",
    "policy.limits",
    "policy.memory",
    "policy.patterns",
    "policy.file.reading",
    "policy.operators.refused",
    "serving.pseudonym",
    "policy.record",
    "policy.redis.store",
    "policy.replay",
    "policy.rules",
    "policy.signs",
    "policy.standing",
    "policy.store",
    "policy.tries",
    "serving.addresses",
    "serving.certificates",
    "serving.peers",
    "serving.plaintext",
    "serving.recent",
    "tokenservice.admission",
    "tokenservice.call",
    "tokenservice.client_info",
    "tokenservice.errors",
    "tokenservice.grant",
    "tokenservice.identity.authorization",
    "tokenservice.identity.bearer",
    "tokenservice.identity.claims",
    "tokenservice.identity.directory",
    "tokenservice.identity.dpop",
    "tokenservice.identity.issuers",
    "tokenservice.identity.jwks",
    "tokenservice.identity.key_text",
    "tokenservice.identity.keyring",
    "tokenservice.identity.keys",
    "tokenservice.identity.authenticator",
    "tokenservice.identity.services",
    "tokenservice.identity.origins",
    "tokenservice.identity.possession",
    "tokenservice.identity.proof_key",
    "tokenservice.identity.records",
    "tokenservice.identity.redis_rows",
    "tokenservice.identity.registry",
    "tokenservice.identity.replays",
    "tokenservice.identity.rows",
    "tokenservice.identity.sqlite_rows",
    "tokenservice.issuer",
    *(
        f"tokenservice.ledger.{name}"
        for name in ("apart", "entry", "ledger", "names", "ports", "recorder", "rows", "telling")
    ),
    "tokenservice.models",
    "tokenservice.operations.activity",
    "tokenservice.operations.watching",
    "tokenservice.policy_port",
    "tokenservice.principal",
    "tokenservice.seal",
    "tokenservice.token",
)
WIRE = ("grpc", "google")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Read all imports, those under TYPE_CHECKING included."""
    return grimp.build_graph(*ROOMS, include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(graph: grimp.ImportGraph, room: str) -> None:
    """A room imports itself, and of the others what CONTRIBUTING.md allows it."""
    imported = {
        target
        for module in graph.modules
        if module.split(".")[0] == room
        for target in graph.find_modules_directly_imported_by(module)
        if target.split(".")[0] in ROOMS and target.split(".")[0] != room
    }
    allowed = ALLOWED[room]
    assert {m for m in imported if not any(f"{m}.".startswith(f"{a}.") for a in allowed)} == set()


@pytest.mark.parametrize("module", LOGIC)
def test_logic_knows_no_wire_format(graph: grimp.ImportGraph, module: str) -> None:
    """The logic of policy and minting imports neither grpc nor protobuf, however indirectly."""
    assert module in graph.modules
    reached = graph.find_upstream_modules(module)
    assert {name for name in reached if name.split(".")[0] in WIRE} == set()


@pytest.mark.parametrize("room", ["gateway", "emulator"])
def test_a_room_without_a_store_needs_no_redis(graph: grimp.ImportGraph, room: str) -> None:
    """What the rooms with a store share in serving brings no client of it to the others."""
    reached = {
        name
        for m in graph.modules
        if m.split(".")[0] == room
        for name in graph.find_upstream_modules(m)
    }
    assert {name for name in reached if name.split(".")[0] == "redis"} == set()
