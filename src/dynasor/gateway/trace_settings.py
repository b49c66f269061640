"""Where traces are sent, by the gateway's settings or by OpenTelemetry's own environment variables. Sends nothing."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from dynasor.errors import UsageError

ENDPOINT, TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"
_PATH = "/v1/traces"
_DEFAULT = "http://localhost:4318"


def collector_url(told: str, environ: Mapping[str, str]) -> str | None:
    """The address that takes traces; None: nobody asks for any.

    Args:
        told: in the settings, which go before the environment; with or without the path.
        environ: as OpenTelemetry has it.

    Raises:
        UsageError: it is no address, or is to be spoken to in another protocol.
    """
    url = _with_path(told) if told else _in_environment(environ)
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"traces are sent to '{url}', which is no address; give one such as {_DEFAULT}")
    spoken = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _SPOKEN)
    if spoken != _SPOKEN:
        told = f"traces are sent as {_SPOKEN}, and the environment asks for '{spoken}'"
        raise UsageError(f"{told}; set {_PROTOCOLS[1]} to {_SPOKEN}, and name the collector's port for it (4318)")
    return url


def _in_environment(environ: Mapping[str, str]) -> str | None:
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return None
    if exporter not in ("", "otlp"):
        raise UsageError(f"OTEL_TRACES_EXPORTER is '{exporter}'; it must be otlp, or none for no traces")
    if whole := environ.get(TRACES_ENDPOINT):
        return whole
    base = environ.get(ENDPOINT) or (_DEFAULT if exporter else "")
    return base.rstrip("/") + _PATH if base else None


def _with_path(url: str) -> str:
    return url.rstrip("/") + _PATH if urlsplit(url).path in ("", "/") else url
