"""An app whose settings are wrong, which is found when it is started."""

from fastapi import FastAPI

from asgi_serial import SerialMiddleware

app = FastAPI()
app.add_middleware(SerialMiddleware, ttl=60)
