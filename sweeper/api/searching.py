"""`sweeper.search`: a whole search, as `sweeper search` runs it."""

import os
from collections.abc import Mapping
from typing import Unpack

from sweeper.api import arguments
from sweeper.api.command import in_store, search_command
from sweeper.api.keywords import SearchKeywords
from sweeper.api.running import Code, running, use_code
from sweeper.api.space import Overrides, SpaceLike, override_words, path_or_name, space_of
from sweeper.api.study import Study
from sweeper.data.source import DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.events import Event, Note, Step, SweepStarted
from sweeper.images.options import DataOptions
from sweeper.runs.options import TrainingOptions
from sweeper.runs.stop import StopRequest
from sweeper.store.options import StoreOptions
from sweeper.sweep.options import SearchOptions


@arguments.takes(SearchOptions, TrainingOptions, DataOptions, DataSource, DeviceOptions, StoreOptions)
def search(
    dataset: str | os.PathLike[str],
    *,
    space: SpaceLike | None = None,
    set: Overrides = (),
    study: str | None = None,
    new: bool = False,
    code: Code = (),
    progress: bool = True,
    **options: Unpack[SearchKeywords],
) -> Study:
    """Searches a data set for the best network of a space; the same call resumes an interrupted search.

    `dataset` is a known name, or the path of a folder of images or an .npz file. `space` is the name of a space, the
    path of its file, or its content as a dictionary; None means the default for the images' size and channels. `set`
    redefines parameters of it, as in {"lr": 1e-3} or ["activation=relu,gelu"]. `study` names the study, by default
    DATASET-SPACE; `new` starts another one instead of resuming it. `code` are files of networks of your own, which are
    run. The other options are those of `sweeper search`, with the same defaults. With `progress`, a view shows the
    running trials.

    Raises KeyboardInterrupt after an interruption, when the running epochs are recorded; SweeperError and UsageError
    for what `sweeper search` refuses; and TypeError for an unknown option.
    """
    given = dict(options)
    stop, notes = StopRequest(), list[str]()
    device, resuming = arguments.device_of(given), "the search is saved; the same call goes on from here"
    with running(stop, progress=progress, resuming=resuming, plain=device.plain_progress) as show:
        source, store = arguments.source_of(dataset, given), arguments.store_of(given)
        training = arguments.options_of(TrainingOptions, given)
        asked = arguments.options_of(SearchOptions, given)
        overrides = override_words(set)
        use_code(code)
        found = space_of(space, source, overrides, notes.append)
        show(Step("Importing PyTorch, Optuna and MLflow"))
        from sweeper.promotion.head_start import idle_jobs
        from sweeper.sweep.request import SearchRequest
        from sweeper.sweep.run import run

        command = ["sweeper.search", source.dataset]  # no command line says the same
        if isinstance(space, str | os.PathLike | None) and not isinstance(given.get("map"), Mapping):
            named = path_or_name(space)
            asked_for = given | {"study": study, "new": new}
            words = search_command(source, [asked, training, device], asked_for, named, overrides)
            command = in_store(words, store)
        request = SearchRequest.of(
            source, found, training, device, asked, store, study=study, new=new, command=command, given=given.keys()
        )
        for note in (*notes, request.unused_epochs):
            if note:
                show(Note(note))
        name = request.study

        def listener(event: Event) -> None:
            nonlocal name
            if isinstance(event, SweepStarted):
                name = event.study  # `new` may have changed it
            show(event)

        outcome = run(request, listener, stop, idle_jobs)
        if outcome.stopped == "SIGINT":
            raise KeyboardInterrupt(f"study {name} is saved; the same call goes on from here")
    return Study(
        store, outcome.study_name, outcome.study_id, stopped=outcome.stopped, undelivered=tuple(outcome.undelivered)
    )
