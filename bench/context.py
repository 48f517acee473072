"""What context policies cost and keep: `python -m bench.context --data FILE.jsonl`.

Each conversation as it is and stretched to 60 and 200 user messages, through every policy and
model. For each model and length: `auto` as a share of append-only and of the cheapest fixed
policy in hindsight, and the distribution of its regret over single conversations. Then what of
facts survives a cut, and what Prepare costs of a conversation it knows.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

from bench.context_recall import recall
from bench.context_speed import prepare_speed
from catalog.money import usd_text
from cli.eval_context import BUDGET_TOKENS, MESSAGES_REMEMBERED_MAX, MODELS, added, load, run
from services.tokenizer import vocabulary
from services.tokenizer.context.plan import Policy
from services.tokenizer.context.recorded import stretch
from services.tokenizer.context.replay import Sums
from services.tokenizer.estimate import FixedRatios
from services.tokenizer.memo import KEY_BYTES, Memo
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.models import model_of

TURNS = (0, 60, 200)


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--turns", default=",".join(map(str, TURNS)))
    arguments = parser.parse_args()
    talks = load(arguments.data)
    classes: dict[str, Any] = {}
    for turns in map(int, arguments.turns.split(",")):
        budget = next(tokens for least, tokens in BUDGET_TOKENS if turns >= least)
        longer = stretch(talks, turns) if turns else talks
        found = run(longer, arguments.models.split(","), budget)
        classes[str(turns or "as recorded")] = {
            "conversations": len(longer),
            "budget_tokens": budget,
            "models": {name: compared(sums) for name, sums in found.items()},
        }
    told = {
        "machine": platform.platform(),
        "prepare": prepare_speed(talks),
        "recall": recall(talks, _meter()),
        "regret_bound": "a conversation costs at most one re-write more than append-only: "
        "a cut waits until reading on has cost as much; rewrite_usd_max is the dearest there was",
        "user_messages": classes,
    }
    print(json.dumps(told, indent=2))


def _meter() -> Meter:
    model = model_of("gpt-5.4")
    memo: Memo[Tally] = Memo(MESSAGES_REMEMBERED_MAX, bytes(KEY_BYTES))
    return Meter(model, vocabulary.load()[model.encoding], FixedRatios(), memo=memo)


def compared(sums: dict[Policy, list[Sums]]) -> dict[str, Any]:
    """Totals, and `auto` against the others."""
    nanos = {policy: added(each).nanos for policy, each in sums.items()}
    fixed = [policy for policy in Policy if policy is not Policy.AUTO]
    best = min(fixed, key=lambda policy: nanos[policy])
    regrets = sorted(
        (mine.nanos - cheapest) * 1000 // cheapest
        for place, mine in enumerate(sums[Policy.AUTO])
        if (cheapest := min(sums[policy][place].nanos for policy in fixed))
    )
    return {
        "usd": {policy.value: usd_text(each).replace(",", "") for policy, each in nanos.items()},
        "auto_permille_of_append_only": nanos[Policy.AUTO] * 1000 // nanos[Policy.APPEND_ONLY],
        "cheapest_fixed": best.value,
        "auto_permille_of_cheapest_fixed": nanos[Policy.AUTO] * 1000 // nanos[best],
        "rewrite_usd_max": usd_text(_dearest_rewrite(sums[Policy.AUTO])).replace(",", ""),
        "regret_permille": {
            name: regrets[min(len(regrets) - 1, len(regrets) * part // 100)]
            for name, part in (("min", 0), ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100))
        },
    }


def _dearest_rewrite(sums: list[Sums]) -> int:
    """In nano-USD: what any one cut has cost at most."""
    return max((cut.rewrite_picos for each in sums for cut in each.cuts), default=0) // 1000


if __name__ == "__main__":
    main()
