"""The branches of one tenant's programs, each of which waits for its turn among the requests of all tenants.

Implements `engines.shared.Places`. So a tenant's share and concurrency bound what its programs have at the backends,
however many branches they ask for.
"""

from collections.abc import Callable

from dynasor.gateway.admission import Admission
from dynasor.gateway.tenants import Tenant
from dynasor.request import Completion, Request, RequestId


class BranchTurns:
    """What one tenant's programs ask of a model."""

    def __init__(self, admission: Admission, tenant: Tenant) -> None:
        self._admission, self._tenant = admission, tenant

    def ask(self, request: Request, begin: Callable[[], None]) -> None:
        """A branch or a probe wants to begin."""
        self._admission.line_up(request.id, self._tenant, request.id.program, begin)

    def withdraw(self, id: RequestId) -> None:
        """One that waits is wanted no more."""
        self._admission.withdraw(id, self._tenant)

    def leave(self, completion: Completion) -> None:
        """One has ended. A program's prompt counts once, as it does in what its client is told."""
        prompt_tokens = 0 if completion.id.index else completion.prompt_tokens or 0
        self._admission.leave(completion.id, prompt_tokens + (completion.tokens or 0))
