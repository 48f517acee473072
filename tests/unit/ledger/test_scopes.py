"""The budgets of a call are found by key, all of them and no other."""

from hypothesis import given
from hypothesis import strategies as st

from services.ledger.rules.scopes import scope_key, scope_keys
from services.ledger.rules.values import Attribution
from tests.unit.ledger.making import budget

# Few values, some made to be mixed up when they are joined.
NAMES = st.sampled_from(["", "a", "b", "a,b", '"', "tenant"])


@given(st.tuples(*[NAMES] * 5), st.tuples(*[NAMES] * 5))
def test_a_scope_is_among_the_keys_of_a_call_exactly_when_it_applies(
    scope: tuple[str, ...], who: tuple[str, ...]
) -> None:
    """Two ways to ask the same question."""
    tenant, project, user, key_id, feature = scope
    made = budget(1, 0, tenant=tenant, project=project, user=user, key_id=key_id, feature=feature)
    call = Attribution(*who)
    assert (scope_key(*scope) in scope_keys(call)) == made.applies_to(call)


def test_a_call_has_at_most_sixteen_scopes() -> None:
    """The work of a look-up is bounded, whatever number of budgets there is."""
    assert len(set(scope_keys(Attribution("t", "p", "u", "k", "f", "s")))) == 16
    assert scope_keys(Attribution("t")) == (scope_key("t", "", "", "", ""),)
