"""Where traces are sent: the settings first, then OpenTelemetry's environment variables."""

import pytest

from dynasor.errors import UsageError
from dynasor.gateway.trace_settings import collector_url

BASE, WHOLE = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.mark.parametrize(
    ("told", "environ", "url"),
    [
        ("", {}, None),
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/", {}, "http://c:4318/v1/traces"),
        ("https://c/otel/in", {}, "https://c/otel/in"),
        ("http://c", {BASE: "http://other"}, "http://c/v1/traces"),
        ("http://c", {"OTEL_SDK_DISABLED": "true"}, "http://c/v1/traces"),
        ("", {BASE: "http://c:4318/in/"}, "http://c:4318/in/v1/traces"),
        ("", {BASE: "http://c", WHOLE: "http://d/x"}, "http://d/x"),
        ("", {BASE: "http://c", "OTEL_SDK_DISABLED": "True"}, None),
        ("", {BASE: "http://c", "OTEL_TRACES_EXPORTER": "none"}, None),
        ("", {"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces"),
        ("", {BASE: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://c/v1/traces"),
    ],
)
def test_where_they_go(told: str, environ: dict[str, str], url: str | None) -> None:
    assert collector_url(told, environ) == url


@pytest.mark.parametrize(
    ("told", "environ", "why"),
    [
        ("localhost:4318", {}, "no address"),
        ("http://", {}, "no address"),
        ("", {BASE: "c:4317"}, "no address"),
        ("http://c", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "asks for 'grpc'"),
        ("", {BASE: "http://c", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "asks for 'http/json'"),
        ("", {"OTEL_TRACES_EXPORTER": "console"}, "must be otlp"),
    ],
)
def test_what_cannot_be_is_told(told: str, environ: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        collector_url(told, environ)
