"""One token budget for a whole batch: hard problems get what easy ones give back (paper 5.2.1).

Greedy by expected gain per expected token. A program is granted its next branch if the budget also covers all that is
worth more: what the running programs ahead of it need, and what programs that have not started will want at a better
rate, as those that ended did. It knows no right answers, no engine and no host; given the order in which programs
ask, it is deterministic. A decision costs O(log n) at most: it adds up two rows of a few hundred rates.

What a host provides: how many programs there are; `join()` for each as it starts, whose share is that program's policy,
asked in rounds and not in flight; and `leave()` when it ends, with the tokens that it took. Where a batch goes on, each
share is told by `recall()` what its program had drawn before.
"""

from math import log2

from dynasor.allocation.bounds import at_least
from dynasor.allocation.expected_gain import gain_of_knowing
from dynasor.allocation.progress import Grant, Progress, stop
from dynasor.allocation.sums import PrefixSums

BUDGET_SPENT, SETTLED = "budget", "settled"
_RATES = 512  # steps of an eighth of an octave, from a gain of 1 a token down to 2^-64


class TokenBudget:
    """What a batch may spend, and who may spend it.

    A branch is granted only while tokens are left, and one branch at a time: so the batch never takes more than the
    budget and one branch for each running program.

    Attributes:
        tokens: the budget.
        spent: tokens that programs have reported.
    """

    def __init__(self, tokens: int, programs: int) -> None:
        at_least("tokens", tokens, 1)
        at_least("programs", programs, 1)
        self.tokens = tokens
        self.spent = 0
        self._even_share = tokens / programs
        self._unseen = programs  # of which no branch was reported
        self._ended = 0
        self._running = 0
        self._drawn = 0  # branches reported
        self._awaited = 0  # branches granted and not yet reported
        self._wanted = PrefixSums(_RATES)  # what ended programs took, by the rate at which they took it
        self._needed = PrefixSums(_RATES)  # what running programs need next, by their present rate

    def join(self) -> "Share":
        """A program starts."""
        self._running += 1
        return Share(self)

    def branch_tokens(self) -> float:
        """What a branch takes on average; the even share before any was seen."""
        return self.spent / self._drawn if self._drawn else self._even_share

    def covers(self, rate: int, cost: float) -> bool:
        """Whether the budget covers a cost beside all that is worth more than `rate`, 0 being the best."""
        wanted = (self._wanted.below(rate) + self._running * self._even_share) / max(1, self._ended + self._running)
        better = self._needed.below(rate) + self._unseen * wanted
        return self.spent + self._awaited * self.branch_tokens() + better + cost <= self.tokens

    def reported(self, share: "Share", tokens: int, branches: int) -> None:
        """A program has come further."""
        self._unseen -= share.knob == 0 < branches
        self._awaited -= share.awaited
        self._drawn += branches - share.knob
        self.spent += tokens - share.tokens
        share.tokens, share.knob, share.awaited = tokens, branches, 0

    def granted(self, share: "Share") -> Grant:
        """A branch for a program."""
        self._awaited += 1
        share.awaited = 1
        return Grant(1)

    def need(self, rate: int, tokens: int) -> None:
        """A running program's need at a rate; negative to take it back."""
        self._needed.add(rate, tokens)

    def ended(self, share: "Share") -> None:
        """A program has ended: what it took, and at what rates, tells what others will want."""
        self._running -= 1
        self._ended += 1
        self._unseen -= share.knob == 0
        for rate, tokens in share.taken.items():
            self._wanted.add(rate, tokens)


class Share:
    """One program's policy under the budget of its batch."""

    def __init__(self, budget: TokenBudget) -> None:
        self._budget = budget
        self._need: tuple[int, int] | None = None
        self._rate = 0
        self._left = False
        self._paid = 0  # branches that an earlier part of the run has begun with
        self.tokens = self.knob = self.awaited = 0
        self.taken: dict[int, int] = {}  # tokens, by rate

    def __call__(self, progress: Progress) -> Grant:
        """One branch more, or the end."""
        budget = self._budget
        if progress.knob < self._paid:
            return Grant(self._paid - progress.knob)
        self._report(progress.tokens, progress.knob)
        if not progress.knob:
            return budget.granted(self) if budget.spent < budget.tokens else stop(BUDGET_SPENT)
        votes = progress.votes
        if votes.leader - votes.runner_up > progress.remaining:
            return stop(SETTLED)
        cost = progress.tokens / progress.knob
        branches = min(votes.leader - votes.runner_up + 1, progress.remaining)  # the fewest that can change the answer
        self._rate = _rate(gain_of_knowing(votes) / max(1.0, branches * cost))
        if not budget.covers(self._rate, cost):
            return stop(BUDGET_SPENT)
        self._need = (self._rate, round(branches * cost))
        budget.need(*self._need)
        return budget.granted(self)

    def recall(self, index: int, tokens: int) -> None:
        """An earlier part of the run has drawn the branch of this index, counted from 0: it is granted once more."""
        self._paid = max(self._paid, index + 1)
        self._report(self.tokens + tokens, self.knob + 1)

    def leave(self, tokens: int, branches: int) -> None:
        """The program has ended, having taken so many tokens in so many branches; a second time changes nothing."""
        if not self._left:
            self._report(tokens, branches)
            self._budget.ended(self)
            self._left = True

    def _report(self, tokens: int, branches: int) -> None:
        self.taken[self._rate] = self.taken.get(self._rate, 0) + tokens - self.tokens
        if self._need:
            self._budget.need(self._need[0], -self._need[1])
            self._need = None
        self._budget.reported(self, tokens, branches)


def _rate(gain_per_token: float) -> int:
    """The rank of a gain, 0 the best; a gain that cannot be told from none is the last."""
    return _RATES - 1 if gain_per_token < 2.0**-63 else max(0, min(_RATES - 1, int(-8 * log2(gain_per_token))))
