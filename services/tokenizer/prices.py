"""What tokens cost at prices that a caller names."""

from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from catalog.price import ModelPrice, PriceOutOfRange, Rates, cost_nanos
from catalog.usage import Usage
from services.tokenizer.errors import price_invalid


def rates_of(price: pb.TokenPrice, field: str = "price") -> Rates:
    """The catalog's rates; what is left out costs the full price.

    Raises: InvalidFields (PRICE_INVALID).
    """
    full = price.input_picos
    cached = price.cached_input_picos if price.HasField("cached_input_picos") else full
    write = price.cache_write_picos if price.HasField("cache_write_picos") else full
    try:
        return Rates(full, cached, write, write, 0, 0, 0)
    except PriceOutOfRange as error:
        raise price_invalid(f"{field}.{error.rate}", "must be 0 to 10^9") from None


def nanos(rates: Rates, *, fresh: int = 0, cached: int = 0, written: int = 0) -> int:
    """Nano-USD for tokens read at the full price, from the cache, and written to it."""
    usage = Usage(input_tokens=fresh, cached_input_tokens=cached, cache_write_tokens=written)
    return cost_nanos(ModelPrice(rates, "caller"), usage)
