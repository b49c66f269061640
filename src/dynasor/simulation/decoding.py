"""The sequences that decode. In every step each gains one token, so nobody looks at each: they are summed up.

A sequence is touched when it comes and when it goes, in O(log n); a stretch of steps between is O(1). That a sequence
needs a new block every so many steps is kept as the number of sequences for each remainder of the step's number.
Knows no memory and no time.
"""

from heapq import heappop, heappush

from dynasor.simulation.sequence import Sequence


class Decoding:
    """All sequences that decode.

    Attributes:
        steps: taken so far.
        count: of sequences.
        kv_tokens: that they hold together.
    """

    def __init__(self, block_tokens: int) -> None:
        self.steps = 0
        self.count = 0
        self.kv_tokens = 0
        self._block_tokens = block_tokens
        self._full = [0] * block_tokens  # sequences that need a block in a step, by its number's remainder
        self._ends: list[tuple[int, int, Sequence]] = []
        self._joined = 0
        self._reaching: list[tuple[int, int, int, Sequence]] = []  # a step, a counter, tokens, whose milestone it is

    def join(self, sequence: Sequence) -> None:
        """One decodes from the next step on, its prompt being computed."""
        sequence.began = self.steps
        sequence.ends = self.steps + sequence.left
        self.count += 1
        self.kv_tokens += sequence.prompt
        self._full[(self.steps - sequence.prompt) % self._block_tokens] += 1
        self._joined += 1
        heappush(self._ends, (sequence.ends, self._joined, sequence))
        if sequence.request.milestones:
            self._go_on(sequence)

    def leave(self, sequence: Sequence) -> int:
        """One decodes no longer; returns the tokens that it has generated here."""
        generated = self.steps - sequence.began
        self.count -= 1
        self.kv_tokens -= sequence.prompt + generated
        self._full[(sequence.began - sequence.prompt) % self._block_tokens] -= 1
        sequence.ends = -1
        return generated

    def step(self, steps: int) -> None:
        """So many steps are done."""
        self.steps += steps
        self.kv_tokens += steps * self.count

    def steps_to_end(self) -> int:
        """How many steps until one ends, or comes to a milestone; only where there is one."""
        ends, reaching = self._ends, self._reaching
        while ends[0][2].ends != ends[0][0]:
            heappop(ends)
        while reaching and not self._reaches(*reaching[0]):
            heappop(reaching)
        first = ends[0][0] if not reaching else min(ends[0][0], reaching[0][0])
        return first - self.steps

    def pop_ended(self) -> list[Sequence]:
        """Those that end with the last step, in the order in which they came; they are still to leave."""
        ended, ends = [], self._ends
        while ends and ends[0][0] <= self.steps:
            end, _, sequence = heappop(ends)
            if sequence.ends == end:
                ended.append(sequence)
        return ended

    def pop_reached(self) -> list[tuple[Sequence, int]]:
        """Those that have come to a milestone with the last step, and how many tokens that is."""
        reached = []
        while self._reaching and self._reaching[0][0] <= self.steps:
            entry = heappop(self._reaching)
            if self._reaches(*entry):
                sequence = entry[3]
                reached.append((sequence, entry[2]))
                self._go_on(sequence)
        return reached

    def _go_on(self, sequence: Sequence) -> None:
        """To its next milestone, if there is one."""
        before = sequence.request.output_tokens - sequence.left  # when it began to decode
        now = before + self.steps - sequence.began
        following = next((tokens for tokens in sequence.request.milestones if tokens > now), None)
        if following is not None:
            self._joined += 1
            heappush(self._reaching, (sequence.began + following - before, self._joined, following, sequence))

    def _reaches(self, step: int, number: int, tokens: int, sequence: Sequence) -> bool:
        """Whether a milestone is still to come: one that lost its memory comes to it at another step."""
        return sequence.ends >= 0 and sequence.ends - step == sequence.request.output_tokens - tokens

    def kv_reads(self, steps: int) -> int:
        """Tokens attended to in the next so many steps, each with its own."""
        return steps * self.kv_tokens + self.count * (steps * (steps + 1) // 2)

    @property
    def next_blocks(self) -> int:
        """New blocks that the next step needs."""
        return self._full[self.steps % self._block_tokens]

    def blocks(self, steps: int) -> int:
        """New blocks that the next so many steps need."""
        rounds, rest = divmod(steps, self._block_tokens)
        blocks = rounds * self.count
        for step in range(self.steps, self.steps + rest):
            blocks += self._full[step % self._block_tokens]
        return blocks

    def steps_within(self, blocks: int, most: int) -> int:
        """How many of the next `most` steps so many blocks are enough for."""
        if (most // self._block_tokens + 1) * self.count <= blocks:
            return most
        steps = blocks // self.count * self._block_tokens
        blocks %= self.count
        while steps < most:
            blocks -= self._full[(self.steps + steps) % self._block_tokens]
            if blocks < 0:
                break
            steps += 1
        return min(steps, most)
