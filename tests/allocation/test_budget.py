from collections import deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.allocation.budget import BUDGET_SPENT, SETTLED, Share, TokenBudget
from dynasor.allocation.progress import Grant, Progress, stop
from dynasor.allocation.sums import PrefixSums
from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot, Votes
from dynasor.errors import UsageError


def after(leader: int, runner_up: int = 0, *, others: int = 0, cap: int = 20, tokens: int = 10) -> Progress:
    """Votes of branches that took ten tokens each."""
    cast = leader + runner_up + others
    groups = (leader > 0) + (runner_up > 0) + others
    return Progress(cast, cap, tokens=cast * tokens, votes=Votes(cast, leader, runner_up, groups))


def test_a_program_alone_spends_the_budget_and_no_more() -> None:
    share = TokenBudget(tokens=30, programs=1).join()
    assert share(after(0)) == Grant(1)
    assert share(after(1)) == Grant(1)
    assert share(after(1, 1)) == Grant(1)
    assert share(after(2, 1)) == stop(BUDGET_SPENT)


def test_a_vote_that_cannot_change_gives_the_rest_back() -> None:
    share = TokenBudget(tokens=10_000, programs=1).join()
    assert share(after(10)) == Grant(1), "ten more votes could make a tie"
    assert share(after(11)) == stop(SETTLED)


def test_a_spent_budget_starts_nobody() -> None:
    budget = TokenBudget(tokens=20, programs=2)
    first, second = budget.join(), budget.join()
    first(after(0))
    first.leave(25, 1)
    assert second(after(0)) == stop(BUDGET_SPENT)
    assert budget.spent == 25


def test_hard_problems_get_what_easy_ones_give_back() -> None:
    budget = TokenBudget(200, programs=2)
    hard, easy = budget.join(), budget.join()
    easy(after(0))
    easy.leave(30, 3)
    for votes in range(1, 8):
        assert hard(after(votes, votes)) == Grant(1), "far beyond its even share of 100"
    assert hard(after(8, 8)) == Grant(1), "190 spent, and 10 make 200"
    assert hard(after(9, 8)) == stop(BUDGET_SPENT)


def test_the_program_that_gains_more_goes_first() -> None:
    budget = TokenBudget(tokens=110, programs=2)
    clear, close = budget.join(), budget.join()
    assert clear(after(3)) == Grant(1), "30 spent, 55 kept for the other, and 10 make 95"
    assert close(after(3, 2)) == Grant(1), "80 spent, 10 in flight, and 10 make 100; nothing is kept for the other"
    assert clear(after(4)) == stop(BUDGET_SPENT), "90 spent, 10 in flight, 20 kept for the other, and 10 would be 130"
    clear.leave(40, 4)
    assert close(after(3, 3)) == Grant(1), "100 spent, and 10 make 110"


def test_the_clear_program_goes_on_where_there_is_enough_for_both() -> None:
    budget = TokenBudget(tokens=120, programs=2)
    close, clear = budget.join(), budget.join()
    assert close(after(3, 2)) == Grant(1)
    assert clear(after(3)) == Grant(1)


def test_what_has_not_started_keeps_its_even_share_until_it_is_known_what_such_programs_want() -> None:
    budget = TokenBudget(tokens=400, programs=4)
    hard = budget.join()
    assert hard(after(0)) == Grant(1)
    assert hard(after(4, 4)) == Grant(1)  # 80 spent, 300 kept for three
    assert hard(after(5, 5)) == stop(BUDGET_SPENT), "100 spent: its own share"


def test_once_programs_like_them_were_easy_the_unstarted_keep_less() -> None:
    budget = TokenBudget(tokens=400, programs=4)
    hard = budget.join()
    hard(after(0))
    for _ in range(2):
        easy = budget.join()
        assert easy(after(0)) == Grant(1)
        easy.leave(30, 3)
    assert hard(after(5, 5)) == Grant(1), "160 spent; one unstarted keeps between 30 and 100"
    assert hard(after(15, 15, cap=40)) == stop(BUDGET_SPENT), "360 spent"


