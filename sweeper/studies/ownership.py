"""Which process works on a study, for stores that share Optuna's storage: a claim with a heartbeat in the storage.

The lock in the store keeps other processes of the same store out. The claim keeps out those that come to the study from
another store, on this machine or another. No clocks are compared: whoever wants to know whether an owner on another
machine lives looks whether its heartbeat moves.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from threading import Event, Lock, Thread
from typing import TypeVar
from uuid import uuid4

import optuna
from optuna.storages import InMemoryStorage
from sqlalchemy import column, insert, select, table, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sweeper.errors import SweeperError, plain
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.store.process import Process, this_process
from sweeper.store.redaction import redact
from sweeper.store.stored_values import from_text
from sweeper.studies.attributes import attributes_of

OWNER = "owner"  # the study's attribute
ACTIVITIES = ("promotion", "ablation")  # what an owner may do with a study besides a search
BEAT_SECONDS = 5.0
# How long a question about an owner on another machine waits for its heartbeat to move.
SEEN_SECONDS = 20.0
# An owner on another machine whose heartbeat stands still for so long has lost the study. SQLite waits up to 60 s for a
# lock, and so may a heartbeat.
STALE_SECONDS = 90.0
LOOK_SECONDS = 0.5


class StudyLost(SweeperError):
    """Another process owns the study now, or it was deleted: nothing more of it may be written."""


_ATTRIBUTES = table("study_user_attributes", column("study_id"), column("key"), column("value_json"))
Tell = Callable[[str], None]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Owner:
    """The process that works on a study, and the store from which it does; `beat` counts its heartbeats.

    `activity` is one of ACTIVITIES, and empty for everything else and for an older sweeper's processes.
    """

    process: Process
    store: str
    token: str
    beat: int = 0
    activity: str = ""

    def __str__(self) -> str:
        return f"process {self.process.pid} on {plain(self.process.host)}, with the store {plain(self.store)}"

    def as_text(self) -> str:
        """The stored form."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, stored: str | None) -> "Owner | None":
        """The owner in a stored attribute; None if there is none, or none that sweeper has written."""
        try:
            found: Owner | None = from_text(Owner | None, stored or "null", OWNER)
        except ValueError:
            return None
        return found


class Ownership:
    """This process's claim to a study."""

    def __init__(self, store: Store, study: optuna.Study, activity: str = "") -> None:
        self.owner = Owner(this_process(), str(store.root), uuid4().hex, activity=activity)
        self.lost = False  # to another process, as of the last heartbeat
        self._store, self._study = store, study
        in_memory = isinstance(study._storage, InMemoryStorage)
        self._attribute = _Unshared() if in_memory else _Attribute(store.storage, study._study_id)
        self._lock = Lock()
        self._beaten = time.time()

    def claim(self, tell: Tell, check_stop: Callable[[], None] = lambda: None, *, take_over: bool = False) -> None:
        """Makes this process the owner; SweeperError, naming the owner, if another process is; StudyLost if deleted.

        An owner on another machine is first watched for STALE_SECONDS, or with `take_over`, because the user knows that
        the machine is gone, for SEEN_SECONDS. `tell` gets a line about that, and `check_stop` may raise to end it.
        """
        seconds = SEEN_SECONDS if take_over else STALE_SECONDS
        while True:
            text = self._attribute.read()
            found = Owner.from_text(text)
            if found is not None:
                if found.process.lives() is None:
                    tell(f"waiting {seconds:.0f} s for a sign of life from the last owner, {found}")
                if _living({0: found}, lambda _: self._read(), seconds, check_stop):
                    raise _refusal(self._store, self._study, found)
            if self._attribute.replace(text, self.owner.as_text()):
                self._beaten = time.time()
                return
            if text is None and self._attribute.read() is None:  # nobody was faster: there is no study to claim
                raise StudyLost(
                    f"study {self._study.study_name} was deleted, while this process was about to work on it"
                )

    def beat(self) -> None:
        """Writes a heartbeat, or finds out that the study is lost."""
        with self._lock:
            if self.lost:
                return
            beaten = replace(self.owner, beat=self.owner.beat + 1)
            if not self._attribute.replace(self.owner.as_text(), beaten.as_text()):
                found = self._read()
                # A write whose confirmation was lost counts.
                self.lost = found is None or found.token != self.owner.token
                beaten = beaten if self.lost or found is None else found
            self.owner, self._beaten = beaten, time.time()

    def is_lost(self) -> bool:
        """Whether another process has taken the study over, because this one was suspended too long."""
        if time.time() - self._beaten > STALE_SECONDS / 2:
            self._try_to_beat()
        return self.lost

    def check(self) -> None:
        """Raises StudyLost if another process has taken the study over."""
        if self.is_lost():
            try:
                text = self._attribute.read()
                by = Owner.from_text(text) or "another process, which has ended"
                what = "deleted" if text is None else f"taken over by {by}"
            except SQLAlchemyError:  # it is lost all the same
                what = "taken over or deleted"
            raise StudyLost(f"study {self._study.study_name} was {what}, while this process gave no sign of life")

    def beat_until(self, ended: Event) -> None:
        """Writes a heartbeat every BEAT_SECONDS."""
        while not ended.wait(BEAT_SECONDS):
            self._try_to_beat()

    def release(self) -> None:
        """Gives the study up."""
        with self._lock, suppress(SQLAlchemyError):
            self._attribute.replace(self.owner.as_text(), "null")

    def _try_to_beat(self) -> None:
        # A locked or full database: the heartbeat stands still, and the study's own writes say what is wrong.
        with suppress(SQLAlchemyError):
            self.beat()

    def _read(self) -> Owner | None:
        return Owner.from_text(self._attribute.read())


