"""Quotes from a slow supplier, cached as bytes, without HTTP.

python examples/library.py        or, with a cache shared by processes:
ASGI_SERIAL_MODEL_CACHE_URL=redis://localhost:6379/0 python examples/library.py
"""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

from pydantic import BaseModel, ValidationError

from asgi_serial import (
    OptimizedSerializationManager,
    create_serialization_manager,
    deserialized,
    serialized,
)


class Price(BaseModel):
    """The price of a number of pieces."""

    pieces: int
    amount: Decimal


class Quote(BaseModel):
    """A supplier's prices for an article."""

    article: str
    asked_at: datetime
    prices: list[Price]


async def ask_supplier(article: str) -> Quote:
    """Ask the supplier, which is slow and costs money."""
    await asyncio.sleep(0.05)
    print(f"asked for {article}")
    prices = [Price(pieces=n, amount=Decimal(n) * Decimal("0.95")) for n in range(1, 101)]
    return Quote(article=article, asked_at=datetime.now(UTC), prices=prices)


async def find_quote(manager: OptimizedSerializationManager, article: str) -> Quote:
    """Return the cached quote, or ask for a new one."""
    cache = manager.cached_manager.cache_manager
    payload = await cache.get(f"quote:{article}")
    if payload is not None:
        return await manager.deserialize_model(payload, Quote)
    quote = await ask_supplier(article)
    await cache.set(f"quote:{article}", await manager.serialize_model(quote), ttl=60)
    return quote


@serialized("msgpack")
def cheapest(quote: Quote) -> Price:
    """Return the lowest price, as bytes for the queue of another service."""
    return min(quote.prices, key=lambda price: price.amount)


@deserialized(Price)
def describe(price: Price) -> str:
    """Describe a price, given as bytes from the queue."""
    return f"{price.pieces} for {price.amount}"


async def main() -> None:
    """Ask twice, pass a price on, reject malformed bytes, and print a report."""
    async with create_serialization_manager() as manager:
        first = await find_quote(manager, "A-1")
        second = await find_quote(manager, "A-1")
        print(f"the same: {first == second}")
        message = cheapest(first)
        print(f"{message!r} is {describe(message)}")
        try:
            manager.deserialize_sync(b'{"article":"A-1"', Quote)
        except ValidationError as error:
            print(error.errors(include_input=False)[0]["msg"])
        for name, cost in manager.get_performance_report()["operations"].items():
            print(f"{name:16} {cost['count']:3} in {cost['total_time'] * 1000:.2f} ms")


if __name__ == "__main__":
    asyncio.run(main())