def test_nothing_is_kept_for_a_program_that_ended_without_a_branch() -> None:
    budget = TokenBudget(tokens=100, programs=2)
    one, other = budget.join(), budget.join()
    other.leave(0, 0)
    assert one(after(4, 4)) == Grant(1), "80 spent"


def test_leaving_twice_is_leaving_once() -> None:
    budget = TokenBudget(tokens=100, programs=1)
    share = budget.join()
    share(after(0))
    share.leave(10, 1)
    share.leave(99, 9)
    assert budget.spent == 10


def test_branches_without_tokens_and_gains_too_small_to_tell_are_no_trouble() -> None:
    share = TokenBudget(tokens=5, programs=1).join()
    assert share(after(1, tokens=0)) == Grant(1)
    assert share(after(90, cap=10_000, tokens=0)) == Grant(1)


def run_batch(seed: int, tokens: int, programs: int, concurrent: int) -> tuple[list[int], int]:
    """Programs in turn, whose branches take 1 to 9 tokens: what each took, and the most that one branch did."""
    random = Random(seed)
    budget = TokenBudget(tokens, programs)
    waiting = deque(range(programs))
    running: deque[tuple[int, Share, Ballot]] = deque()
    spent = [0] * programs
    while waiting or running:
        while waiting and len(running) < concurrent:
            running.append((waiting.popleft(), budget.join(), Ballot(ByText())))
        program, share, ballot = running.popleft()
        knob = ballot.cast_count
        if knob < 12 and share(Progress(knob, 12, tokens=spent[program], votes=ballot.votes())):
            ballot.cast(knob, random.choice("aaaab" if program % 2 else "abcd"))
            spent[program] += random.randint(1, 9)
            running.append((program, share, ballot))
        else:
            share.leave(spent[program], knob)
    assert budget.spent == sum(spent)
    return spent, 9


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 999), st.integers(1, 1500), st.integers(1, 20), st.integers(1, 20))
def test_a_batch_takes_at_most_the_budget_and_a_branch_for_each_running_program(
    seed: int, tokens: int, programs: int, concurrent: int
) -> None:
    spent, longest = run_batch(seed, tokens, programs, concurrent)
    assert sum(spent) <= tokens + longest * min(programs, concurrent)
    assert run_batch(seed, tokens, programs, concurrent)[0] == spent, "the same asks, the same grants"


def test_a_batch_gives_the_divided_more_than_the_agreed() -> None:
    spent, _ = run_batch(seed=0, tokens=1200, programs=40, concurrent=8)
    assert sum(spent) > 0.95 * 1200, "no token is left over"
    assert sum(spent[::2]) > 1.5 * sum(spent[1::2])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-9, 9)), max_size=20), st.integers(0, 31))
def test_prefix_sums_are_sums(changes: list[tuple[int, int]], place: int) -> None:
    sums = PrefixSums(31)
    for at, amount in changes:
        sums.add(at, amount)
    assert sums.below(place) == sum(amount for at, amount in changes if at < place)


@pytest.mark.parametrize(("tokens", "programs", "name"), [(0, 1, "tokens is 0"), (1, 0, "programs is 0")])
def test_a_budget_of_nothing_is_refused(tokens: int, programs: int, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        TokenBudget(tokens, programs)


def test_what_was_drawn_before_a_kill_is_spent_and_granted_at_once() -> None:
    budget = TokenBudget(tokens=100, programs=3)
    began, fresh = budget.join(), budget.join()
    for index, tokens in ((0, 10), (1, 20), (3, 30)):
        began.recall(index, tokens)
    assert budget.spent == 60
    assert fresh(after(0)) == Grant(1)
    assert began(after(0)) == Grant(4), "with the one that failed between them"
    assert budget.spent == 60, "what is replayed is not paid for again"
    began.leave(75, 4)
    assert budget.spent == 75


def test_a_budget_that_was_spent_before_a_kill_is_spent() -> None:
    budget = TokenBudget(tokens=50, programs=2)
    began, fresh = budget.join(), budget.join()
    began.recall(0, 60)
    assert fresh(after(0)) == stop(BUDGET_SPENT)
    assert began(after(0)) == Grant(1), "it was paid for"
    assert began(after(1, tokens=60)) == stop(BUDGET_SPENT)
