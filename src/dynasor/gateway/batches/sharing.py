"""Which batch the next item is of: of the tenant with the fewest under way for its share, the oldest.

A pure core, which knows no store and no task.
"""

from collections.abc import Collection, Mapping, Sequence

from dynasor.gateway.batches.batch_rows import Live
from dynasor.gateway.tenants import Tenant


def next_batch(
    live: Sequence[Live], running: Mapping[str, int], tenants: Mapping[str, Tenant], passed_over: Collection[str]
) -> Live | None:
    """The batch to take from; None where there is none.

    Args:
        live: the oldest first.
        running: items under way, by tenant.
        tenants: by name; a batch of any other tenant is passed over.
        passed_over: batches that have nothing to give at present.
    """
    able = [
        batch
        for batch in live
        if batch.id not in passed_over and batch.tenant in tenants and _may(tenants[batch.tenant], running)
    ]
    return min(able, key=lambda batch: running.get(batch.tenant, 0) / tenants[batch.tenant].share, default=None)


def _may(tenant: Tenant, running: Mapping[str, int]) -> bool:
    return tenant.concurrency is None or running.get(tenant.name, 0) < tenant.concurrency
