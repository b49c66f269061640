from hypothesis import given
from hypothesis import strategies as st

from dynasor.sglang_plugin.rids import branches, prefix, program_of, rid

NAMES = st.text(min_size=1, max_size=12)
PAIRS = st.tuples(NAMES, NAMES)


def test_an_id_names_its_program() -> None:
    assert rid("problem 7/2", "0") == "problem%207%2F2/0."
    assert program_of("problem%207%2F2/0.") == "problem 7/2"


def test_other_ids_name_none() -> None:
    assert [program_of(id) for id in ("cmpl-7", "a/b", "a/b/c.", "/b.", "a/.", "HEALTH_CHECK_1.5")] == [None] * 6


@given(NAMES, NAMES)
def test_every_program_is_read_back(program: str, branch: str) -> None:
    assert program_of(rid(program, branch)) == program


@given(st.lists(PAIRS, unique=True, max_size=8))
def test_no_id_is_the_beginning_of_another(pairs: list[tuple[str, str]]) -> None:
    made = [rid(*pair) for pair in pairs]
    assert len(set(made)) == len(made)
    assert not any(one != other and one.startswith(other) for one in made for other in made)


@given(st.lists(PAIRS, unique=True, min_size=1, max_size=8))
def test_a_prefix_cuts_the_branches_of_its_program_and_no_others(pairs: list[tuple[str, str]]) -> None:
    program = pairs[0][0]
    made = {rid(*pair): pair[0] for pair in pairs}
    assert branches(made, prefix(program)) == [one for one, whose in made.items() if whose == program]


def test_an_id_that_is_no_prefix_cuts_nothing_here() -> None:
    assert branches(["a/1.", "a/10."], "a/1.") == []
    assert branches(["a/1."], "") == []
