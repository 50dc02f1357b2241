import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import optuna
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from sweeper.errors import SweeperError
from sweeper.store.options import StoreOptions
from sweeper.studies import ownership as module
from sweeper.studies.ownership import OWNER, Owner, Ownership, check_free, claimed, is_abandoned, owner_of, owners_of
from sweeper.studies.storage import open_storage


@pytest.fixture
def stores(tmp_path):
    """Two stores that share a storage, with one study in it."""
    url = f"sqlite:///{tmp_path}/shared.db"
    made = [StoreOptions(tmp_path / name, url).resolve({}) for name in ("one", "two")]
    for store in made:
        store.prepare()
    optuna.create_study(study_name="study", storage=open_storage(made[0]))
    return made


@pytest.fixture
def studies(stores):
    """The study, as each of the stores has it."""
    return [optuna.load_study(study_name="study", storage=open_storage(store)) for store in stores]


@pytest.fixture
def hasty(monkeypatch):
    """Hearts beat often, and are often looked at."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits long for a heart that stands still."""
    monkeypatch.setattr(module, "SEEN_SECONDS", 0.5)
    monkeypatch.setattr(module, "STALE_SECONDS", 0.5)


def elsewhere(monkeypatch, machine="another boot pid:[1]"):
    """From now on, this process's claims are those of a process on another machine."""
    here = module.this_process()
    monkeypatch.setattr(module, "this_process", lambda: replace(here, host="far", machine=machine))
    return here


def test_study_of_another_store_is_refused_with_the_command_that_stops_its_process(stores, studies):
    one, two = stores
    with claimed(one, studies[0]):
        for refused in (lambda: check_free(two, studies[1]), lambda: claimed(two, studies[1]).__enter__()):
            with pytest.raises(SweeperError) as error:
                refused()
            process = module.this_process()
            assert str(error.value) == (
                f"study is being run by process {process.pid} on {process.host}, with the store {one.root}: `sweeper "
                f"stop study --store {one.root} --storage {one.storage}` on {process.host} ends it"
            )
        assert str(one.root) in owner_of(two, studies[1])
    check_free(two, studies[1])
    assert owner_of(two, studies[1]) is None
    assert studies[1].user_attrs[OWNER] is None


def test_study_whose_process_is_gone_is_taken_over_at_once(stores, studies, monkeypatch):
    here = module.this_process()
    monkeypatch.setattr(module, "this_process", lambda: replace(here, started=here.started + 1))
    Ownership(stores[0], studies[0]).claim(lambda text: None)
    monkeypatch.undo()
    monkeypatch.setattr(module.time, "sleep", lambda seconds: pytest.fail("nothing needs to be waited for"))
    assert owner_of(stores[1], studies[1]) is None
    with claimed(stores[1], studies[1]) as ownership:
        assert studies[0].user_attrs[OWNER]["store"] == str(stores[1].root)
        assert not ownership.lost


@pytest.mark.usefixtures("hasty")
def test_owner_on_another_machine_lives_while_its_heartbeat_moves(stores, studies, monkeypatch):
    with monkeypatch.context() as patch:
        elsewhere(patch)
        alive = claimed(stores[0], studies[0])
        alive.__enter__()
    assert "on far" in owner_of(stores[1], studies[1])
    told = []
    with pytest.raises(SweeperError, match=r"is being run by process \d+ on far"):
        claimed(stores[1], studies[1], told.append).__enter__()
    assert len(told) == 1
    assert told[0].startswith("waiting 90 s for a sign of life from the last owner, process ")
    alive.__exit__(None, None, None)
    assert owner_of(stores[1], studies[1]) is None


@pytest.mark.usefixtures("hasty", "impatient")
def test_owner_on_another_machine_whose_heartbeat_stands_still_loses_the_study_and_notices(
    stores, studies, monkeypatch
):
    with monkeypatch.context() as patch:
        elsewhere(patch)
        suspended = Ownership(stores[0], studies[0])
        suspended.claim(lambda text: None)
    suspended.check()
    assert owner_of(stores[1], studies[1]) is None
    with claimed(stores[1], studies[1]) as ownership:
        suspended._beaten -= 1000.0  # it wakes
        with pytest.raises(SweeperError, match=f"study study was taken over by .*{stores[1].root}"):
            suspended.check()
        suspended.beat()
        suspended.release()
        ownership.check()
        assert studies[0].user_attrs[OWNER]["token"] == ownership.owner.token


@pytest.mark.parametrize(("take_over", "seconds"), [(False, 90), (True, 20)])
def test_owner_on_a_machine_that_is_gone_is_waited_for_less_long_if_the_user_says_so(
    stores, studies, monkeypatch, take_over, seconds
):
    with monkeypatch.context() as patch:
        elsewhere(patch)
        Ownership(stores[0], studies[0]).claim(lambda text: None)
    waited, told = [], []
    clock = SimpleNamespace(sleep=waited.append, monotonic=lambda: sum(waited), time=time.time)
    monkeypatch.setattr(module, "time", clock)
    Ownership(stores[1], studies[1]).claim(told.append, take_over=take_over)
    assert sum(waited) == seconds
    assert told[0].startswith(f"waiting {seconds} s for a sign of life from the last owner, process ")
    assert told[0].endswith(f" on far, with the store {stores[0].root}")


