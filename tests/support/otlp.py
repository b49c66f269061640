"""A collector of traces: takes what OpenTelemetry's exporter sends over HTTP, and gives it as spans."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.gateways import serving_at


class Collector:
    """What came.

    Attributes:
        bodies: as they came.
        headers: of the requests.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        return app

    async def _take(self, http: web.Request) -> web.Response:
        self.bodies.append(await http.read())
        self.headers.append(dict(http.headers))
        return web.Response(content_type="application/x-protobuf")

    @property
    def spans(self) -> list[Span]:
        """All spans, in the order in which they ended."""
        return [span for resource in self._resources for scope in resource.scope_spans for span in scope.spans]

    @property
    def resource(self) -> dict[str, Any]:
        """What is told of the gateway itself."""
        return attributes(self._resources[0].resource.attributes)

    def named(self, name: str) -> list[Span]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        """The only span of a name."""
        (span,) = self.named(name)
        return span

    @property
    def _resources(self) -> list[Any]:
        return [each for body in self.bodies for each in ExportTraceServiceRequest.FromString(body).resource_spans]


def attributes(told: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {each.key: _value(each) for each in told}


def _value(each: KeyValue) -> Any:
    kind = each.value.WhichOneof("value")
    if kind == "array_value":
        return [value.string_value for value in each.value.array_value.values]
    return getattr(each.value, str(kind))


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[str, Collector]]:
    """Serve it; gives its address."""
    collector = Collector()
    async with serving_at(collector.app()) as url:
        yield url, collector
