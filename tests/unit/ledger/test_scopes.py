"""The budgets of a call are found by key, all of them and no other."""

from hypothesis import given
from hypothesis import strategies as st

from services.ledger.rules.applying import BudgetIndex
from services.ledger.rules.scopes import covers, scope_key, scope_keys, takes, values_of
from services.ledger.rules.values import Attribution, Scope
from tests.unit.ledger.making import NOW, budget

# Few values, some made to be mixed up when they are joined.
NAMES = st.sampled_from(["", "a", "b", "a,b", '"', "tenant"])
TAGS = st.dictionaries(st.sampled_from(["a", "b"]), NAMES, max_size=2).map(
    lambda tags: tuple(sorted(tags.items()))
)
SCOPES = st.builds(Scope, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, TAGS)
CALLS = st.builds(Attribution, NAMES, NAMES, NAMES, NAMES, NAMES, tags=TAGS)
CALLED = st.tuples(st.sampled_from(["a", "b"]), NAMES)


@given(SCOPES, CALLS, st.lists(CALLED, min_size=1, max_size=3))
def test_what_applies_is_found_under_the_keys_of_a_call(
    scope: Scope, who: Attribution, called: list[tuple[str, str]]
) -> None:
    """A budget that counts a call stands under one of the call's keys; and the index finds it
    exactly when it counts the call."""
    applies = covers(scope, who) and any(takes(scope, *each) for each in called)
    if applies:
        assert scope_key(scope) in scope_keys(who, called)
    index = BudgetIndex([budget(1, 0, scope=scope)])
    assert bool(index.applying(who, called, NOW)) == applies


def test_a_look_up_asks_for_a_key_a_thing() -> None:
    """The work of a look-up is bounded by what is said of a call, whatever budgets combine."""
    who = Attribution("t", "p", "u", "k", "f", "s", (("x", "1"), ("y", "2")))
    assert len(scope_keys(who, [("m", "v"), ("n", "v")])) == 1 + 4 + 2 + 3
    assert scope_keys(Attribution("t")) == {scope_key(Scope("t"))}


def test_each_value_has_its_own_balance() -> None:
    """One limit for each user and tag; who names none shares one."""
    each = budget(1, 0, each=("user", "tag:team"))
    index = BudgetIndex([each])
    calls = [("ann", "red"), ("ann", "blue"), ("bob", "red"), ("", "")]
    keys = set()
    for user, team in calls:
        who = Attribution("acme", user=user, tags=(("team", team),) if team else ())
        (found,) = index.applying(who, [("m", "")], NOW)
        keys.add(found.key)
        assert dict(values_of(each.scope, found.key.subject)) == {"user": user, "tag:team": team}
    assert len(keys) == len(calls)


def test_a_budget_for_each_model_counts_each_apart() -> None:
    """A call that may go to two models counts against both of their limits."""
    index = BudgetIndex([budget(1, 0, each=("model",))])
    found = index.applying(Attribution("acme"), [("m", ""), ("n", "")], NOW)
    assert {(row.model, row.key.subject) for row in found} == {("m", '["m"]'), ("n", '["n"]')}
