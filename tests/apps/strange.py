"""Apps that no check expects."""

from asgi_serial import SerialMiddleware


class Hostile:
    """An object whose attributes raise, and that is an ASGI app none the less."""

    def __getattr__(self, name):
        raise RuntimeError(f"no {name} here")

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Odd:
    """An app whose routes are of no kind that is known."""

    routes = (7, None, object())
    user_middleware = 3
    middleware = "x"

    async def __call__(self, scope, receive, send):
        raise RuntimeError("it never answers")


async def bare(scope, receive, send):
    await Hostile().__call__(scope, receive, send)


async def alone(scope, receive, send):
    await bare(scope, receive, send)


hostile = Hostile()
odd = SerialMiddleware(Odd())
wrapped = SerialMiddleware(SerialMiddleware(bare, routes={"/a": {}}), gzip_level=9)


class Circular:
    """An app that is wrapped in itself."""

    def __init__(self):
        self.app = self

    async def __call__(self, scope, receive, send):
        await bare(scope, receive, send)


circular = SerialMiddleware(Circular())


def make():
    return SerialMiddleware(bare)


def make_with(arguments):
    return bare


async def make_later():
    return bare


number = 7


def fail():
    raise LookupError("on purpose")
