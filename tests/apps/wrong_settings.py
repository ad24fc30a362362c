"""An app whose settings are wrong, which is found when it is imported."""

from asgi_serial import SerialMiddleware
from tests.apps.strange import bare

app = SerialMiddleware(bare, cache=False, cache_ttl=60, gzip_levl=3)
