"""A policy that predicts, through the whole fleet."""

from spendgate.ledger.v1 import entry_pb2

from tests.e2e.house import House, until

QUESTION = "canary-of-the-policy: prove that there are infinitely many primes"


async def test_best_takes_the_strong_model_and_the_router_hears_how_it_went(tmp_path):
    """The prompt's text reaches the router, the call's end reaches it too, and it keeps neither
    text nor answer."""
    async with House(tmp_path, "routing: {policy: best}\n") as house:
        secret = await house.key("acme")
        summary = (await house.complete(secret, QUESTION)).summary
        assert summary.model == "strong"
        # Nothing cheaper than the baseline was chosen: routing claims nothing.
        assert [s for s in summary.savings if s.cause == entry_pb2.SAVING_CAUSE_ROUTING] == []
        await until(lambda: "ReportOutcome" in house.log("router").read_text())
        line = next(
            line for line in house.log("router").read_text().splitlines() if "ReportOutcome" in line
        )
        assert '"code": "OK"' in line
        kept = (tmp_path / "outcomes.jsonl").read_text()
        assert summary.request_id in kept
        assert "canary-of-the-policy" not in kept + house.log("router").read_text()
