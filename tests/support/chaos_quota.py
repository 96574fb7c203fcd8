"""The quotas under attack, and the policy that has them and no rule against abuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chaos_history import Quota

if TYPE_CHECKING:
    from pathlib import Path

LEASE = 1.0
STEADY = Quota(per_hour=12, cooldown=0.6)
BURST = Quota(per_hour=40)
QUOTAS = {"steady": STEADY, "burst": BURST}
HASH_KEY = "over-issue under attack, a key to hash with"

_RULES = (
    "volume",
    "identical_requests",
    "parameter_enumeration",
    "machine_timing",
    "required_headers",
    "suspicious_headers",
    "suspicious_content",
    "failed_credentials",
    "blocking",
)


def policy_environment(directory: Path, store_url: str) -> dict[str, str]:
    """Return how to configure policy, and write its file."""
    file = directory / "policy.yaml"
    tiers = {
        name: {
            "limits": {
                "tokens_per_hour": quota.per_hour,
                "tokens_per_day": 1000,
                "cooldown_minutes": quota.cooldown / 60,
                "refunds_per_hour": 1000,
            }
        }
        for name, quota in QUOTAS.items()
    }
    rules = {rule: {"mode": "off"} for rule in _RULES}
    file.write_text(json.dumps({"version": 1, "rules": rules, "tiers": tiers}), encoding="utf-8")
    return {
        "POLICY_FILE": str(file),
        "POLICY_STORE_URL": store_url,
        "POLICY_HASH_KEY": HASH_KEY,
        "POLICY_LEASE_MS": str(round(LEASE * 1000)),
        # Two cores for all: the fewer time out together, the fewer have to be made again.
        "POLICY_STORE_MAX_CONNECTIONS": "8",
    }
