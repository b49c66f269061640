"""Numbers in the forms of prometheus-client; all names begin as this package's do."""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from dynasor.gateway.counting import Distribution

Rows = Iterable[tuple[Sequence[str], float]]
"""Values of the labels, and a number."""
_PREFIX = "dynasor:"


def counter(name: str, told: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A number that only grows; its name gets `_total` behind it."""
    family = CounterMetricFamily(_PREFIX + name, told, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def gauge(name: str, told: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A number that comes and goes."""
    family = GaugeMetricFamily(_PREFIX + name, told, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def histogram(
    name: str, told: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], Distribution]]
) -> Metric:
    """How values are distributed."""
    family = HistogramMetricFamily(_PREFIX + name, told, labels=labels)
    for values, distribution in rows:
        family.add_metric(values, distribution.buckets(), distribution.sum)
    return family


def by_word(numbers: Mapping[str, float]) -> Rows:
    """Numbers by one label."""
    return [([word], number) for word, number in numbers.items()]


def met_or_missed(deadlines: Mapping[bool, int]) -> Rows:
    """Deadlines by whether they were met."""
    return [(["met" if met else "missed"], count) for met, count in deadlines.items()]


def plain(number: float) -> Rows:
    """One number, without labels."""
    return [((), number)]
