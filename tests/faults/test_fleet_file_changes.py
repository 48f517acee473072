"""Models, prices, providers, policies and keys change while the fleet serves."""

import asyncio
import signal

import aiohttp
import grpc
import pytest

from tests.e2e.house import until

pytestmark = pytest.mark.asyncio(loop_scope="session")
NEW = """
  {name}: {{provider: upstream, upstream_model: gpt-4o-mini, routable: false, capabilities: [],
    context_window_tokens: 100000, output_tokens_max: 4096, output_tokens_default: 64,
    price: {{input_usd_per_million: "{price}", output_usd_per_million: "{price}"}}}}
"""


@pytest.fixture
def fleet_file(house):
    """The fleet file, as it was again after the test."""
    path = house.folder / "fleet.yaml"
    text = path.read_text()
    yield path, text
    path.write_text(text)


def with_model(text, name, price, new=NEW):
    return text.replace("models:\n", "models:" + new.format(name=name, price=price), 1)


async def _answer(house, secret, model, text="hello"):
    try:
        return await house.complete(secret, text, model=model, cache_mode=1)
    except grpc.aio.AioRpcError:
        return None


async def _entry(house, tenant, answer):
    (entry,) = await house.entries(tenant, answer.summary.request_id)
    return entry


async def test_a_new_model_and_another_price(house, tenant, fleet_file):
    """A model can be called once it is in the file; a changed price is booked under a version of
    its own, from then on."""
    path, text = fleet_file
    secret = await house.key(tenant)
    assert await _answer(house, secret, "newcomer") is None
    path.write_text(with_model(text, "newcomer", 1))
    first = await until(lambda: _answer(house, secret, "newcomer"))
    path.write_text(with_model(text, "newcomer", 3))

    async def dearer():
        answer = await _answer(house, secret, "newcomer")
        dear = answer and answer.summary.cost_nanos == 3 * first.summary.cost_nanos
        return answer if dear else None

    second = await until(dearer)
    old, new = [await _entry(house, tenant, answer) for answer in (first, second)]
    assert old.price_version != new.price_version
    assert new.cost_nanos == 3 * old.cost_nanos


async def test_a_request_under_way_keeps_its_price(house, tenant, fleet_file):
    """Held under the old file, charged by it, though the model is gone from the new one."""
    path, text = fleet_file
    path.write_text(with_model(text, "leaver", 1, NEW.replace("gpt-4o-mini", "late")))
    secret = await house.key(tenant)
    first = await until(lambda: _answer(house, secret, "leaver"))
    calls = house.upstream.calls["late"]
    call = asyncio.create_task(house.complete(secret, "hello", model="leaver", cache_mode=1))
    async with asyncio.timeout(10):
        await house.upstream.until(lambda: house.upstream.calls["late"] > calls)
    path.write_text(text)
    for name in ("ledger", "router", "gateway"):
        house.children[name].send_signal(signal.SIGHUP)
    answer = await call
    assert answer.summary.cost_nanos == first.summary.cost_nanos
    entry = await _entry(house, tenant, answer)
    assert entry.cost_nanos == first.summary.cost_nanos

    async def gone():
        return await _answer(house, secret, "leaver") is None

    await until(gone)


async def _page(house, name):
    url = f"http://127.0.0.1:{house.ports[f'{name}-metrics']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_a_bad_file_changes_nothing_and_is_told_of(house, tenant, fleet_file):
    """The earlier file holds on; log, health and a metric say what is wrong, without its values."""
    path, text = fleet_file
    secret = await house.key(tenant)
    path.write_text(text + "\nbaselin_model: canary-in-a-value\n")

    async def told():
        pages = [await _page(house, name) for name in ("gateway", "router", "ledger")]
        return all("spendgate_fleet_file_bad 1" in _plain(page) for page in pages)

    await until(told)
    assert (await _answer(house, secret, "cheap")).choices
    for name in ("gateway", "router", "ledger"):
        log = house.log(name).read_text()
        assert "cannot be used" in log
        assert "did you mean baseline_model" in log
        assert "canary-in-a-value" not in log
    path.write_text(text)

    async def well():
        pages = [await _page(house, name) for name in ("gateway", "router", "ledger")]
        return all("spendgate_fleet_file_bad 0" in _plain(page) for page in pages)

    await until(well)


def _plain(page):
    """The page without labels, whole numbers without their fraction."""
    lines = []
    for line in page.splitlines():
        if line.startswith("spendgate_fleet_file_bad"):
            lines.append(f"spendgate_fleet_file_bad {float(line.rsplit(' ', 1)[1]):.0f}")
    return "\n".join(lines)


async def test_another_provider_key(house, tenant, fleet_file):
    """A key in a file is renewed: calls from then on show the new one."""
    secret = await house.key(tenant)
    house.key_file.write_text("sk-the-first")
    path, text = fleet_file
    keyed = f'  keyed: {{base_url: "{house.upstream.base_url}", api_key_env: FILED_KEY}}\n'
    model = NEW.replace("provider: upstream", "provider: keyed")
    path.write_text(
        with_model(text, "behind-a-key", 1, model).replace("models:", keyed + "models:", 1)
    )
    await until(lambda: _answer(house, secret, "behind-a-key"))

    async def shown():
        await _answer(house, secret, "behind-a-key")
        return house.upstream.seen[-1].headers.get("Authorization")

    assert await shown() == "Bearer sk-the-first"
    house.key_file.write_text("sk-the-second")

    async def renewed():
        return await shown() == "Bearer sk-the-second"

    await until(renewed)
