"""Users from a slow database, cached by `@cached`, with an update that invalidates.

python examples/cached_functions.py        or, with a cache shared by processes:
ASGI_SERIAL_MODEL_CACHE_URL=redis://localhost:6379/0 python examples/cached_functions.py
"""

import asyncio

from pydantic import BaseModel

from asgi_serial import cached, create_serialization_manager, set_default_manager


class User(BaseModel):
    """A member of a team."""

    id: int
    name: str
    team: str


class Users:
    """The users of one tenant."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.names = {1: "Ada", 2: "Grace"}

    @cached(ttl="5m", key="{self.tenant}:user:{id}", tags=["{self.tenant}:team:{result.team}"])
    async def load(self, id: int) -> User | None:
        """Load a user; 20 calls at once are one query."""
        print(f"loading user {id} of {self.tenant}")
        await asyncio.sleep(0.05)
        return User(id=id, name=self.names[id], team="core") if id in self.names else None

    async def rename(self, id: int, name: str) -> None:
        """Rename a user."""
        self.names[id] = name
        await self.load.invalidate(id)


@cached(ttl=60)
def tax_rate(country: str) -> float:
    """Return the rate of a country; functions of threads may be cached, too."""
    print(f"looking up {country}")
    return {"DE": 0.19, "FR": 0.2}[country]


async def main() -> None:
    """Load users, change one, and drop a team."""
    async with create_serialization_manager() as manager:
        set_default_manager(manager)
        users, others = Users("acme"), Users("globex")
        found = await asyncio.gather(*[users.load(1) for _ in range(20)], others.load(1))
        print(len(found), found[0], found[0] is found[1])
        await users.rename(1, "Ada Lovelace")
        print(await users.load(1), await others.load(1))
        await manager.purge("acme:team:core")
        print(await users.load(1))
        print(await asyncio.to_thread(tax_rate, "DE"), tax_rate("DE"))
        print(users.load.key(1), users.load.cache_info())


if __name__ == "__main__":
    asyncio.run(main())
