import pytest
from hypothesis import given
from hypothesis import strategies as st
from spendgate.router.v1 import router_service_pb2 as pb

from chassis.errors import InvalidFields
from services.router.check import check_item, page_of, page_token
from services.router.convert import CAPABILITIES


def item(**changes: object) -> pb.RouteItem:
    fields: dict[str, object] = {"tenant": "acme", "model": "auto", "input_tokens": 1}
    return pb.RouteItem(**(fields | changes))  # type: ignore[arg-type]  # the cases are the types


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tenant": ""}, "tenant"),
        ({"tenant": "t" * 129}, "tenant"),
        ({"feature": "é" * 65}, "feature"),
        ({"model": ""}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"input_tokens": 0}, "input_tokens"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": 10**9 + 1}, "input_tokens"),
        ({"output_tokens_max": -1}, "output_tokens_max"),
        ({"choice_count": 17}, "choice_count"),
        ({"choice_count": -1}, "choice_count"),
        ({"cost_max_nanos": 0}, "cost_max_nanos"),
        ({"needs": [pb.CAPABILITY_TOOLS, 0]}, "needs[1]"),
        ({"needs": [99]}, "needs[0]"),
    ],
)
def test_each_field_has_its_range(changes: dict[str, object], field: str) -> None:
    """A field outside its range is named, and its content is not repeated."""
    with pytest.raises(InvalidFields) as caught:
        check_item(item(**changes))
    assert [violation.field for violation in caught.value.violations] == [field]
    assert "ttt" not in caught.value.violations[0].description


def test_a_whole_item_passes() -> None:
    """An item at the edge of every range is taken."""
    check_item(item(tenant="t" * 128, model="m" * 256, input_tokens=10**9, choice_count=16))
    check_item(item(needs=list(CAPABILITIES), cost_max_nanos=1))


def test_every_capability_of_the_contract_is_known() -> None:
    """A capability added to the contract must be known to the rules."""
    assert set(CAPABILITIES) == set(pb.Capability.values()) - {pb.CAPABILITY_UNSPECIFIED}


@given(st.text(min_size=1, max_size=100).filter(lambda name: name.isprintable()))
def test_a_page_token_leads_back_to_its_name(name: str) -> None:
    """The token of a page is taken back, whatever the name it stands for."""
    request = pb.ListModelsRequest(page_token=page_token(name))
    assert page_of(request) == (50, name)


@pytest.mark.parametrize("token", ["x", "gpt-4o", "YWZ0ZXI6/w==", "YWZ0ZXI6_w==", "Ynk6YQ==", "é"])
def test_a_page_token_of_ones_own_is_refused(token: str) -> None:
    """Text that is no token, or not text inside, is refused as such."""
    with pytest.raises(InvalidFields) as caught:
        page_of(pb.ListModelsRequest(page_token=token))
    assert (caught.value.reason, caught.value.violations[0].field) == ("PAGE_INVALID", "page_token")


@pytest.mark.parametrize("size", [-1, 201])
def test_a_page_has_a_size_within_limits(size: int) -> None:
    """A page of 1 to 200 models, or the default, and nothing else."""
    with pytest.raises(InvalidFields):
        page_of(pb.ListModelsRequest(page_size=size))
    assert page_of(pb.ListModelsRequest(page_size=200))[0] == 200
