"""A newspaper: articles are cached, validated and purged by tag; each reader has a cached page.

python examples/caching.py        or        uvicorn examples.caching:app

curl -si localhost:8000/articles/3          # repeat it: a hit; after 5 s a stale one
curl -si localhost:8000/articles
curl -si -X PUT localhost:8000/articles/3 -H 'Content-Type: application/json' -d '{"title": "New"}'
curl -si localhost:8000/me -H 'Cookie: sid=ada'              # repeat it: a hit, for Ada only
curl -si -X POST localhost:8000/logout -H 'Cookie: sid=ada'
curl -si localhost:8000/-/purge -H 'Authorization: Bearer secret' -d '{"tags": ["articles"]}'

docs/explanation/caching.md explains what happens, and why.
"""

import os
from itertools import count
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_serial import SerialMiddleware, purge

ARTICLES: list[dict[str, Any]] = [
    {"id": number, "title": f"Article {number}", "version": 1} for number in range(20)
]
VISITS = count(1)

# Fresh for 5 s. For another minute it is sent while a new one is made in the background.
LASTS = "max-age=5, stale-while-revalidate=60, stale-if-error=3600"


async def list_articles(request: Request) -> Response:
    """List the titles. Purging the tag `articles` drops the list."""
    titles = [article["title"] for article in ARTICLES]
    return JSONResponse(titles, headers={"Cache-Control": LASTS, "Cache-Tag": "articles"})


async def get_article(request: Request) -> Response:
    """Return one article, or 304 if the stored one is still current."""
    article = find_article(request)
    fields = {
        "Cache-Control": LASTS,
        "Cache-Tag": f"articles, article-{article['id']}",
        "ETag": f'"{article["id"]}-{article["version"]}"',
    }
    if request.headers.get("if-none-match") == fields["ETag"]:
        return Response(status_code=304, headers=fields)
    return JSONResponse(article, headers=fields)


async def put_article(request: Request) -> Response:
    """Change an article. This drops its own URI; the list has another URI, so purge its tag."""
    article = find_article(request)
    article["title"] = (await request.json())["title"]
    article["version"] += 1
    await purge(request.app, tags=["articles"])
    return JSONResponse(article)


async def get_reader(request: Request) -> Response:
    """Return a page that is cached for each reader: see `routes` below."""
    reader = request.cookies.get("sid")
    if reader is None:
        raise HTTPException(401)
    return JSONResponse({"reader": reader, "visit": next(VISITS)})


async def log_out(request: Request) -> Response:
    """Log out, and drop everything cached for this reader."""
    if reader := request.cookies.get("sid"):
        await purge(request.app, users=[{"cookie:sid": reader}])
    response = Response(status_code=204)
    response.delete_cookie("sid")
    return response


def find_article(request: Request) -> dict[str, Any]:
    number: int = request.path_params["number"]
    if number >= len(ARTICLES):
        raise HTTPException(404)
    return ARTICLES[number]


app = Starlette(
    routes=[
        Route("/articles", list_articles),
        Route("/articles/{number:int}", get_article),
        Route("/articles/{number:int}", put_article, methods=["PUT"]),
        Route("/me", get_reader),
        Route("/logout", log_out, methods=["POST"]),
    ]
)
app.add_middleware(
    SerialMiddleware,
    purge_path="/-/purge",
    purge_token=os.environ.get("PURGE_TOKEN", "secret"),
    routes={"/me": {"cache_partition": "cookie:sid", "cache_ttl": "30s"}},
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
