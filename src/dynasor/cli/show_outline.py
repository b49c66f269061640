"""The lines of a search's tree. An only child stands below its parent without being indented: depth is branching."""

from collections.abc import Callable, Iterator, Sequence

from dynasor.programs.search import Search
from dynasor.programs.tree import Node


def outline(root: Node, children: Callable[[Node], Sequence[Node]]) -> Iterator[tuple[str, Node]]:
    """Every node below a root with what stands before it: parents before their children, first children first."""
    waiting = _placed(children(root), "")[::-1]
    while waiting:
        before, under, node = waiting.pop()
        yield before, node
        waiting += _placed(children(node), under)[::-1]


def children_in(search: Search) -> Callable[[Node], Sequence[Node]]:
    """The children of each node; steps of an unfinished program that wait for others of their gang hang there too.

    What MCTS leaves out, since a sibling says the same, is not shown.
    """
    hung = {node.index for node in search.tree.walk()}
    loose: dict[int, list[Node]] = {}
    for node in search.tree.nodes.values():
        if node.index not in hung and node.parent is not None and not _is_copy(node, node.parent):
            loose.setdefault(node.parent.index, []).append(node)
    return lambda node: [*node.children, *loose.get(node.index, ())]


def _is_copy(node: Node, parent: Node) -> bool:
    return any(child.text.strip() == node.text.strip() for child in parent.children)


def _placed(nodes: Sequence[Node], under: str) -> list[tuple[str, str, Node]]:
    """Each with what stands before it, and before what is under it."""
    if len(nodes) == 1:
        return [(under, under, nodes[0])]
    last = len(nodes) - 1
    return [
        (under + ("└ " if place == last else "├ "), under + ("  " if place == last else "│ "), node)
        for place, node in enumerate(nodes)
    ]
