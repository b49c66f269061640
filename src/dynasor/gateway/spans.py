"""Spans in OpenTelemetry's SDK: which traces are sampled, and the thread that sends them. The one place that knows it.

What OpenTelemetry's own environment variables say of samplers, resources, batches, headers and time limits is obeyed. A
span is put into a bounded queue, and dropped where that is full: nobody ever waits for a collector.
"""

from collections.abc import Mapping
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dynasor import __version__
from dynasor.gateway.recording import Kind, Span
from dynasor.gateway.trace_context import TraceContext

_LAST_S = 2.0  # for the last spans, when the gateway ends
_KINDS = {Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT, Kind.INTERNAL: SpanKind.INTERNAL}
_SCOPE = InstrumentationScope("dynasor.gateway", __version__)


class Spans:
    """Implements `gateway.recording.Recording`."""

    def __init__(self, url: str) -> None:
        """Send to a collector; nothing is sent yet."""
        provider = TracerProvider(shutdown_on_exit=False)
        self._sampler, self._resource = provider.sampler, provider.resource
        self._exporter = OTLPSpanExporter(endpoint=url)
        self._processor = BatchSpanProcessor(self._exporter)
        self._ids, self._propagator = RandomIdGenerator(), TraceContextTextMapPropagator()

    def begin(self, told: Mapping[str, str], name: str) -> tuple[TraceContext, TraceContext | None]:
        """A request's place in the trace that its client tells of, or in one of its own; and the client's place."""
        within = self._propagator.extract(told)
        parent = get_current_span(within).get_span_context()
        trace_id = parent.trace_id if parent.is_valid else self._ids.generate_trace_id()
        result = self._sampler.should_sample(within, trace_id, name, SpanKind.SERVER)
        state = (result.trace_state or parent.trace_state).to_header()
        is_sampled = result.decision is Decision.RECORD_AND_SAMPLE
        context = TraceContext(trace_id, self._ids.generate_span_id(), is_sampled, state)
        return context, _ours(parent) if parent.is_valid else None

    def below(self, context: TraceContext) -> TraceContext:
        """A place of its own in the same trace."""
        return context._replace(span_id=self._ids.generate_span_id())

    def record(self, span: Span) -> None:
        """Have a span sent, if its trace is sampled."""
        if not span.context.is_sampled:
            return
        self._processor.on_end(
            ReadableSpan(
                span.name,
                context=_theirs(span.context),
                parent=None if span.parent is None else _theirs(span.parent),
                resource=self._resource,
                attributes=span.attributes,
                events=[Event(name, attributes, at_ns) for name, at_ns, attributes in span.events],
                kind=_KINDS[span.kind],
                status=Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR),
                start_time=span.began_ns,
                end_time=span.ended_ns,
                instrumentation_scope=_SCOPE,
            )
        )

    def close(self) -> None:
        """Send the last spans, for two seconds at most. It blocks."""
        ending = Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(_LAST_S)
        if ending.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # a collector that does not answer is waited for no longer


def _theirs(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.is_sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([context.state]) if context.state else None
    return SpanContext(context.trace_id, context.span_id, False, flags, state)


def _ours(context: SpanContext) -> TraceContext:
    return TraceContext(context.trace_id, context.span_id, context.trace_flags.sampled, "")
