"""T9: one tenant's answers are no other tenant's, however equal the question.

Near-duplicates and adversarial pairs are held against the cache's own corpus
(tests/integration/cache, tests/unit/cache).
"""

import asyncio

import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

pytestmark = pytest.mark.asyncio(loop_scope="session")
TENANTS, ROUNDS = 12, 3
OWN = {
    gateway_pb.ANSWER_SOURCE_CACHE_EXACT,
    gateway_pb.ANSWER_SOURCE_CACHE_SEMANTIC,
    gateway_pb.ANSWER_SOURCE_SHARED,
}


async def test_equal_questions_of_many_tenants(house, tenant):
    """All at once, several times over: each tenant's first answer is its own and paid for, and
    what a hit saved is what that tenant had paid."""
    names = [f"{tenant}-{n}" for n in range(TENANTS)]
    secrets = {name: await house.key(name) for name in names}

    async def ask(name, text):
        answer = await house.complete(secrets[name], text, model="cheap", system="One system.")
        return name, text, answer.summary

    answers = []
    for text in ("Where is my order?", "Where is my order 7?"):
        for _ in range(ROUNDS):
            answers += await asyncio.gather(*(ask(name, text) for name in names))
    paid = set()
    for name, text, summary in answers:
        if summary.source == gateway_pb.ANSWER_SOURCE_PROVIDER:
            paid.add((name, text))
            assert summary.cost_nanos > 0
        else:
            assert summary.source in OWN
            assert (name, text) in paid, "served what this tenant had not paid for"
    assert len(paid) == TENANTS * 2
