"""What a program's requests carry, and what its completions say, apart from their prompts and texts."""

from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, ProgramId, RequestId, ToolCall


def seeds(id: str, **fields: object) -> list[int | None]:
    program = SelfConsistency(Problem(id, ""), Setup(cap=2, seeded_requests=True, **fields))  # type: ignore[arg-type]
    return [program.request().seed for _ in range(2)]


def test_seeds_derive_from_the_program_s_id_or_from_what_stands_for_it() -> None:
    assert seeds("a") != seeds("b")
    assert seeds("a", stream="s") == seeds("b", stream="s") != seeds("a", stream="t")
    assert len(set(seeds("a", stream="s"))) == 2


def test_random_choices_do_too() -> None:
    draws = [SelfConsistency(Problem(id, ""), Setup(cap=2, stream="s")).random.random() for id in "ab"]
    assert draws[0] == draws[1]
    assert SelfConsistency(Problem("a", ""), Setup(cap=2)).random.random() != draws[0]


def test_fields_of_the_setup_go_with_every_request() -> None:
    program = SelfConsistency(Problem("a", ""), Setup(cap=2, extra_body={"tools": []}))
    assert [program.request().extra_body for _ in range(2)] == [{"tools": []}] * 2
    assert SelfConsistency(Problem("a", ""), Setup(cap=2)).request().extra_body is None


def test_calls_of_tools_are_the_answer() -> None:
    program = SelfConsistency(Problem("a", ""), Setup(cap=2))
    id = RequestId(ProgramId("a"), 0)
    said = Completion(id=id, text="the answer is 4", calls=(ToolCall("add", '{"b":2,"a":2}'),))
    assert program.answer_of(said) == 'tool_calls:[["add",{"a":2,"b":2}]]'
