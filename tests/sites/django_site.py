import django
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import include, path, re_path

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

SITE = Site("django", status_of_other_methods=405)

if not django_settings.configured:
    django_settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="x",
        LANGUAGES=[("en", "English"), ("de", "Deutsch")],
        LOGGING_CONFIG=None,
    )
    django.setup()


async def ok(request, *arguments, **parameters):
    if request.method != "GET":
        return HttpResponse(status=405)
    return HttpResponse("ok", headers={"cache-control": "max-age=60"})


async def boom(request, id):
    raise RuntimeError("boom")


async def drop(request):
    return HttpResponse(f"{await purge(request, everything=True)}")


async def report(request):
    return HttpResponse(str(timing_report(request)))


users = ([path("users/<str:name>/posts/<int:post>", ok, name="post")], "users")
version = [re_path(r"^v1/", include(users, namespace="v1"))]
urlpatterns = [
    path("", ok),
    path("items/<int:id>", ok),
    path("api/", include(version)),
    re_path(r"^files/(?P<rest>.+)$", ok),
    path("boom/<id>", boom),
    path("drop", drop),
    path("report", report),
]
with_these_patterns = override_settings(ROOT_URLCONF=__name__)


def make(**settings):
    app = get_asgi_application()
    return app, SerialMiddleware(app, **settings)


_, app = make(report_path="/_report")
