"""The ranking as vLLM needs it beside the order: the n completions of a request, and programs whose blocks are kept."""

import re
from typing import Final

from dynasor.inside import ranking
from dynasor.request import ProgramId
from dynasor.vllm_plugin.settings import Settings

_CHILD: Final = re.compile(r"\d+_(.+)", re.DOTALL)
"""vLLM's name for one of the n completions of a request."""


class Ranking(ranking.Ranking):
    """Of vLLM's requests."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._grace_s = settings.grace_s

    def asked(self, id: str) -> str:
        """The request of which this is a completion."""
        child = _CHILD.fullmatch(id)
        return child[1] if child else id

    def is_live(self, program: ProgramId) -> bool:
        """Whether a program has requests, or had some a moment ago: then its blocks are kept the longest."""
        if program not in self._table:
            return False
        since = self._idle.get(program)
        return since is None or self._now < since + self._grace_s
