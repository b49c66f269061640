"""The traces of a gateway from its settings; the SDK that sends them is loaded only where they are asked for."""

from collections.abc import Mapping

from dynasor.clock import Clock
from dynasor.errors import MissingExtra
from dynasor.gateway.settings import GatewaySettings
from dynasor.gateway.trace_settings import collector_url
from dynasor.gateway.tracing import Tracing


def make_tracing(settings: GatewaySettings, environ: Mapping[str, str], clock: Clock) -> Tracing | None:
    """What traces requests; None where nobody asks for that.

    Raises:
        MissingExtra: the SDK is not installed.
        UsageError: they cannot be sent where they are to go.
    """
    url = collector_url(settings.traces, environ)
    if url is None:
        return None
    try:
        from dynasor.gateway.spans import Spans  # noqa: PLC0415  (optional, and slow to load)
    except ImportError as missing:
        raise MissingExtra("sending traces", "tracing") from missing
    return Tracing(Spans(url), clock)
