"""The value of --concurrency: a number, or auto."""

import click

from dynasor.launch.options import AUTO


def concurrency(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    """Read it; whether the number makes sense is not judged here.

    Raises:
        click.BadParameter: where it is neither.
    """
    if value == AUTO:
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(f"'{value}' is neither a whole number nor {AUTO}", ctx, param) from None
