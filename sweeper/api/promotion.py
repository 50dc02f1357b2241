"""`sweeper.promote`: the best trials retrained, and a champion registered, as `sweeper promote` does it."""

from typing import TYPE_CHECKING, Any, Unpack

from sweeper.api import arguments
from sweeper.api.command import in_store, promote_command
from sweeper.api.keywords import PromoteKeywords
from sweeper.api.running import Code, running, use_code
from sweeper.api.study import Study
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.errors import SweeperError
from sweeper.events import Step
from sweeper.promotion.options import PromotionOptions
from sweeper.runs.stop import StopRequest
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.promotion.outcome import Entrant, PromotionOutcome


class Promotion:
    """What a promotion has found.

    `champion` is the best of its finalists: its `trial`, `params`, `version`, `n_parameters`, and its metrics
    `validation`, `confirm` and `test` (None without a test). `verdict` has the sentences of the verdict, the answer
    first. `model` is the name by which `load_model` finds the champion.
    """

    def __init__(self, outcome: "PromotionOutcome") -> None:
        self._outcome = outcome

    @property
    def study_name(self) -> str:
        return self._outcome.study_name

    @property
    def champion(self) -> "Entrant":
        return self._outcome.entrants[0]

    @property
    def verdict(self) -> list[str]:
        return [self._outcome.plain_sentence, *self._outcome.sentences]

    @property
    def model(self) -> str:
        return self._outcome.model

    @property
    def estimates(self) -> "pd.DataFrame":
        """The finalists, the champion first: their scores by part, in the study's metric, with 95 % intervals.

        Empty values are of parts that the study does not have, or of networks that were not tested.
        """
        import pandas as pd

        metric = self._outcome.metric
        return pd.DataFrame([_row(entrant, metric) for entrant in self._outcome.entrants])

    def summary(self) -> dict[str, Any]:
        """All of it as plain data: the object that `sweeper promote --json` prints."""
        return self._outcome.summary()

    def __repr__(self) -> str:
        return f"<Promotion of {self.study_name}: {self._outcome.plain_sentence}>"

    def _repr_html_(self) -> str:
        """The verdict and the estimates, for notebooks."""
        from html import escape

        return f"<p>{escape(self._outcome.plain_sentence)}</p>{self.estimates.to_html(index=False)}"


def _row(entrant: "Entrant", metric: str) -> dict[str, Any]:
    test = entrant.test or {}
    return {
        "name": entrant.name,
        "trial": entrant.trial,
        "version": entrant.version,
        "n_parameters": entrant.n_parameters,
        "search": entrant.search_score,
        "validation": entrant.validation["mean"],
        "confirm": entrant.confirm[metric],
        "confirm_low": entrant.confirm["low"],
        "confirm_high": entrant.confirm["high"],
        "test": test.get(metric),
    }


@arguments.takes(PromotionOptions, DataSource, DeviceOptions, StoreOptions)
def promote(
    study: Study | str | None = None, *, code: Code = (), progress: bool = True, **options: Unpack[PromoteKeywords]
) -> Promotion:
    """Retrains the best of a study with fresh seeds, and registers a champion and a challenger.

    `study` is a study or its name; None is the latest. `code` are files of networks of your own, which are run. The
    other options are those of `sweeper promote`. With `test`, one evaluation on the test set is made and recorded. The
    same call resumes an interrupted promotion; on a promoted study, it returns what was found.

    Raises KeyboardInterrupt after an interruption, when the running epochs are recorded; SweeperError and UsageError
    for what `sweeper promote` refuses, and if `sweeper stop` stops it; and TypeError for an unknown option.
    """
    given, stop = dict(options), StopRequest()
    device, resuming = arguments.device_of(given), "the promotion is saved; the same call goes on from here"
    with running(stop, progress=progress, resuming=resuming, plain=device.plain_progress) as show:
        own_store = isinstance(study, Study) and not {"store", "storage", "tracking_uri"} & given.keys()
        store = study._store if isinstance(study, Study) and own_store else arguments.store_of(given)
        asked = arguments.options_of(PromotionOptions, given)
        asked.check(given)
        use_code(code)
        show(Step("Importing PyTorch, Optuna and MLflow"))
        from sweeper.promotion.request import PromotionRequest
        from sweeper.promotion.run import run
        from sweeper.studies.queries import find_study

        name = study.name if isinstance(study, Study) else find_study(store, study).study_name
        if isinstance(study, Study) and own_store:
            study._study()  # refuses a study that was deleted meanwhile
        request = PromotionRequest(
            study=name,
            options=asked,
            given=given.keys(),
            device=device,
            data_access=arguments.data_access_of(given),
            store=store,
            command=in_store(promote_command(name, [asked, device]), store),
        )
        outcome = run(request, show, stop)
        if outcome is None:
            if stop.reason == "SIGINT":
                raise KeyboardInterrupt(resuming)
            raise SweeperError(f"the promotion of {name} was stopped ({stop.reason}); the same call goes on from here")
    if outcome.undelivered:
        import warnings

        warnings.warn(
            f"MLflow lacks a part of the promotion of {name}: {outcome.undelivered[0]}; `sweeper sync` delivers it",
            stacklevel=3,
        )
    return Promotion(outcome)
