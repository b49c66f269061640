"""What of SGLang's configuration the plug-in must know, once a scheduler of SGLang's is made."""

from dataclasses import dataclass
from typing import Any

from dynasor.errors import UsageError
from dynasor.sglang_plugin.settings import Settings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a scheduler is.

    Attributes:
        policy: its `--schedule-policy`, as it turned out.
        has_priorities: whether it was started with `--enable-priority-scheduling`.
        disaggregation: "null" where one server does both prompts and answers.
        rank_count: schedulers that must decide the same at every step.
        is_first: whether it is the one of these that counts.
        engine: its number among the data-parallel ones.
    """

    policy: str
    has_priorities: bool
    disaggregation: str
    rank_count: int
    is_first: bool
    engine: int

    def check(self, settings: Settings) -> None:
        """Refuse where the order would not be ours, or not be the same everywhere.

        Raises:
            UsageError: for what SGLang was started with.
        """
        if self.policy != "fcfs" or self.has_priorities:
            raise UsageError(
                f"the plug-in orders requests itself, and SGLang was started with the policy {self.policy}"
                f"{' and priorities' if self.has_priorities else ''}; leave out --schedule-policy and"
                " --enable-priority-scheduling"
            )
        if self.disaggregation != "null":
            raise UsageError("the plug-in was not tested with disaggregation; unset DYNASOR_SGLANG for such servers")
        if self.rank_count > 1 and not settings.tokens_per_s:
            raise UsageError(
                f"{self.rank_count} ranks must order alike, and their clocks differ; set tokens_per_s in DYNASOR_SGLANG"
                " to what the engine generates in a second, and time is counted in tokens"
            )


def look_around(policy: Any) -> Surroundings:
    """Where a `SchedulePolicy` of SGLang's is."""
    from sglang.srt.runtime_context import get_disagg, get_parallel  # noqa: PLC0415

    parallel = get_parallel()
    return Surroundings(
        policy=policy.policy.value,
        has_priorities=policy.enable_priority_scheduling,
        disaggregation=get_disagg().disaggregation_mode,
        rank_count=parallel.attn_tp_size * parallel.attn_cp_size * parallel.pp_size,  # each such group has a queue
        is_first=parallel.attn_tp_rank == parallel.attn_cp_rank == parallel.pp_rank == 0,
        engine=(parallel.dp_rank or 0) * parallel.attn_dp_size + parallel.attn_dp_rank,
    )
