"""Shows two runs while they run: a board on a terminal, a line now and then where there is none."""

from rich.console import Console
from rich.live import Live

from dynasor.cli.live_arms import Arm
from dynasor.cli.live_board import board, line
from dynasor.clock import Clock, WallClock
from dynasor.launch.launch import Launch

_BETWEEN_DRAWS_S = 0.125
_LINES_AN_ARM = 10


class Screen:
    """Watches an even run and another one. It draws on standard error, so that what is printed stays clean."""

    def __init__(self, title: str, *, quiet: bool, console: Console | None = None, clock: Clock | None = None) -> None:
        self._title = title
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock or WallClock()
        self._lines_wanted = not quiet and not self._console.is_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._board_wanted = not quiet and self._console.is_terminal
        self._arms: list[Arm] = []
        self._launches: list[Launch] = []
        self._told: dict[str, int] = {}
        self._draw_at = self._clock.now()

    def watch(self, name: str, launch: Launch) -> None:
        """Watch a run that is about to start; the even one first."""
        arm = Arm(name, launch.problem_count)
        self._arms.append(arm)
        self._launches.append(launch)
        launch.batch.witness = arm.take

        def observe() -> None:
            self._tell_resumptions()
            arm.look(launch.batch.running)
            self._turn(arm)

        launch.batch.observe = observe

    def begin(self) -> None:
        """Take the terminal."""
        if self._board_wanted:
            self._live.start()
            self._draw()

    def end(self) -> None:
        """Give it back; the board goes."""
        self._tell_resumptions()  # a run that was complete has not been observed at all
        self._live.stop()

    def say(self, text: str) -> None:
        """One line, on a terminal above the board."""
        self._console.print(f"dynasor: {text}", highlight=False, markup=False, soft_wrap=True)

    def _turn(self, arm: Arm) -> None:
        if self._lines_wanted:
            self._tell(arm)
        elif self._board_wanted and self._clock.now() >= self._draw_at:
            self._draw_at = self._clock.now() + _BETWEEN_DRAWS_S
            self._draw()

    def _tell_resumptions(self) -> None:
        """Once it is known: a run reads its journal when it starts."""
        resumed = [launch for launch in self._launches if launch.batch.resumed_count]
        for launch in resumed:
            self._launches.remove(launch)
            done = f"{launch.batch.resumed_count} of {launch.problem_count} problems are done"
            self.say(f"resuming {launch.directory}: {done}")

    def _draw(self) -> None:
        even, other = self._arms
        self._live.update(board(self._title, even, other, self._console.height - 1), refresh=True)

    def _tell(self, arm: Arm) -> None:
        """At most ten lines an arm."""
        tenth = _LINES_AN_ARM * arm.done // max(arm.problem_count, 1)
        if tenth > self._told.get(arm.name, 0):
            self._told[arm.name] = tenth
            self.say(line(arm))
