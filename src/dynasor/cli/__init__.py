"""The command line. Each command is a file of its own, loaded when it is called: `--help` stays quick."""

import sys
from importlib import import_module
from io import TextIOWrapper

import click

from dynasor import __version__
from dynasor.errors import DynasorError

COMMANDS = {
    "demo": ("dynasor.cli.demo:demo", "Even allocation against certaindex, live, side by side."),
    "ask": ("dynasor.cli.ask:ask", "Answer one question, and show how the vote goes."),
    "run": (
        "dynasor.cli.run:run",
        "Answer problems, giving each as much compute as its certainty asks for.",
    ),
    "calibrate": ("dynasor.cli.calibrate:calibrate", "Choose a policy that keeps a promise, on labelled answers."),
    "show": ("dynasor.cli.show:show", "Look into a run: its problems, or how one of them was answered."),
    "report": ("dynasor.cli.report:report", "Compare runs: table, tokens-to-accuracy plot, page."),
    "simulate": ("dynasor.cli.simulate:simulate", "Serve recorded programs on modelled accelerators, in virtual time."),
    "serve": ("dynasor.cli.serve:serve", "Serve OpenAI's API: keys, fair shares and programs before model servers."),
    "bench": ("dynasor.cli.bench:bench", "Regenerate the committed results."),
}


class LazyGroup(click.Group):
    """Loads a command when it is called, and says what went wrong in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error of ours is one line and an exit code."""
        try:
            return super().invoke(ctx)
        except DynasorError as fault:
            click.echo(f"dynasor: {fault}", err=True)
            sys.exit(fault.exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dynasor")
def main() -> None:
    """Schedule inference-time compute for LLM reasoning programs by how certain their answers are.

    \b
    See it at work, live, with the small model that is shipped:
      dynasor demo
      dynasor ask "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"

    \b
    Try it on a recording of a large model, without any server:
      dynasor run --trace svamp --policy even --cap 30 --out runs/even
      dynasor run --trace svamp --cap 30 --out runs/certain
      dynasor report runs/even runs/certain
    """  # noqa: D301
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a sign that the terminal cannot show is no reason to fail
