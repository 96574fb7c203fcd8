"""The systemd units fit together, and give each process what its settings ask for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from gateway.settings import GatewaySettings
from policy.settings import PolicySettings
from tokenservice.settings import TokenServiceSettings

if TYPE_CHECKING:
    from serving.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
ROLES: dict[str, type[Settings]] = {
    "gateway": GatewaySettings,
    "policy": PolicySettings,
    "tokenservice": TokenServiceSettings,
}


SCRAPE_PORT = "OTEL_EXPORTER_PROMETHEUS_PORT"


def unit(name: str) -> str:
    """Return a unit."""
    return (DEPLOY / "systemd" / f"{name}.service").read_text(encoding="utf-8")


def environment(name: str) -> dict[str, str]:
    """Return what a unit sets."""
    return dict(re.findall(r"^Environment=(\w+)=(.*)$", unit(name), re.MULTILINE))


def test_what_units_set_are_settings() -> None:
    """Every variable is one of the process's own, or the file of one of its secrets."""
    for name, settings in ROLES.items():
        known = {str(field.validation_alias) for field in settings.model_fields.values()}
        known.add(SCRAPE_PORT)
        assert {each.removesuffix("_FILE") for each in environment(name)} <= known


def test_prometheus_finds_each_process_where_it_looks() -> None:
    """Each unit serves its metrics at the port that the configuration of Prometheus names."""
    jobs = yaml.safe_load((DEPLOY / "observability" / "prometheus.yml").read_text("utf-8"))
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"][0] for job in jobs["scrape_configs"]
    }
    for name in ROLES:
        assert targets[name] == f"127.0.0.1:{environment(name)[SCRAPE_PORT]}"


def test_each_secret_file_is_a_credential_that_is_loaded() -> None:
    """What `%d` points to is loaded, from a file that the instructions make."""
    instructions = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for name in ROLES:
        loaded = dict(re.findall(r"^LoadCredential=([\w-]+):(\S+)$", unit(name), re.MULTILINE))
        used = {v.removeprefix("%d/") for k, v in environment(name).items() if k.endswith("_FILE")}
        assert used == loaded.keys()
        assert all(path == f"/etc/live-token/{secret}" for secret, path in loaded.items())
        assert all(secret in instructions for secret in loaded)


def test_tokenservice_believes_the_gateway_of_the_units() -> None:
    """The gateway's clients are told apart: it comes from where tokenservice trusts its word."""
    host, _, _ = environment("gateway")["GATEWAY_TOKENSERVICE_TARGET"].rpartition(":")
    trusted = environment("tokenservice")["TOKENSERVICE_TRUSTED_PEERS"].split(",")
    assert host in trusted
    assert environment("tokenservice")["TOKENSERVICE_LISTEN"].startswith(f"{host}:")


def test_tokenservice_asks_the_policy_of_the_units() -> None:
    """It asks where policy listens, as the same user: the socket is its owner's alone."""
    asked = environment("tokenservice")["TOKENSERVICE_POLICY_TARGET"]
    assert environment("policy")["POLICY_LISTEN"] == asked
    assert re.findall(r"^User=.*$", unit("policy"), re.MULTILINE) == re.findall(
        r"^User=.*$", unit("tokenservice"), re.MULTILINE
    )


def test_units_are_confined() -> None:
    """Each runs as a user without rights, may gain none, and writes to no path of the system."""
    confined = {
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateDevices=yes",
        "CapabilityBoundingSet=",
        "RestrictNamespaces=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "SystemCallArchitectures=native",
        "UMask=0077",
    }
    for name in ROLES:
        lines = unit(name).splitlines()
        assert confined - set(lines) == set(), name
        users = [line.removeprefix("User=") for line in lines if line.startswith("User=")]
        assert users
        assert "root" not in users
