"""Settings of policies that cannot be are refused when the policy is made."""

from dynasor.errors import UsageError


def at_least(name: str, value: float, least: float) -> None:
    """Raise a UsageError where a setting is too small."""
    if not value >= least:
        raise UsageError(f"{name} is {value}; it must be at least {least}")


def within(name: str, value: float, least: float, most: float) -> None:
    """Raise a UsageError where a setting is out of its range."""
    if not least <= value <= most:
        raise UsageError(f"{name} is {value}; it must be between {least} and {most}")
