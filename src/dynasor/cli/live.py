"""What one sees while a batch runs: how far it is, how right, and what has been saved so far."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dynasor.launch.launch import Launch
from dynasor.runtime.batch import Batch


class Display:
    """A progress bar on standard error, where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None)

    def begin(self, launch: Launch) -> None:
        """Show a run that is about to start."""
        batch = launch.batch
        if batch.resumed_count:
            self.say(f"resuming {launch.directory}: {batch.resumed_count} of {launch.problem_count} problems are done")
        self._progress.update(self._task, total=launch.problem_count)
        self._progress.start()
        if not self._progress.disable:
            batch.observe = lambda: self._show(batch)

    def say(self, text: str) -> None:
        """One line, on a terminal above the bar."""
        self._progress.console.print(f"dynasor: {text}", highlight=False)

    def end(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _show(self, batch: Batch) -> None:
        tally = batch.tally
        words = [f"{batch.request_count} in flight"]
        if tally.finished:
            words.insert(0, f"saved {tally.saving.estimate().value:.1%}")
        if tally.judged.count:
            words.insert(0, f"accuracy {tally.judged.mean:.1%}")
        self._progress.update(self._task, completed=tally.finished, description=", ".join(words))
