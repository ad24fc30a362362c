"""A Django app whose settings compress and cache."""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

from asgi_serial import SerialMiddleware

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="x",
    MIDDLEWARE=[
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
)
django.setup()


async def home(request):
    return HttpResponse("home " * 1000)


urlpatterns = [path("", home)]
app = SerialMiddleware(get_asgi_application())
