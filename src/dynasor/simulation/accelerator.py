"""One accelerator with continuous batching: what each step computes, and how long it takes (paper 5.3.2).

As in the engines that it stands for: sequences that decode go first, then the prompt that is under way, in pieces that
fit the step, then those that wait, in the order that is asked for. Where memory runs out, a victim gives up its blocks
and is computed again later. It waits for nobody: a host starts a stretch of steps, and finishes it at its end. Steps
in which only the numbers grow are one stretch, and end as if each had been taken alone.
"""

from dynasor.errors import UsageError
from dynasor.request import Finish, RequestId
from dynasor.simulation.cost import CostModel
from dynasor.simulation.decoding import Decoding
from dynasor.simulation.kernel import SECOND
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.order import FirstCome, Order, Victim, latest
from dynasor.simulation.requests import Served, SimulatedRequest
from dynasor.simulation.sequence import Sequence


class Accelerator:
    """Steps of one engine. Instants are in picoseconds, as the kernel's.

    A host calls `start`, and `finish` at the instant that it was told, and so on while there is something to do.
    What is submitted or cut in the midst of a stretch lets it end after the step that runs then: `end` tells when.

    Attributes:
        cache: its memory.
        end: when the stretch that runs ends; None while none does.
        reached: the requests that came to a milestone with the last stretch, and to how many tokens.
        prompt_tokens, output_tokens: computed so far, those that were computed again counted again.
        preemptions: so far.
        busy: for how long steps have run.
    """

    def __init__(
        self, cost: CostModel, cache: KvCache, limits: Limits, order: Order | None = None, victim: Victim = latest
    ) -> None:
        self.cache = cache
        self.end: int | None = None
        self.reached: list[tuple[RequestId, int]] = []
        self.prompt_tokens = self.output_tokens = self.preemptions = self.busy = 0
        self._cost, self._limits, self._victim = cost, limits, victim
        self._order: Order = order or FirstCome()
        self._decoding = Decoding(cache.block_tokens)
        self._waiting: dict[RequestId, Sequence] = {}
        self._running: dict[RequestId, Sequence] = {}  # in the order of their admission
        self._partial: Sequence | None = None  # the one whose prompt is under way
        self._whole: list[Sequence] = []  # those whose prompt is computed with this stretch
        self._cut: list[Sequence] = []
        self._blocked = False  # the next in order does not fit, and nothing has changed since
        self._at = self._steps = self._step_ps = self._reserved = 0  # the stretch that runs
        self._left = self._pairs = 0  # tokens that the step has room for, pairs that it computes

    @property
    def steps(self) -> int:
        """Steps done."""
        return self._decoding.steps

    @property
    def running_count(self) -> int:
        """Requests that hold memory."""
        return len(self._running)

    @property
    def waiting_count(self) -> int:
        """Requests that hold none."""
        return len(self._waiting)

    def has(self, id: RequestId) -> bool:
        """Whether a request is here, waiting or running."""
        return id in self._waiting or id in self._running

    def submit(self, request: SimulatedRequest, now: int) -> None:
        """A request comes.

        Raises:
            UsageError: where it would not fit if it were alone, or one of its id is here.
        """
        most, room = request.prompt_tokens + request.output_tokens - 1, self.cache.capacity * self.cache.block_tokens
        if most > room:
            raise UsageError(
                f"request {request.id} comes to hold {most} tokens, and the cache holds {room}; enlarge it"
            )
        if request.id in self._waiting or request.id in self._running:
            raise UsageError(f"request {request.id} is here already; ids must differ")
        self._waiting[request.id] = Sequence(request, now, self.cache.block_tokens)
        self._order.add(request, now / SECOND)
        self._blocked = False
        if len(self._running) < self._limits.sequences:
            self._shorten(now)

    def cancel(self, id: RequestId, now: int) -> Served | None:
        """Cut a request, and return what became of it if it ends at once.

        One that runs ends with the present step, and so with `finish`; one that has ended, or is not known, is left.
        """
        sequence = self._waiting.pop(id, None)
        if sequence is not None:
            self._order.remove(id, now / SECOND)
            self._blocked = False
            self._shorten(now)
            return sequence.served(Finish.CANCELLED, now)
        sequence = self._running.get(id)
        if sequence is None:
            return None
        if self.end is None:
            return self._end(sequence, Finish.CANCELLED, now)
        self._cut.append(sequence)
        self._shorten(now)
        return None

    def start(self, now: int) -> int | None:
        """Decide what the next steps compute. Returns when they end; None where there is nothing to do."""
        decoding, limits = self._decoding, self._limits
        self._at = now
        settled = self._make_room(now)
        self._reserved = decoding.next_blocks
        self.cache.take(self._reserved)
        room = self._left = limits.step_tokens - decoding.count
        self._pairs = 0
        if self._partial is not None:
            self._compute(self._partial)
        if settled:
            self._admit(now)
        prompt_tokens = room - self._left
        if not prompt_tokens and not decoding.count:
            return None
        self.prompt_tokens += prompt_tokens
        self._step_ps = self._cost.step_ps(decoding.count, prompt_tokens, self._pairs)
        self._steps = 1
        if settled and not prompt_tokens and limits.stretch > 1:
            most = min(decoding.steps_to_end(), limits.stretch)
            self._steps = decoding.steps_within(self.cache.available + self._reserved, most)
        self.end = now + self._duration(self._steps)
        return self.end

    def finish(self) -> list[Served]:
        """The stretch has ended: what ended with it."""
        if self.end is None:
            raise AssertionError("there is no stretch to finish")
        now, self.end, decoding = self.end, None, self._decoding
        self.busy += now - self._at
        if self._steps > 1:
            self.cache.take(decoding.blocks(self._steps) - self._reserved)
        self.output_tokens += self._steps * decoding.count + len(self._whole)
        decoding.step(self._steps)
        ended = [self._end(sequence, Finish.STOP, now) for sequence in decoding.pop_ended()]
        if self._whole:
            ended += self._begin(now)
        if self._cut:
            still = [sequence for sequence in self._cut if self._running.get(sequence.request.id) is sequence]
            ended += [self._end(sequence, Finish.CANCELLED, now) for sequence in dict.fromkeys(still)]
            self._cut.clear()
        self.reached = [(sequence.request.id, tokens) for sequence, tokens in decoding.pop_reached()]
        return ended

    def _duration(self, steps: int) -> int:
        return steps * self._step_ps + self._cost.kv_token_ps * self._decoding.kv_reads(steps)

    def _shorten(self, now: int) -> None:
        """Let the stretch end with the step that runs at an instant."""
        if self.end is None or self._steps == 1:
            return
        elapsed, low, high = now - self._at, 1, self._steps
        while low < high:
            middle = (low + high) // 2
            if self._duration(middle) < elapsed:
                low = middle + 1
            else:
                high = middle
        self._steps = low
        self.end = self._at + self._duration(low)

    def _make_room(self, now: int) -> bool:
        """Preempt until the next step of those that run fits; whether it did without that."""
        settled = True
        while self._decoding.next_blocks + self._partial_needs() > self.cache.available:
            running = [sequence.request for sequence in self._running.values()]
            sequence = self._running[self._victim(running, now / SECOND).id]
            self._leave(sequence)
            sequence.preemptions += 1
            self.preemptions += 1
            self._waiting[sequence.request.id] = sequence
            self._order.put_back(sequence.request.id, now / SECOND)
            settled = False
        return settled

    def _partial_needs(self) -> int:
        sequence = self._partial
        if sequence is None:
            return 0
        room = self._limits.step_tokens - self._decoding.count
        return sum(sequence.needs(self.cache, min(sequence.prompt, sequence.computed + room)))

    def _admit(self, now: int) -> None:
        """Let those that wait run while there is room, and compute what of their prompts the step has room for."""
        now_s, most = now / SECOND, self._limits.sequences
        while self._left and self._waiting and not self._blocked and len(self._running) < most:
            id = self._order.next(now_s)
            sequence = self._waiting[id] if id is not None else None
            if id is None or sequence is None or not self._fits(sequence):
                self._blocked = True
                return
            self._order.start(id, now_s)
            del self._waiting[id]
            self._running[id] = sequence
            if sequence.admitted < 0:
                sequence.admitted, sequence.cached = now, sequence.computed
                self.cache.asked_tokens += sequence.prompt
                self.cache.hit_tokens += sequence.computed
            if sequence.prefix is not None:
                self.cache.hold(sequence.prefix, sequence.sharable)
            self._compute(sequence)

    def _fits(self, sequence: Sequence) -> bool:
        """Whether there is memory for what the step has room for."""
        cache = self.cache
        sequence.computed = sequence.hit_tokens(cache)
        needs = sequence.needs(cache, min(sequence.prompt, sequence.computed + self._left))
        return sum(needs) <= cache.available_beside(sequence.prefix, sequence.sharable)

    def _compute(self, sequence: Sequence) -> None:
        """Compute of a prompt what the step has room for."""
        before = sequence.computed
        until = min(sequence.prompt, before + self._left)
        sequence.compute(self.cache, until)
        self._left -= until - before
        self._pairs += (until - before) * before
        if until == sequence.prompt:
            self._whole.append(sequence)
            self._partial = None
        else:
            self._partial = sequence

    def _begin(self, now: int) -> list[Served]:
        """Those whose prompt is computed have a token, and decode if more are to come; returns those that do not."""
        ended = []
        for sequence in self._whole:
            if sequence.first_token < 0:
                sequence.first_token = now
            sequence.left -= 1
            if sequence.left:
                self._decoding.join(sequence)
            else:
                ended.append(self._end(sequence, Finish.STOP, now))
        self._whole.clear()
        return ended

    def _end(self, sequence: Sequence, finish: Finish, now: int) -> Served:
        self._leave(sequence)
        served = sequence.served(finish, now)
        if finish is Finish.STOP:
            self._order.finish(served.id, served.tokens, served.ended_at)
        else:
            self._order.remove(served.id, served.ended_at)
        return served

    def _leave(self, sequence: Sequence) -> None:
        """It gives up its memory; should it come back, what it has generated is part of its prompt."""
        generated = 0
        decoded = sequence.ends >= 0
        if decoded:
            generated = self._decoding.leave(sequence)
        del self._running[sequence.request.id]
        sequence.free(self.cache, generated)
        if decoded:
            sequence.prompt += generated + 1
            sequence.left -= generated
        if sequence is self._partial:
            self._partial = None
        self._blocked = False
