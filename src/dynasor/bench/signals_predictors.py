"""Predictors of the needed compute: linear combinations of signals, and models of the prompt's embedding (paper 6.5).

Each is fitted on one half of the questions and read on the other, both ways; within the fitted half too, a question is
read by a model that was fitted without it, so that a threshold can be chosen there. What is predicted is the fewest
branches from which on the vote is right (its logarithm), or whether they are more than those of the detection step,
learned from programs that are right at the cap. scikit-learn comes with the extra `signals`.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dynasor.bench.signals_correlation import EXTRA, FEWEST_UNITS, PURPOSE
from dynasor.bench.signals_embedding import Vectors
from dynasor.bench.signals_estimators import Model, linear, logistic, mlp, ridge
from dynasor.bench.signals_programs import ENTROPY, Workload
from dynasor.datasets.extras import optional

_FOLDS = 3
_FEWEST_OF_A_CLASS = 5


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a predictor is made.

    Attributes:
        signals: that it reads.
        vectors: the embeddings that it reads besides; None for none.
        make: an estimator with a target, both fresh.
    """

    name: str
    signals: tuple[str, ...]
    vectors: Vectors | None
    make: Callable[[], Model]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The readings of a predictor, each by a model that never saw its question.

    Attributes:
        judged: by the model that was fitted on the other half.
        calibrated: by models that were fitted on the rest of its own half.
    """

    judged: list[list[float]]
    calibrated: list[list[float]]


def recipes(workload: Workload, embeddings: Mapping[str, Vectors]) -> list[Recipe]:
    """Pairs with entropy, all signals together, and each embedding by three models and together with all signals."""
    others = [name for name in workload.signals if name != ENTROPY]
    found = [Recipe(f"entropy + {name}", (ENTROPY, name), None, linear) for name in others]
    if len(others) > 1:
        found.append(Recipe("all signals", workload.signals, None, linear))
    found.append(Recipe("all signals, logistic", workload.signals, None, lambda: logistic(workload.detect_at)))
    for name, vectors in embeddings.items():
        found.append(Recipe(f"prompt ({name}), ridge", (), vectors, ridge))
        found.append(Recipe(f"prompt ({name}), logistic", (), vectors, lambda: logistic(workload.detect_at)))
        found.append(Recipe(f"prompt ({name}), MLP", (), vectors, mlp))
        found.append(Recipe(f"all signals + prompt ({name}), ridge", workload.signals, vectors, ridge))
    return found


def fit(workload: Workload, recipe: Recipe) -> Fitted | None:
    """Fit it on each half; None where a half has too few solved questions, or they are all alike.

    Raises:
        MissingExtra: without scikit-learn.
    """
    table = _Table(workload, recipe)
    first, second = table.fitted(0), table.fitted(1)
    if first is None or second is None:
        return None
    return Fitted(
        judged=table.by_case({0: second.other, 1: first.other}),
        calibrated=table.by_case({0: first.own, 1: second.own}),
    )


class _Half(NamedTuple):
    """What a predictor fitted on one half reads: of its own programs, crosswise, and of the other half's."""

    own: Any
    other: Any


class _Table:
    """All programs of a workload as rows of features, in the order of the cases, and of their orders."""

    def __init__(self, workload: Workload, recipe: Recipe) -> None:
        self._np = np = optional("numpy", PURPOSE, EXTRA)
        self._selection = optional("sklearn.model_selection", PURPOSE, EXTRA)
        self._recipe, self._workload = recipe, workload
        cases = workload.cases
        self._x = np.array([self._features(case, order) for case in cases for order in range(workload.orders)], float)
        self._fold = np.repeat([case.fold for case in cases], workload.orders)
        self._unit = np.repeat(np.unique([case.unit for case in cases], return_inverse=True)[1], workload.orders)
        needed = [program.path.needed for case in cases for program in case.programs]
        self._needed = np.array([0 if count is None else count for count in needed], float)
        early = np.tile(np.arange(workload.orders) < workload.pooled, len(cases))
        self._learns = early & (self._needed > 0)

    def fitted(self, fold: int) -> _Half | None:
        """Fit on one half."""
        model, rows = self._recipe.make(), self._learns & (self._fold == fold)
        if len(set(self._unit[rows])) < FEWEST_UNITS:
            return None
        target = model.target(self._needed)
        _, sizes = self._np.unique(target[rows], return_counts=True)
        if len(sizes) < 2 or (model.method == "predict_proba" and sizes.min() < _FEWEST_OF_A_CLASS):
            return None
        with warnings.catch_warnings(), optional("threadpoolctl", PURPOSE, EXTRA).threadpool_limits(1):
            warnings.simplefilter("ignore", optional("sklearn.exceptions", PURPOSE, EXTRA).ConvergenceWarning)
            chosen = self._chosen(model, rows, target)
            own = self._crosswise(model, chosen, self._fold == fold, target)
            return _Half(own, model.reading(getattr(chosen, model.method)(self._x[self._fold != fold])))

    def by_case(self, readings: Mapping[int, Any]) -> list[list[float]]:
        """The readings of both halves, put together again."""
        whole = self._np.empty(len(self._fold))
        for fold, values in readings.items():
            whole[self._fold == fold] = values
        nested: list[list[float]] = whole.reshape(-1, self._workload.orders).tolist()
        return nested

    def _features(self, case: Any, order: int) -> list[float]:
        vectors = self._recipe.vectors
        own = [case.programs[order].readings[name] for name in self._recipe.signals]
        return own if vectors is None else [*own, *vectors[case.question]]

    def _chosen(self, model: Model, rows: Any, target: Any) -> Any:
        """The estimator on these rows; its settings, where it has any to choose, by whole questions left out."""
        estimator = model.estimator
        if hasattr(estimator, "param_grid"):
            return estimator.fit(self._x[rows], target[rows], groups=self._unit[rows]).best_estimator_
        return estimator.fit(self._x[rows], target[rows])

    def _crosswise(self, model: Model, chosen: Any, half: Any, target: Any) -> Any:
        """Readings of a half, each by an estimator that was fitted without its question."""
        clone = optional("sklearn.base", PURPOSE, EXTRA).clone
        found, places = self._np.empty(len(half)), self._np.flatnonzero(half)
        splits = self._selection.GroupKFold(_FOLDS).split(places, groups=self._unit[places])
        for kept, left_out in splits:
            rows = places[kept][self._learns[places[kept]]]
            if target[rows].min() == target[rows].max():  # nothing to learn: all are like these
                found[places[left_out]] = -target[rows][0]
                continue
            again = clone(chosen).fit(self._x[rows], target[rows])
            found[places[left_out]] = model.reading(getattr(again, model.method)(self._x[places[left_out]]))
        return found[places]
