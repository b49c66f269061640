"""How a gateway stands, in few numbers: of one tenant, or of all; and the programs that clients drive."""

from typing import Any

from dynasor.gateway.admission import Admission
from dynasor.gateway.client_programs import ClientProgram
from dynasor.gateway.dashboard.live import Live
from dynasor.gateway.dashboard.totals import Totals
from dynasor.gateway.turns import Lane

MOST_CLIENT_PROGRAMS = 20
"""Those last heard of."""


class Figures:
    """Reads what others count."""

    def __init__(self, live: Live, admission: Admission) -> None:
        self._live, self._admission = live, admission

    def __call__(self, tenant: str | None) -> dict[str, Any]:
        """The figures that somebody may see: of a tenant, or, for None, of all."""
        latest = self._admission.programs.latest(tenant, MOST_CLIENT_PROGRAMS)
        lanes = [lane for lane in self._admission.turns.lanes if tenant in (None, lane.tenant.name)]
        return {
            "programs": _programs(self._live.totals(tenant)),
            "requests": {
                "running": sum(lane.running for lane in lanes),
                "waiting": sum(lane.waiting for lane in lanes),
            },
            "tenants": [_tenant(lane) for lane in lanes],
            "client_programs": [_client_program(one) for one in sorted(latest, key=_opened, reverse=True)],
        }


def _programs(totals: Totals) -> dict[str, Any]:
    finished = totals.finished
    return {
        "waiting": totals.waiting, "running": totals.running, "finished": finished, "withdrawn": totals.withdrawn,
        "failed": totals.failed, "tokens": totals.tokens, "cut_tokens": totals.cut_tokens,
        "known_tokens": totals.known_tokens, "even_tokens": totals.even_tokens, "met": totals.met,
        "missed": totals.missed, "mean_certaindex": totals.certaindex_sum / finished if finished else None,
    }  # fmt: skip


def _tenant(lane: Lane) -> dict[str, Any]:
    return {
        "name": lane.tenant.name, "share": lane.tenant.share, "tokens": lane.served_tokens, "running": lane.running,
        "waiting": lane.waiting,
    }  # fmt: skip


def _opened(program: ClientProgram) -> float:
    return program.opened_at


def _client_program(program: ClientProgram) -> dict[str, Any]:
    tenant = program.tenant.name
    return {
        "tenant": tenant, "name": program.id.removeprefix(f"{tenant}/"), "requests": program.requests,
        "in_flight": program.in_flight, "tokens": program.tokens, "opened_at": program.opened_at,
        "heard_at": program.heard_at,
    }  # fmt: skip
