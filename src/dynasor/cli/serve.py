"""`dynasor serve`: an OpenAI-compatible server in front of others, or of the model that is shipped."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.errors import UsageError
from dynasor.gateway import keys
from dynasor.gateway.keys import hash_of
from dynasor.gateway.log_writing import LogWriter
from dynasor.gateway.logs import FORMATS, Fields
from dynasor.gateway.settings import NO_LOG, GatewaySettings, read_settings
from dynasor.gateway.tenants import Tenant
from dynasor.launch import serving as launching

BUILTIN = "builtin"
KEY_VARIABLE = "DYNASOR_API_KEY"
_STANDARD_ERROR = 2


@click.command(short_help="Serve OpenAI's API: keys, fair shares and programs in front of model servers.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="URL",
    envvar="DYNASOR_BACKENDS",
    help="An OpenAI-compatible server to pass requests on to, such as http://localhost:8000/v1; may be given more than"
    " once. Without any, --model answers.",
)
@click.option(
    "--model",
    metavar="builtin|FILE.gguf",
    help="Where there is no backend: what answers in this process.  [default: builtin]",
)
@click.option("--host", envvar="DYNASOR_HOST", help="The address to listen at.  [default: 127.0.0.1]")
@click.option("--port", type=int, envvar="DYNASOR_PORT", help="The port; 0 for any that is free.  [default: 8080]")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="DYNASOR_CONFIG",
    help="A TOML file with backends, tenants and limits; options and environment go before it.",
)
@click.option("--running", type=int, envvar="DYNASOR_RUNNING", help="Requests at a backend at a time.  [default: 256]")
@click.option("--ordering", envvar="DYNASOR_ORDERING", help="Which program is next.  [default: aging+attained]")
@click.option(
    "--batch-store",
    metavar="sqlite:FILE|postgresql://...",
    envvar="DYNASOR_BATCH_STORE",
    help="Where files and batches are kept; without it, there are no batches.",
)
@click.option("--grace", "grace_s", type=float, envvar="DYNASOR_GRACE", help="Seconds to finish in.  [default: 30]")
@click.option(
    "--log-format",
    type=click.Choice([*FORMATS, NO_LOG]),
    envvar="DYNASOR_LOG_FORMAT",
    help="One line for each request, on the standard error; without prompts, answers and keys.  [default: text]",
)
@click.option(
    "--traces",
    metavar="URL",
    envvar="DYNASOR_TRACES",
    help="An OpenTelemetry collector to send traces to, such as http://localhost:4318; OpenTelemetry's own environment"
    " variables (OTEL_EXPORTER_OTLP_ENDPOINT, ...) name it too. Needs the extra tracing.",
)
@click.option(
    "--new-key", metavar="NAME", help="Print a new key for a tenant and the lines for the file; serve nothing."
)
@click.option("--check", is_flag=True, help="Judge the settings, and serve nothing.")
def serve(new_key: str | None, check: bool, config: Path | None, model: str | None, **given: Any) -> None:
    """Serve OpenAI's API at http://127.0.0.1:8080/v1, in front of one or more model servers.

    Any OpenAI client works with it unchanged. Requests are passed on byte for byte; those that must wait are ordered
    fairly, by tenants and by programs. See docs/gateway.md. Those that ask for reasoning, such as for the model
    NAME@sc, are answered by programs of many branches; see docs/reasoning-over-http.md.

    Without keys it listens to this machine only. A first key may be given in the environment, as DYNASOR_API_KEY;
    tenants with keys, shares and quotas are written in the file of --config.

    Files of requests are answered as batches, with --batch-store; see docs/batches.md.

    Programs are watched at http://127.0.0.1:8080/dashboard; see docs/dashboard.md.

    Metrics for Prometheus are at /metrics, for this machine alone, or for whoever has the key in DYNASOR_METRICS_KEY;
    see docs/gateway-metrics.md.

    On SIGTERM or Ctrl+C it takes no new requests and lets open answers finish, for --grace seconds at most; on a second
    one it ends at once.

    \b
    Examples:
      dynasor serve
      dynasor serve --backend http://localhost:8000/v1
      dynasor serve --new-key team-a
      dynasor serve --backend http://gpu1:8000/v1 --backend http://gpu2:8000/v1 --config gateway.toml
    """  # noqa: D301
    if new_key is not None:
        _print_new_key(new_key)
        return
    settings = _settings(config, given)
    embedded = _model(model, settings)
    if check:
        launching.check(settings)
        click.echo(
            f"the settings are sound: {_counted(settings.backends, 'backend')}, {_counted(settings.tenants, 'tenant')}"
        )
        return
    with _log(settings.log_format) as log:
        serving = launching.prepare(settings, model=embedded, log=log)
        launching.serve(serving, lambda port: _greet(settings, serving.backends.is_ready, port))


def _settings(config: Path | None, given: dict[str, Any]) -> GatewaySettings:
    urls = [url for several in given.pop("backends") for url in several.split(",") if url.strip()]
    store = given.pop("batch_store")
    batches = None if store is None else {"store": store}
    over = {**given, "backends": [{"url": url.strip()} for url in urls] or None, "batches": batches}
    tenants = []
    if key := os.environ.get(KEY_VARIABLE):
        tenants = [Tenant(name="default", key_hashes=(hash_of(key),))]
    return read_settings(config, over, tenants)


@contextmanager
def _log(told: str) -> Iterator[Callable[[Fields], None] | None]:
    form = next((form for form in FORMATS if form == told), None)
    if form is None:
        yield None
        return
    with LogWriter(_STANDARD_ERROR, form) as writer:
        yield writer.write


def _model(model: str | None, settings: GatewaySettings) -> EmbeddedModel | None:
    if settings.backends:
        if model is not None:
            raise UsageError("--model answers where there is no backend; leave it out, or --backend")
        return None
    return EmbeddedModel(Path(model or BUILTIN))


def _greet(settings: GatewaySettings, ready: bool, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    click.echo(f"dynasor: serving http://{host}:{port}/v1", err=True)
    if not ready:
        click.echo("dynasor: no backend answers yet; requests are refused until one does", err=True)
    if not any(tenant.key_hashes for tenant in settings.tenants):
        click.echo("dynasor: without keys; only programs on this machine may ask", err=True)


def _counted(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _print_new_key(name: str) -> None:
    key = keys.new_key()
    tenant = Tenant(name=name, key_hashes=(hash_of(key),))
    click.echo(f"the key of {name}, which is shown this once:\n\n  {key}\n\nthe lines for the file of --config:\n")
    click.echo(f'[[tenants]]\nname = "{tenant.name}"\nkey_hashes = ["{tenant.key_hashes[0]}"]')
