import pytest

from dynasor.answers.extract import EXTRACTORS
from dynasor.programs.step_endings import StepEndings, states_answer
from dynasor.programs.tree import End, Node, Tree, families
from dynasor.request import Completion, Finish, ProgramId, Recorded, RequestId


def step(text: str, stopped_at: str | None = None, *, tokens: int | None = 5, **more: object) -> Completion:
    id = RequestId(ProgramId("p"), 7)
    return Completion(id=id, text=text, stopped_at=stopped_at, tokens=tokens, **more)  # type: ignore[arg-type]


def endings(extractor: str = "auto", step_end: str = "\n", max_depth: int = 25, max_tokens: int = 100) -> StepEndings:
    return StepEndings(EXTRACTORS[extractor], step_end, max_depth, max_tokens)


def told() -> StepEndings:
    """Endings at a server that has told a stop string before."""
    made = endings()
    made.read(Node(-1), step("first", "\n"))
    return made


def chain(*texts: str) -> Node:
    node = Node(-1)
    for index, text in enumerate(texts):
        node = Node(index, node, text, node.depth + 1, node.tokens + 5)
    return node


def test_a_path_is_the_steps_from_the_root() -> None:
    leaf = chain("a\n", "b\n", "c")
    assert leaf.path_text == "a\nb\nc"
    assert [node.text for node in leaf.path] == ["a\n", "b\n", "c"]
    assert Node(-1).path_text == ""


def test_a_tree_is_walked_parents_first_and_first_children_first() -> None:
    tree = Tree()
    left, right = Node(0, tree.root), Node(1, tree.root)
    below = [Node(2, left), Node(3, left), Node(4, right)]
    for parent, children in families([left, right, *below]):
        parent.children += children
    assert [node.index for node in tree.walk()] == [0, 2, 3, 1, 4]
    assert left.children == below[:2]


def test_a_step_that_stopped_at_its_end_goes_on_and_gets_its_stop_string_back() -> None:
    node = endings().read(chain("a\n"), step("5 + 5 = 10", "\n", mean_logprob=-0.5))
    assert (node.end, node.answer, node.text) == (None, None, "5 + 5 = 10\n"), "a last number is no answer yet"
    assert (node.index, node.depth, node.tokens, node.mean_logprob) == (7, 2, 10, -0.5)


def test_where_stop_strings_are_told_none_means_that_the_model_ended() -> None:
    node = told().read(chain("a\n"), step("so it is 10"))
    assert (node.end, node.answer, node.text) == (End.MODEL, "10", "so it is 10")


def test_where_stop_strings_are_told_an_empty_line_is_a_line() -> None:
    assert told().read(chain("a\n"), step("", "\n")).end is None
    assert told().read(chain("a\n"), step("")).end is End.MODEL


def test_two_empty_steps_in_a_row_end_the_path_for_the_server_trims_line_breaks() -> None:
    first = told().read(Node(-1), step("", "\n"))
    assert (first.end, first.text) == (None, "\n"), "a line left free"
    node = told().read(chain("a\n", "\n"), step(" ", "\n"))
    assert (node.end, node.text) == (End.MODEL, " ")
    assert told().read(chain("\n"), step("", "\n")).end is End.MODEL


def test_where_none_is_ever_told_one_empty_step_more_ends_the_path() -> None:
    silent = endings()
    first = silent.read(Node(-1), step(""))
    assert (first.end, first.text) == (None, "\n"), "an answer may begin with a line left free"
    last = silent.read(first, step("so it is 10"))
    assert (last.end, last.text) == (None, "so it is 10\n")
    end = silent.read(last, step(" "))
    assert (end.end, end.answer) == (End.MODEL, "10")


def test_an_answer_ends_a_path_at_once_whether_stop_strings_are_told_or_not() -> None:
    for stopped_at in ("\n", None):
        node = endings().read(chain("a\n"), step("The answer is 12.", stopped_at))
        assert (node.end, node.answer) == (End.ANSWER, "12")


def test_an_answer_may_take_more_than_a_line() -> None:
    node = endings().read(chain("so \\boxed{\n"), step("12}", "\n"))
    assert (node.end, node.answer) == (End.ANSWER, "12")


def test_a_stop_string_of_the_run_ends_the_path_and_is_not_put_back() -> None:
    node = endings().read(chain("a\n"), step("so it is 10", "Question:"))
    assert (node.end, node.text) == (End.MODEL, "so it is 10")


@pytest.mark.parametrize(
    ("parent", "completion", "end"),
    [
        (chain("a\n"), step("and so on and", finish=Finish.LENGTH), End.LENGTH),  # the step is as long as it may be
        (chain(*["a\n"] * 19), step("b", "\n"), End.LENGTH),  # 20 steps of 5 tokens
        (chain(*["a\n"] * 18), step("b", "\n"), None),
        (chain("a\n"), step("b" * 380, "\n", tokens=None), End.LENGTH),  # unknown tokens are estimated
        (chain("a\n"), step("b" * 376, "\n", tokens=None), None),
    ],
)
def test_a_path_ends_at_its_length(parent: Node, completion: Completion, end: End | None) -> None:
    assert endings().read(parent, completion).end is end


def test_a_path_ends_at_its_depth() -> None:
    ends = [endings(max_depth=3).read(chain(*above), step("b", "\n")).end for above in (["a\n"], ["a\n", "a\n"])]
    assert ends == [None, End.DEPTH]


def test_a_recorded_completion_is_a_whole_path() -> None:
    node = endings().read(Node(-1), step("", recorded=Recorded("42")))
    assert (node.end, node.answer) == (End.MODEL, "42")


@pytest.mark.parametrize(
    ("extractor", "path", "states"),
    [
        ("auto", "We have 5 apples.\n", False),
        ("auto", "so \\boxed{5}\n", True),
        ("auto", "#### 5\n", True),
        ("auto", "#### Step 1: count them\n", False),
        ("auto", "Hence the answer is 5.\n", True),
        ("number", "5 + 5\n", False),
        ("last-line", "so\n", False),
        ("choice", "Take option (A) first.\n", False),
        ("choice", "The answer is (A).\n", True),
        ("boxed", "The answer is 5.\n", False),
        ("hashes", "#### five\n", True),
        ("code", "```python\nanswer = 5\n", False),
        ("code", "```python\nanswer = 5\n```\n", True),
    ],
)
def test_a_path_states_its_answer_or_is_in_mid_course(extractor: str, path: str, states: bool) -> None:
    assert states_answer(EXTRACTORS[extractor], path) is states
