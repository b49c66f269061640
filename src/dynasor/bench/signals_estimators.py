"""The estimators of the study of signals, all of scikit-learn, which comes with the extra `signals`.

They know features and needed branches, as arrays; nothing of signals, prompts or halves. Needed branches are learned
as logarithms: a few programs need many, and would outweigh all others.
"""

from collections.abc import Callable
from typing import Any

from dynasor.bench.signals_correlation import EXTRA, PURPOSE
from dynasor.datasets.extras import optional

_ALPHAS = (1.0, 30.0, 1000.0, 30000.0)
_HIDDEN_UNITS = 16
_SEED = 0
_FOLDS = 3


class Model:
    """An estimator of scikit-learn, and how its output becomes a reading: the more, the less compute is needed."""

    def __init__(self, estimator: Any, target: Callable[[Any], Any], method: str) -> None:
        """Args: the estimator; needed branches -> what it learns; `predict`, or `predict_proba` of the second class."""
        self.estimator, self.target, self.method = estimator, target, method

    def reading(self, told: Any) -> Any:
        """The reading, from what the estimator told."""
        return -(told[:, 1] if self.method == "predict_proba" else told)


def _scaled(estimator: Any) -> Any:
    scaler = optional("sklearn.preprocessing", PURPOSE, EXTRA).StandardScaler()
    return optional("sklearn.pipeline", PURPOSE, EXTRA).make_pipeline(scaler, estimator)


def linear() -> Model:
    """Least squares."""
    return Model(_scaled(optional("sklearn.linear_model", PURPOSE, EXTRA).LinearRegression()), _log, "predict")


def ridge() -> Model:
    """Least squares with a penalty, which is chosen by whole questions left out."""
    selection = optional("sklearn.model_selection", PURPOSE, EXTRA)
    penalised = _scaled(optional("sklearn.linear_model", PURPOSE, EXTRA).Ridge())
    search = selection.GridSearchCV(
        penalised, {"ridge__alpha": _ALPHAS}, cv=selection.GroupKFold(_FOLDS), scoring="neg_mean_squared_error"
    )
    return Model(search, _log, "predict")


def logistic(detect_at: int) -> Model:
    """Whether more branches are needed than those of the detection step."""
    classes = optional("sklearn.linear_model", PURPOSE, EXTRA).LogisticRegression(C=0.01, max_iter=300)
    return Model(_scaled(classes), lambda needed: needed > detect_at, "predict_proba")


def mlp() -> Model:
    """A small network, under a strong penalty and for a fixed number of rounds.

    Programs of one question are too alike to tell on some of them when to stop learning from the others.
    """
    network = optional("sklearn.neural_network", PURPOSE, EXTRA).MLPRegressor(
        hidden_layer_sizes=(_HIDDEN_UNITS,), alpha=10.0, max_iter=50, random_state=_SEED
    )
    return Model(_scaled(network), _log, "predict")


def _log(needed: Any) -> Any:
    """Of programs that never get it right it is not learned from; 0 stands for them."""
    numpy = optional("numpy", PURPOSE, EXTRA)
    return numpy.log(numpy.maximum(needed, 1.0))
