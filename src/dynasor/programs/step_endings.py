"""Where a step of reasoning ends, and whether its path ends with it.

It reads texts and how completions finished. A server may not tell at which stop string a completion ended; until one
has told, a step that ended at its end and a model that did look the same, and only an empty step more ends the path.
"""

from dynasor.answers.extract import EXTRACTORS, Extractor
from dynasor.programs.tree import End, Node
from dynasor.request import Completion, Finish

CHARACTERS_PER_TOKEN = 4  # of a completion whose tokens the server did not tell

_LOOSE = frozenset(EXTRACTORS[name] for name in ("auto", "number", "choice", "last-line"))


class StepEndings:
    """Reads the nodes of one program's tree from its completions, in the order in which they land.

    Attributes:
        step_end: the stop string that ends a step and not its path.
        max_depth: the most steps of a path.
        max_tokens: the most tokens of a path.
    """

    def __init__(self, extract: Extractor, step_end: str, max_depth: int, max_tokens: int) -> None:
        self.step_end, self.max_depth, self.max_tokens = step_end, max_depth, max_tokens
        self._extract = extract
        self._told = False  # a completion has told its stop string, so all do

    def read(self, parent: Node, completion: Completion) -> Node:
        """The node of a step that has landed; it hangs nowhere yet, and has no reward."""
        tokens = completion.tokens
        if tokens is None:
            tokens = -(-len(completion.text) // CHARACTERS_PER_TOKEN)
        node = Node(completion.id.index, parent, completion.text, parent.depth + 1, parent.tokens + tokens)
        node.mean_logprob = completion.mean_logprob
        if completion.recorded is not None:
            node.end, node.answer = End.MODEL, completion.recorded.answer
            return node
        self._told |= completion.stopped_at is not None
        goes_on = self._goes_on(parent, completion)
        if goes_on:
            node.text += self.step_end
        path = node.path_text
        node.end = self._end(node, completion, path, goes_on=goes_on)
        node.answer = None if node.end is None else self._extract(path)
        return node

    def _goes_on(self, parent: Node, completion: Completion) -> bool:
        """Whether it stopped at the end of a step. A first step that is empty is a line left free, and no end.

        Two empty steps in a row are an end, whatever the server tells: a chat template that trims the path's last line
        break makes the model write it again, and again up to the greatest depth.
        """
        empty = not completion.text.strip()
        if completion.finish is not Finish.STOP or (empty and parent.parent is not None and not parent.text.strip()):
            return False
        if completion.stopped_at is not None or self._told:
            return completion.stopped_at == self.step_end
        return not empty or parent.parent is None

    def _end(self, node: Node, completion: Completion, path: str, *, goes_on: bool) -> End | None:
        if states_answer(self._extract, path):
            return End.ANSWER
        if not goes_on:
            return End.LENGTH if completion.finish is Finish.LENGTH else End.MODEL
        if node.tokens >= self.max_tokens:
            return End.LENGTH
        return End.DEPTH if node.depth >= self.max_depth else None


def states_answer(extract: Extractor, path: str) -> bool:
    """Whether a path says its answer, where an extractor that takes any last number also finds one in mid-course."""
    if extract not in _LOOSE:
        return extract(path) is not None
    if EXTRACTORS["boxed"](path) is not None or EXTRACTORS["phrase"](path) is not None:
        return True
    hashes = EXTRACTORS["hashes"](path)  # a heading may begin so, too; `auto` takes none for an answer
    return hashes is not None and EXTRACTORS["auto"](path) == hashes
