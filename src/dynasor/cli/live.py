"""What one sees while a batch runs: how far it is, how right, and what has been saved so far."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dynasor.cli.tables import alarmed
from dynasor.launch.launch import Launch
from dynasor.runtime.batch import Batch


class Display:
    """A progress bar on standard error, where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._launch: Launch | None = None
        self._resumption_told = False
        self._alarm_told = False

    def begin(self, launch: Launch) -> None:
        """Show a run that is about to start."""
        self._launch = launch
        self._progress.update(self._task, total=launch.problem_count)
        self._progress.start()
        launch.batch.observe = lambda: self._observe(launch)

    def say(self, text: str) -> None:
        """One line, on a terminal above the bar."""
        self._progress.console.print(f"dynasor: {text}", highlight=False, markup=False, soft_wrap=True)

    def end(self) -> None:
        """Take the bar away."""
        if self._launch is not None:
            self._tell_resumption(self._launch)  # a run that was complete has not been observed at all
            self._tell_alarm(self._launch)
        self._progress.stop()

    def _observe(self, launch: Launch) -> None:
        self._tell_resumption(launch)
        self._tell_alarm(launch)
        if not self._progress.disable:
            self._show(launch.batch)

    def _tell_resumption(self, launch: Launch) -> None:
        """Once it is known: a run reads its journal when it starts."""
        done = launch.batch.resumed_count
        if done and not self._resumption_told:
            self._resumption_told = True
            self.say(f"resuming {launch.directory}: {done} of {launch.problem_count} problems are done")

    def _tell_alarm(self, launch: Launch) -> None:
        alarm = launch.batch.tally.alarm
        if alarm is not None and not self._alarm_told:
            self._alarm_told = True
            self.say(f"alarm: {alarmed(alarm)}; problems that had not started get even allocation")

    def _show(self, batch: Batch) -> None:
        tally = batch.tally
        words = [f"{batch.request_count} in flight"]
        if tally.finished:
            words.insert(0, f"saved {tally.saving.estimate().value:.1%}")
        if tally.judged.count:
            words.insert(0, f"accuracy {tally.judged.mean:.1%}")
        self._progress.update(self._task, completed=tally.finished, description=", ".join(words))