def test_study_is_abandoned_once_its_owner_is_known_to_be_gone_which_takes_no_time(stores, studies, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: pytest.fail("nothing is waited for"))
    here = module.this_process()
    for process, abandoned in [
        (here, False),
        (replace(here, started=here.started + 1), True),  # its number is that of a later process now
        (replace(here, host="far", machine="another boot pid:[1]"), False),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(module, "this_process", lambda process=process: process)
            claim = Ownership(stores[0], studies[0])
            claim.claim(lambda text: None)
        assert is_abandoned(stores[1], studies[1]) is abandoned
        claim.release()
        assert is_abandoned(stores[1], studies[1])


@pytest.mark.usefixtures("hasty")
def test_owner_that_lives_on_another_machine_keeps_the_study_whatever_the_user_says(stores, studies, monkeypatch):
    with monkeypatch.context() as patch:
        elsewhere(patch)
        alive = claimed(stores[0], studies[0])
        alive.__enter__()
    with pytest.raises(SweeperError, match=r"is being run by process \d+ on far"):
        claimed(stores[1], studies[1], take_over=True).__enter__()
    alive.__exit__(None, None, None)


def test_heartbeat_whose_confirmation_was_lost_counts(stores, studies, monkeypatch):
    ownership = Ownership(stores[0], studies[0])
    ownership.claim(lambda text: None)
    replace_ = module._Attribute.replace
    monkeypatch.setattr(module._Attribute, "replace", lambda *arguments: replace_(*arguments) and False)
    ownership.beat()
    monkeypatch.undo()
    ownership.beat()
    assert not ownership.lost
    assert studies[1].user_attrs[OWNER]["beat"] == ownership.owner.beat == 2


def test_of_many_that_claim_at_once_one_owns(stores, studies):
    start, owners, refused = threading.Barrier(8), [], []

    def claim(number):
        ownership = Ownership(stores[number % 2], studies[number % 2])
        start.wait()
        try:
            ownership.claim(lambda text: None)
            owners.append(ownership)
        except SweeperError:
            refused.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(owners), len(refused)) == (1, 7)
    assert studies[0].user_attrs[OWNER]["token"] == owners[0].owner.token


@pytest.mark.parametrize("stored", [None, 3, "me", {}, {"process": 1}, {"process": {"pid": "x"}, "store": ""}])
def test_attribute_that_is_no_owner_keeps_nobody_out(stores, studies, stored):
    studies[0].set_user_attr(OWNER, stored)
    assert owner_of(stores[1], studies[1]) is None
    with claimed(stores[1], studies[1]):
        assert owner_of(stores[0], studies[0]) is not None


def test_owner_from_a_foreign_storage_is_shown_in_one_line(stores):
    process = replace(module.this_process(), host="a\nb\x1b[31m")
    owner = Owner.from_text(Owner(process, "/x\ny", "t").as_text())
    assert str(owner).isprintable()


def test_deleted_study_is_told_as_such(stores, studies):
    ownership = Ownership(stores[0], studies[0])
    ownership.claim(lambda text: None)
    optuna.delete_study(study_name="study", storage=studies[1]._storage)
    ownership.beat()
    with pytest.raises(SweeperError, match="study study was deleted, while"):
        ownership.check()


def test_study_that_is_deleted_before_it_is_claimed_is_told_as_such(stores, studies, monkeypatch):
    engine = module.databases._engine

    def strict(url, path):
        """As PostgreSQL does, refuses the attribute of a study that is not there."""
        made = engine(url, path)
        event.listen(made, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        return made

    ownership = Ownership(stores[0], studies[0])
    optuna.delete_study(study_name="study", storage=studies[1]._storage)
    monkeypatch.setattr(module.databases, "_engine", strict)
    with pytest.raises(
        module.StudyLost, match=r"^study study was deleted, while this process was about to work on it$"
    ):
        ownership.claim(lambda text: None)


def test_loss_is_told_also_if_the_storage_does_not_say_to_whom(stores, studies, monkeypatch):
    def fail(attribute):
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    ownership = Ownership(stores[0], studies[0])
    ownership.lost = True
    monkeypatch.setattr(module._Attribute, "read", fail)
    with pytest.raises(module.StudyLost, match="study study was taken over or deleted, while"):
        ownership.check()


def test_study_that_another_process_took_over_and_gave_up_is_not_told_as_deleted(stores, studies):
    ownership = Ownership(stores[0], studies[0])
    ownership.claim(lambda text: None)
    studies[1].set_user_attr(OWNER, None)  # what the other one leaves when it has ended
    ownership.beat()
    told = r"^study study was taken over by another process, which has ended, while this process gave no sign of life$"
    with pytest.raises(SweeperError, match=told):
        ownership.check()


@pytest.mark.usefixtures("hasty")
def test_waiting_for_a_sign_of_life_ends_when_the_command_is_stopped(stores, studies, monkeypatch):
    with monkeypatch.context() as patch:
        elsewhere(patch)
        Ownership(stores[0], studies[0]).claim(lambda text: None)

    def check():
        raise SystemExit(143)

    before = studies[1].user_attrs
    with pytest.raises(SystemExit, match="143"):
        Ownership(stores[1], studies[1]).claim(lambda text: None, check)
    assert studies[1].user_attrs == before


def test_owners_that_give_no_sign_of_life_are_waited_for_once_together(stores, studies, monkeypatch):
    storage = open_storage(stores[1])
    here = module.this_process()
    found = [optuna.create_study(study_name=f"study-{number}", storage=storage) for number in range(6)]
    with monkeypatch.context() as patch:
        elsewhere(patch)
        for study in found[:5]:
            Ownership(stores[0], study).claim(lambda text: None)
    alive = Ownership(stores[0], found[5])
    alive.owner = replace(alive.owner, process=replace(here, host="far", machine="another boot"))
    alive.claim(lambda text: None)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        alive.beat()

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: sum(waited), time=time.time))
    owners = owners_of(stores[1], [studies[1], *found])
    assert owners == [None] * 6 + [str(alive.owner)]
    assert sum(waited) == module.SEEN_SECONDS
