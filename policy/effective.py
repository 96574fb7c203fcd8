"""The policy in force: tiers, rules, addresses. What the policy file becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING

from policy.limits import Limits
from policy.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Network = IPv4Network | IPv6Network

DEFAULT_TIER = "default"


@dataclass(frozen=True, slots=True)
class Tier:
    """What holds for the principals of one tier."""

    name: str = DEFAULT_TIER
    limits: Limits = Limits()
    degraded_limits: Limits = Limits(tokens_per_hour=2, tokens_per_day=10)
    """While each process decides alone."""
    rules: Rules = Rules()


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """What is decided by."""

    default: Tier = Tier()
    tiers: Mapping[str, Tier] = field(default_factory=lambda: MappingProxyType({}))
    denied: tuple[Network, ...] = ()
    """Addresses that get nothing."""
    exempt: tuple[Network, ...] = ()
    """Addresses that are never blocked, nor held to account for wrong credentials."""
    yaml: str = ""
    """All of it, as a policy file would say it."""
    digest: str = ""
    """SHA-256 of `yaml`, in hex."""

    def tier(self, name: str) -> Tier:
        """Return the tier of that name, or the default for none or an unknown one."""
        return self.tiers.get(name, self.default)

    def denies(self, address: str | None) -> bool:
        """Whether the address is one of those that get nothing."""
        return _in(address, self.denied)

    def exempts(self, address: str | None) -> bool:
        """Whether the address is one of those that are never blocked."""
        return _in(address, self.exempt)


def _in(address: str | None, networks: Iterable[Network]) -> bool:
    if address is None or not networks:
        return False
    ip = ip_address(address)
    return any(ip in network for network in networks)
