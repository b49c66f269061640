"""The settings of a gateway, and the TOML file that holds them. What is not known is refused, with its place.

What is given on the command line goes before the environment, that before the file, and that before the defaults.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from dynasor.engines.endpoint import Timeouts
from dynasor.errors import UnknownName, UsageError
from dynasor.gateway.batches.settings import BatchSettings
from dynasor.gateway.dashboard_settings import DashboardSettings
from dynasor.gateway.keys import is_loopback
from dynasor.gateway.limits import Limits
from dynasor.gateway.logs import FORMATS
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.tenants import Tenant

DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
NO_LOG = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """A server to pass requests on to.

    Attributes:
        url: with or without /v1.
        api_key_variable: the environment variable that holds its key; where it is unset, no key is sent.
    """

    url: str
    api_key_variable: str = DEFAULT_KEY_VARIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """All settings.

    Attributes:
        host, port: where it listens.
        connections: of clients at one time.
        grace_s: that open answers get to finish when the gateway is told to end.
        running: requests at the backends at one time, for each backend; further ones wait.
        ordering: of a tenant's programs, as for `dynasor run --ordering`.
        program_idle_s: after so much silence a program that clients drive is closed.
        backends: none: the built-in model answers.
        timeouts: of the backends.
        limits: of one request.
        reasoning: of requests that are answered by programs.
        log_format: of the lines of the log: "text", "json", or "none" for no log.
        traces: the address of the OpenTelemetry collector that takes traces; empty: as the environment says.
        batches: of files of requests.
        dashboard: of the page on which one watches them.
        tenants: none: everybody on this machine may ask, and nobody else.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    connections: int = 20_000
    grace_s: float = 30.0
    running: int = 256
    ordering: str = "aging+attained"
    program_idle_s: float = 600.0
    backends: tuple[BackendSettings, ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    reasoning: ReasoningSettings = field(default_factory=ReasoningSettings)
    log_format: str = "text"
    traces: str = ""
    batches: BatchSettings = field(default_factory=BatchSettings)
    dashboard: DashboardSettings = field(default_factory=DashboardSettings)
    tenants: tuple[Tenant, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise UsageError(f"port is {self.port}; it must be 0 (any free one) to 65535")
        if min(self.connections, self.running, self.program_idle_s) <= 0 or self.grace_s < 0:
            raise UsageError("connections, running and program_idle_s must be more than 0, and grace_s not less")
        if self.log_format not in (known := [*FORMATS, NO_LOG]):
            raise UsageError(f"log_format is '{self.log_format}'; it must be one of {', '.join(known)}")
        names = [tenant.name for tenant in self.tenants]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"there are two tenants called {twice}; give each a name of its own")
        if not is_loopback(self.host) and not any(tenant.key_hashes for tenant in self.tenants):
            raise UsageError(
                f"{self.host} is open to other machines, and there are no keys; make one with dynasor serve --new-key"
                " NAME, or listen at 127.0.0.1"
            )


def read_settings(file: Path | None, over: Mapping[str, Any], tenants: Sequence[Tenant] = ()) -> GatewaySettings:
    """Settings of a file, with those given elsewhere in place of its own; None among these stands for nothing given.

    Args:
        file: in TOML.
        over: by the names of the settings.
        tenants: beside those of the file.

    Raises:
        UsageError: the file cannot be read, or holds what is not known or cannot be.
    """
    told = _table(file) if file is not None else {}
    told |= {name: _joined(told.get(name), value) for name, value in over.items() if value is not None}
    if tenants:
        told["tenants"] = [*told.get("tenants", ()), *(msgspec.to_builtins(tenant) for tenant in tenants)]
    known = [setting.name for setting in fields(GatewaySettings)]
    for name in told:
        if name not in known:
            raise UnknownName("setting", name, known)
    return _converted(told, file)


def _joined(table: object, over: Any) -> Any:
    """What is given, in place of what the file holds; of a table, in place of what it has of the same name."""
    if not isinstance(over, dict) or not isinstance(table, dict):
        return over
    return table | over


def _table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"cannot read {file}: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"{file} is not TOML: {fault}") from None


def _converted(told: dict[str, Any], file: Path | None) -> GatewaySettings:
    _refuse_unknown(told)
    try:
        return msgspec.convert(told, GatewaySettings, strict=True)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{file or 'the settings'}: {fault}") from None


def _refuse_unknown(told: dict[str, Any]) -> None:
    rooms: list[tuple[str, Any, type[Any]]] = [
        ("limits", told.get("limits"), Limits),
        ("timeouts", told.get("timeouts"), Timeouts),
        ("reasoning", told.get("reasoning"), ReasoningSettings),
        ("batches", told.get("batches"), BatchSettings),
        ("dashboard", told.get("dashboard"), DashboardSettings),
    ]
    for room, kind in (("tenants", Tenant), ("backends", BackendSettings)):
        tables = told.get(room)
        rooms += [(room, table, kind) for table in (tables if isinstance(tables, list) else ())]
    for room, table, kind in rooms:
        known = [setting.name for setting in fields(kind)]
        for name in table if isinstance(table, dict) else ():
            if name not in known:
                raise UnknownName(f"setting in {room}", name, known)
