"""Writes ui.json: the page's menu of searches that a fleet's owner makes. Run it after a change.

Jaeger finds tags by equality only; what is "over" or "under" something is a tag of its own
(chassis/names.py).
"""

import json
from pathlib import Path
from urllib.parse import quote, urlencode

from chassis import names

SERVICE = "spendgate-gateway"
OVER = {nanos: name for name, nanos in names.COST_OVER_NANO_USD}
UNDER = {least: name for name, least in names.SIMILARITY_UNDER}
# No "$" in a label: Jaeger takes it for a group of its own when it writes the page.
# What is looked for, and the tags one of the gateway's spans must have.
SEARCHES: dict[str, dict[str, str]] = {
    "Requests over 50 cents": {OVER[500_000_000]: "true"},
    "Requests over a cent": {OVER[10_000_000]: "true"},
    "Dearest requests of the feature 'reports'": {
        names.FEATURE: "reports",
        OVER[100_000_000]: "true",
    },
    "Cache hits with similarity under 0.9": {
        names.ANSWER_SOURCE: "CACHE_SEMANTIC",
        UNDER[0.90]: "true",
    },
    "Cache hits, the very same prompt": {names.ANSWER_SOURCE: "CACHE_EXACT"},
    "Refused by a budget": {names.ERROR_TYPE: "BUDGET_EXCEEDED"},
    "Tried more than once": {names.ATTEMPT_NUMBER: "2"},
    "Cheap answers that fell": {names.PLAN_TAKEN: "false"},
    # Not error=true: that finds nothing in some of Jaeger's stores.
    "No provider answered": {names.ERROR_TYPE: "ProviderFailed"},
}


def menu() -> dict[str, object]:
    """The page's configuration."""
    items = [{"label": label, "url": _url(tags)} for label, tags in SEARCHES.items()]
    return {"menu": [{"label": "Spendgate", "items": items}]}


def _url(tags: dict[str, str]) -> str:
    told = {"service": SERVICE, "tags": json.dumps(tags, separators=(",", ":"))}
    return "/search?" + urlencode({**told, "lookback": "1h", "limit": "20"}, quote_via=quote)


if __name__ == "__main__":
    (Path(__file__).parent / "ui.json").write_text(json.dumps(menu(), indent=2) + "\n")
