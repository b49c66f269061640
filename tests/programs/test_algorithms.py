from math import log

import pytest

from dynasor.certaindex.signal import by_logprob
from dynasor.errors import ProgramError, UsageError
from dynasor.programs.best_of_n import SCORERS, BestOfN
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, Finish, Message, ProgramId, RequestId, Sampling
from support.programs import PROBLEM, landing, play, session_of


def test_self_consistency_votes() -> None:
    answers = ["3", "2", None, "2"]
    assert play(session_of(cap=4), lambda index: landing(index, answers[index])).answer == "2"


def test_self_consistency_reads_answers_from_text() -> None:
    texts = ["I think \\boxed{3}", "so \\boxed{2}", "no idea at all", "hence \\boxed{2.0}"]

    def answers(index: int) -> Completion:
        return Completion(id=RequestId(ProgramId("p"), index), text=texts[index], tokens=5)

    from dynasor.answers.grouping import ByNormalForm

    outcome = play(session_of(cap=4, grouping=ByNormalForm), answers)
    assert outcome.answer == "2", "2 and 2.0 are one answer, spelt as its first branch did"


def test_best_of_n_answers_with_the_best_scored_branch_that_has_an_answer() -> None:
    answers, rewards = ["3", "2", None, "2"], [0.1, 0.7, 0.9, 0.2]
    session = session_of(cap=4, program=BestOfN)
    assert play(session, lambda index: landing(index, answers[index], reward=rewards[index])).answer == "2"


def test_best_of_n_gives_equals_to_the_lowest_numbered_branch() -> None:
    session = session_of(cap=3, program=BestOfN)
    answers = ["a", "b", "c"]
    outcome = play(session, lambda index: landing(index, answers[index], reward=1.0), order=[2, 1, 0])
    assert outcome.answer == "a"


def test_best_of_n_without_any_answer_has_none() -> None:
    assert play(session_of(cap=2, program=BestOfN), lambda index: landing(index, None, reward=1.0)).answer is None


@pytest.mark.parametrize(
    ("scorer", "better", "worse"),
    [
        ("reward", landing(0, "a", reward=0.9), landing(1, "b", reward=0.1)),
        ("logprob", landing(0, "a", mean_logprob=-0.1), landing(1, "b", mean_logprob=-0.9)),
        ("brevity", landing(0, "a", tokens=5), landing(1, "b", tokens=50)),
    ],
)
def test_scorers_rank(scorer: str, better: Completion, worse: Completion) -> None:
    assert SCORERS[scorer](better) > SCORERS[scorer](worse)


@pytest.mark.parametrize("scorer", ["reward", "logprob"])
def test_a_scorer_says_what_it_misses(scorer: str) -> None:
    with pytest.raises(ProgramError, match="these completions carry none"):
        SCORERS[scorer](landing(0, "a"))


def test_requests_are_numbered_and_carry_seeds_only_when_asked() -> None:
    plain = SelfConsistency(PROBLEM, Setup(cap=3))
    assert [plain.request().id.index for _ in range(3)] == [0, 1, 2]
    assert plain.request().seed is None
    assert plain.request("another prompt", Sampling(stop=("\n",))).prompt == "another prompt"
    seeded = [SelfConsistency(PROBLEM, Setup(cap=3, seeded_requests=True, seed=seed)) for seed in (1, 1, 2)]
    first, again, other = ([program.request().seed for _ in range(4)] for program in seeded)
    assert first == again != other
    assert len(set(first)) == 4
    assert all(seed is not None and 0 <= seed < 2**31 for seed in first)


def test_a_program_has_a_random_stream_of_its_own() -> None:
    def draw(seed: int) -> tuple[float, float]:
        program = SelfConsistency(PROBLEM, Setup(cap=1, seed=seed))
        return program.random.random(), program.random.random()

    assert draw(0) == draw(0) != draw(1)
    assert len(set(draw(0))) == 2


def test_prompts_are_conversations_or_text() -> None:
    assert PromptTemplate("Q: {question}", system="Be brief.").fill("x?") == (
        Message("system", "Be brief."),
        Message("user", "Q: x?"),
    )
    assert PromptTemplate("Q: {question} \\boxed{{}}", chat=False).fill("{x}") == "Q: {x} \\boxed{}"
    assert PromptTemplate("Q: {question}", "Be brief.", chat=False).fill("x?") == "Be brief.\n\nQ: x?"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("no field", "has no {question}"),
        ("{q}", "a field that is not"),
        ("{", "double literal"),
        ("{question.text}", r"not \{question\} \(\{question.text\}\)"),
        ("{question[text]}", "a field that is not"),
        ("{question[0]}", "a field that is not"),
        ("{question!r}", "a field that is not"),
        ("{}", "a field that is not"),
        ("{question:>9}", "a field that is not"),
        ("{question} and {answer}", r"\{answer\}"),
        ("{{question}}", "has no"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_at_once(template: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PromptTemplate(template)


def test_failed_completions_have_no_answer() -> None:
    program = SelfConsistency(PROBLEM, Setup(cap=1))
    failed = Completion(id=RequestId(program.id, 0), text="\\boxed{7}", finish=Finish.FAILED)
    assert program.answer_of(failed) is None


def test_certaindex_may_be_read_from_log_probabilities() -> None:
    session = session_of(cap=2, signal=by_logprob)
    outcome = play(session, lambda index: landing(index, "2", mean_logprob=log(0.5)))
    assert outcome.certaindex == pytest.approx(0.5)