@contextmanager
def claimed(
    store: Store,
    study: optuna.Study,
    tell: Tell = lambda text: None,
    check_stop: Callable[[], None] = lambda: None,
    *,
    take_over: bool = False,
    activity: str = "",
) -> Iterator[Ownership]:
    """Makes this process the owner of a study in Optuna's storage for the block; it must have the store's lock already.

    `tell`, `check_stop` and `take_over` are as in Ownership.claim, `activity` as in Owner. Raises SweeperError if a
    process with another store owns the study.
    """
    ownership = Ownership(store, study, activity)
    ownership.claim(tell, check_stop, take_over=take_over)
    ended = Event()
    heart = Thread(target=ownership.beat_until, args=(ended,), name="sweeper-heartbeat", daemon=True)
    heart.start()
    try:
        yield ownership
    finally:
        ended.set()
        heart.join()
        ownership.release()


def owner_of(store: Store, study: optuna.Study) -> str | None:
    """The process that runs the study now, in this store or another that shares the storage; None if none does.

    Takes up to SEEN_SECONDS if the last owner was on another machine.
    """
    return owners_of(store, [study])[0]


def is_abandoned(store: Store, study: optuna.Study) -> bool:
    """Whether it is sure at once that no process runs the study: an owner on another machine may live."""
    owner = _stored_owner(study)
    return store.owner(study.study_name) is None and (owner is None or owner.process.lives() is False)


def owners_of(store: Store, studies: Sequence[optuna.Study]) -> list[str | None]:
    """As `owner_of`, for several studies, whose last owners are waited for together."""
    here = [store.owner(study.study_name) for study in studies]
    elsewhere = _owners_elsewhere([study for study, owner in zip(studies, here, strict=True) if owner is None])
    seen = {name: str(owner) for name, owner in elsewhere.items()}
    return [owner or seen.get(study.study_name) for study, owner in zip(studies, here, strict=True)]


def activity_on(store: Store, study: optuna.Study) -> str:
    """What the study's owner does: one of ACTIVITIES, or "" for a search or an older sweeper's process.

    Without an owner, what the last one did.
    """
    if store.owner(study.study_name) is not None:
        return store.activity_on(study.study_name)
    owner = _stored_owner(study)
    return owner.activity if owner is not None and owner.activity in ACTIVITIES else ""


def check_free(store: Store, study: optuna.Study) -> None:
    """Raises SweeperError, with the command that stops it, if a process with another store runs the study."""
    for owner in _owners_elsewhere([study]).values():
        raise _refusal(store, study, owner)


def _owners_elsewhere(studies: Sequence[optuna.Study]) -> dict[str, Owner]:
    """The living owners that the studies' attributes name, by the study's name."""
    by_name = {study.study_name: study for study in studies}
    found = {name: owner for name, study in by_name.items() if (owner := _stored_owner(study)) is not None}
    return {name: found[name] for name in _living(found, lambda name: _stored_owner(by_name[name]), SEEN_SECONDS)}


def _stored_owner(study: optuna.Study) -> Owner | None:
    return Owner.from_text(json.dumps(attributes_of(study).get(OWNER)))


def _living(
    owners: Mapping[Key, Owner],
    read: Callable[[Key], Owner | None],
    seconds: float,
    check_stop: Callable[[], None] = lambda: None,
) -> set[Key]:
    """The owners whose processes live: of those on other machines, whose heartbeats move within `seconds`."""
    lives = {key: owner.process.lives() for key, owner in owners.items()}
    living = {key for key in owners if lives[key]}
    unknown = {key for key in owners if lives[key] is None}
    end = time.monotonic() + seconds
    while unknown and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        check_stop()
        now = {key: read(key) for key in unknown}
        moved = {key for key in unknown if now[key] != owners[key]}
        living |= {key for key in moved if now[key] is not None}
        unknown -= moved
    return living


def _refusal(store: Store, study: optuna.Study, owner: Owner) -> SweeperError:
    stop = ["sweeper", "stop", study.study_name, "--store", plain(owner.store)]
    if store.storage != f"sqlite:///{owner.store}/optuna.db" and redact(store.storage) == store.storage:
        stop += ["--storage", store.storage]
    where = f"`{shlex.join(stop)}` on {plain(owner.process.host)} ends it"
    return SweeperError(f"{study.study_name} is being run by {owner}: {where}")


class _Attribute:
    """The attribute OWNER of a study as stored text, with an atomic replacement, which Optuna does not offer."""

    def __init__(self, url: str, study_id: int) -> None:
        self._url, self._study_id = url, study_id
        self._row = (_ATTRIBUTES.c.study_id == study_id) & (_ATTRIBUTES.c.key == OWNER)

    def read(self) -> str | None:
        """The stored text; None if the study has no such attribute."""
        with databases.transaction(self._url) as connection:
            found = connection.execute(select(_ATTRIBUTES.c.value_json).where(self._row)).scalar()
            return None if found is None else str(found)

    def replace(self, before: str | None, after: str) -> bool:
        """Writes `after` if the stored text is still `before`; returns whether it was."""
        with databases.transaction(self._url) as connection:
            if before is not None:
                present = self._row & (_ATTRIBUTES.c.value_json == before)
                return connection.execute(update(_ATTRIBUTES).where(present).values(value_json=after)).rowcount == 1
            try:
                connection.execute(insert(_ATTRIBUTES).values(study_id=self._study_id, key=OWNER, value_json=after))
            except IntegrityError:  # another process was faster
                connection.rollback()
                return False
            return True


class _Unshared:
    """The attribute of a study in this process's memory, which no other process can claim."""

    def read(self) -> str | None:
        return None

    def replace(self, before: str | None, after: str) -> bool:
        return True
