"""The files of the page, as they are in the package. They tell nothing, and load nothing from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from dynasor.gateway.dashboard.door import DashboardDoor
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.refusals import Refused

_KINDS = {
    "css": b"text/css; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none';"
    b" form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_ALWAYS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),  # to be asked for again, and answered by 304
)
INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class Page:
    """One file."""

    body: bytes
    kind: bytes
    tag: bytes


class Pages:
    """The routes."""

    def __init__(self, door: DashboardDoor) -> None:
        self._door, self._pages = door, read_pages()

    async def index(self, exchange: Exchange) -> None:
        """`GET /dashboard`."""
        await self._answer(exchange, INDEX)

    async def file(self, exchange: Exchange) -> None:
        """`GET /dashboard/NAME`.

        Raises:
            Refused: 404.
        """
        name = exchange.path.removeprefix("/dashboard/")
        if not name:
            await exchange.answer(308, b"", [(b"location", b"../dashboard")])
            return
        if name not in self._pages or name == INDEX:
            raise Refused(404, "there is no such file; the page is at /dashboard", "not_found")
        await self._answer(exchange, name)

    async def _answer(self, exchange: Exchange, name: str) -> None:
        self._door.page(exchange.headers)
        page = self._pages[name]
        headers = [*_ALWAYS, (b"content-type", page.kind), (b"etag", page.tag)]
        if _names(exchange.headers.get(b"if-none-match", b""), page.tag):
            await exchange.begin(304, headers)
            await exchange.end()
        else:
            await exchange.answer(200, page.body, headers)


def read_pages() -> Mapping[str, Page]:
    """All files, by name."""
    pages = {}
    for file in files("dynasor.gateway.dashboard").joinpath("static").iterdir():
        kind = _KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            body = file.read_bytes()
            pages[file.name] = Page(body, kind, b'"%s"' % sha256(body).hexdigest()[:32].encode())
    return pages


def _names(told: bytes, tag: bytes) -> bool:
    """Whether a list of tags names one; weak ones count, for a proxy may have compressed the file."""
    return any(one.strip().removeprefix(b"W/") == tag for one in told.split(b","))
