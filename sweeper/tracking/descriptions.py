"""Descriptions of runs in Markdown, as MLflow's interface shows them on a run's page."""

import re
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sweeper.store.layout import Store
from sweeper.store.shown import shown
from sweeper.tracking.client import connect, reaching

# The tag that holds a run's description.
DESCRIPTION = "mlflow.note.content"
# MLflow refuses tags of more letters.
MOST_LETTERS = 8000
# The line after each section of ours; people may write above and below.
END = "---"
# Letters that Markdown or HTML may obey within a line.
_SPECIAL = frozenset("\\`*_[]<>#|~&!@")


def escaped(text: str) -> str:
    """The text as it is shown, whatever it holds: users choose the names of classes, variants and studies."""
    plain = "".join(f"&#{ord(letter)};" if letter in _SPECIAL else letter for letter in _one_line(text))
    return plain.replace("://", "&#58;//").replace("www.", "www&#46;")


def code(text: str) -> str:
    """A block of one line that is shown as it is."""
    return f"    {_one_line(text)}"


def with_section(before: str, section: str, *, on_top: bool = False) -> str:
    """The description with this section in the place of that with the same first line, or added to it.

    What people wrote around it stays. A description that would be too long stays as it was.
    """
    section = f"{section}\n\n{END}"
    heading = re.escape(section.partition("\n")[0])
    found = re.search(rf"^{heading}\n.*?^{END}$", before, re.DOTALL | re.MULTILINE)
    if found:
        after = before[: found.start()] + section + before[found.end() :]
    else:
        after = "\n\n".join(filter(None, [section, before] if on_top else [before, section]))
    return after if len(after) <= MOST_LETTERS else before


def add_section(client: MlflowClient, run_id: str, sections: Sequence[str], *, on_top: bool = False) -> None:
    """Adds the first of these sections with which the run's description is short enough."""
    before = client.get_run(run_id).data.tags.get(DESCRIPTION, "")
    after = next((text for one in sections if (text := with_section(before, one, on_top=on_top)) != before), before)
    client.set_tag(run_id, DESCRIPTION, after)


def add_to_study(store: Store, promotion_run_id: str, sections: Sequence[str]) -> None:
    """Adds the first section that is short enough on top of the description of a promotion's study.

    Raises SweeperError if MLflow cannot be used.
    """
    client = connect(store)
    with reaching(store.tracking_uri):
        study_run_id = client.get_run(promotion_run_id).data.tags.get(MLFLOW_PARENT_RUN_ID)
        if study_run_id is not None:  # the study's run may have been deleted
            add_section(client, study_run_id, sections, on_top=True)


def _one_line(text: str) -> str:
    return shown(" ".join(text.split()))
