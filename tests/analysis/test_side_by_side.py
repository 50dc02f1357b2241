import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sweeper.analysis import images, side_by_side, subject
from sweeper.analysis.inside import embeddings
from sweeper.analysis.predicted import mistakes, probabilities
from sweeper.errors import SweeperError
from sweeper.studies.attributes import id_of
from sweeper.tracking.ledger import EVALUATED, Ledger

NAMES = ["curves", "confusions", "classes", "mistakes_1", "mistakes_2", "reliability", "features", "embedding"]


@pytest.fixture(scope="module")
def views(promoted):
    return side_by_side.views_of(promoted.store, promoted.study, promoted.outcome, data_access=promoted.data_access)


@pytest.fixture(scope="module")
def subjects(promoted):
    networks = images.fresh_networks(promoted.store, promoted.study, promoted.outcome)
    found = images.part_of(promoted.store, networks["champion"], None, data_access=promoted.data_access)
    return subject.subjects_of(networks, found)


def test_promoted_study_has_every_view_on_confirm_images(views):
    assert [view.name for view in views] == NAMES
    assert all("60 confirm images" in view.images_used for view in views if view.name != "curves")
    champion, other = (one["name"] for one in views[1].data["networks"])
    assert champion.startswith("champion (trial ")
    assert other == "challenger (trial 0, the baseline)"


def test_views_are_plain_data_and_can_be_drawn_light_and_dark(views):
    for view in views:
        json.dumps(view.as_json(), allow_nan=False)
        json.dumps(view.plot.arguments)
        for dark in (False, True):
            view.plot.draw(dark=dark)


def test_study_without_a_promotion_is_looked_at_on_validation_images(promoted):
    notes = []
    found = side_by_side.views_of(
        promoted.store, promoted.study, None, data_access=promoted.data_access, notify=notes.append
    )
    assert found[1].name == "confusions"
    assert "validation images" in found[1].images_used


def test_confusions_of_the_test_come_from_the_ledger_and_nothing_is_tested(promoted, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sweeper.data.test_set.load_test_set", None)
        evaluation = SimpleNamespace(
            complete=True,
            study_id=id_of(promoted.study),
            test_sha256=promoted.outcome.test_sha256,
            time="2026-11-29T12",
            networks={"champion": promoted.outcome.entrants[0].network},
        )
        by_name = SimpleNamespace(**vars(evaluation) | {"time": "2026-11-30T12", "networks": {EVALUATED: "a run"}})
        classes = promoted.dataset.classes
        rows = [f"{i},{one},{classes[0]},0.5" for i, one in enumerate(classes)]
        text = "\n".join(["image,label,champion_prediction,champion_probability", *rows])
        patch.setattr(Ledger, "evaluations", lambda self: [evaluation, by_name])
        patch.setattr(Ledger, "table", lambda self, found, name: text)
        found = side_by_side.views_of(
            promoted.store, promoted.study, promoted.outcome, data_access=promoted.data_access
        )
    (view,) = [one for one in found if one.name == "test_confusions"]
    matrix = np.array(view.data["networks"][0]["matrix"])
    assert matrix[:, 0].tolist() == [1] * len(classes)
    # A later look at another network, by name, is not the champion's.
    assert view.images_used.startswith(f"{len(classes)} test images, from the ledger's record of 2026-11-29")


def test_roles_whose_weights_are_gone_are_left_out_with_a_reason(promoted, monkeypatch):
    monkeypatch.setattr(side_by_side, "fresh_networks", lambda store, study, outcome, notify: notify("gone") or {})
    notes = []
    assert side_by_side.views_of(promoted.store, promoted.study, promoted.outcome, notify=notes.append) == []
    assert notes == ["gone"]


def test_mistakes_are_wrong_and_the_true_class_is_said(subjects):
    view = mistakes(subjects[0], 5)
    wrong = int((subjects[0].predicted != subjects[0].labels).sum())
    assert len(view.data["images"]) == min(5, wrong)
    assert all(row["classes"][0] != row["true"] for row in view.data["images"])
    assert f"gets {wrong} of 60 images wrong" in view.sentences[0]


def test_network_without_mistakes_has_no_figure(subjects):
    right = replace(subjects[0], images=replace(subjects[0].images, labels=subjects[0].predicted))
    view = mistakes(right, 5)
    assert view.plot is None
    assert view.sentences == ["champion gets 0 of 60 images wrong."]


def test_images_without_labels_have_probabilities_and_an_embedding_by_predicted_class(subjects):
    unlabelled = replace(subjects[0], images=replace(subjects[0].images, labels=None))
    assert [row["true"] for row in probabilities(unlabelled, np.arange(2)).data["images"]] == [None, None]
    view = embeddings([unlabelled], 20, 0)
    assert "by predicted class" in view.plot.arguments["title"]
    assert view.images_used.startswith("20 images of 60")


def test_too_few_images_for_an_embedding_are_refused(subjects):
    few = replace(subjects[0].images, images=subjects[0].images.images[:3], labels=subjects[0].labels[:3])
    with pytest.raises(SweeperError, match=r"champion cannot be embedded: .* at least 5 images, got 3"):
        embeddings([replace(subjects[0], images=few)], 2000, 0)
