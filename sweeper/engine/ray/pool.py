"""The engine of a Ray cluster: actors that train, one call for each message, and their replacement."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sweeper.engine import worker_log
from sweeper.engine.base import BatchesDone, Died, Failure, Lost
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.local.worker import WorkerSetup
from sweeper.engine.ray import cluster, job_files
from sweeper.engine.ray.actor import Contact, Reply, Worker
from sweeper.engine.ray.nodes import Nodes
from sweeper.engine.ray.weights import SentWeights
from sweeper.errors import DISK_FULL, RESUME_HINT, SweeperError, joined, said
from sweeper.events import Note
from sweeper.quantities import counted
from sweeper.training.checkpoint import remove_leftovers

# Calls that an actor answers at once, besides one for each of its workers: `watch`, and one of the others.
OTHER_CALLS = 3
# Actors that get their places one by one, as at the start, are not worth a word.
WAITING_SECONDS = 10.0
LEAVING_SECONDS = 3.0


@dataclass
class _Actor:
    """An actor, and the calls whose results are to come, by worker or by name.

    `node` is None while it waits for a place, and has the `processor`. `ready` says whether its workers have loaded
    their data, `used` whether one of them was given a job. `ended` has the calls that ended jobs, for the next call to
    come after them.
    """

    handle: Any
    at_once: int
    calls: dict[int | str, Any]
    asked: float = field(default_factory=time.monotonic)
    node: cluster.Node | None = None
    processor: str = ""
    ready: bool = False
    used: bool = False
    jobs: dict[int, TrialJob] = field(default_factory=dict)
    ended: dict[int, Any] = field(default_factory=dict)


class RayPool:
    """Workers that are actors of a cluster, addressed by index; an actor has `per_process` of them.

    Files of jobs travel with the messages. A checkpoint of more than job_files.LARGE travels only after every few
    epochs; if its node is lost, the epochs since then are trained again.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        execution: Execution,
        images: Sequence[Any],
        log_folder: Path,
    ) -> None:
        worker_log.make_folder(log_folder)
        self.tunes_concurrency = execution.tunes_concurrency
        self._setup, self._images, self._log_folder = setup, images, log_folder
        self._device = "cuda:0" if execution.devices[0] == "cuda" else "cpu"  # Ray shows an actor its own GPU alone
        self._per_process = execution.at_once
        self._resources = _resources(execution)
        self._nodes = Nodes("GPU" if execution.devices[0] == "cuda" else "CPU", execution.required_processor)
        self._weights = SentWeights()
        self._told_period = False
        self._waiting, self._looked = "", 0.0
        self._actors = [self._asked(self._per_process) for _ in execution.devices]

    @property
    def processor(self) -> str:
        """The kind of processor or GPU of all nodes that are used; empty until the first has answered."""
        return self._nodes.processor

    def __len__(self) -> int:
        return len(self._actors) * self._per_process

    def processes(self) -> list[range]:
        """The workers of each actor."""
        return [self._workers_of(number) for number in range(len(self._actors))]

    def at_once(self, index: int) -> int:
        """How many jobs the worker's actor may train at once; 0 until it has loaded its data."""
        actor = self._actor_of(index)
        return actor.at_once if actor.ready else 0

    def limit_concurrency(self, index: int, at_once: int) -> None:
        """Limits how many jobs the worker's actor may train at once; never raises an earlier limit."""
        actor = self._actor_of(index)
        actor.at_once = max(1, min(actor.at_once, at_once))

    def lift_limit(self, index: int) -> None:
        """Lets the worker's actor train as many jobs at once as it has workers."""
        self._actor_of(index).at_once = self._per_process

    def renew(self, index: int) -> None:
        """Gives a worker an actor that has trained nothing yet, as soon as there is a place for it."""
        if self._actor_of(index).used:
            self._replace(index // self._per_process)

    def kill(self, index: int, reason: str) -> Mapping[int, Died | Lost]:
        """Replaces the worker's actor, from which nothing comes, and returns what became of its workers."""
        number = index // self._per_process
        node = self._actors[number].node
        self._replace(number)
        gone = node is not None and not self._nodes.is_alive(node)
        message = Lost(node.name) if gone and node else Died(None, hung=reason)
        return dict.fromkeys(self._workers_of(number), message)

    def train(self, index: int, job: TrialJob) -> None:
        """Gives an idle worker a job, with the files to resume from. Raises SweeperError if they cannot be read."""
        actor, worker = self._actor_of(index), index % self._per_process
        remove_leftovers(job.folder)  # of a command that was killed while it wrote
        try:
            files = job_files.read(job.folder)
        except OSError as error:
            raise SweeperError(f"the files of {job.folder} cannot be read: {said(error)}") from error
        weights = self._weights.initial(job), self._weights.pretrained(job)
        actor.used, actor.jobs[worker] = True, job
        actor.calls[worker] = actor.handle.train.remote(worker, job, files, *weights, actor.ended.pop(worker, None))

    def answer(self, index: int, *, proceed: bool) -> None:
        """Lets the worker train the next epoch of its job, or ends the job."""
        actor, worker = self._actor_of(index), index % self._per_process
        call = actor.handle.answer.remote(worker, proceed)
        if proceed:
            actor.calls[worker] = call
        else:
            actor.ended[worker] = call
            del actor.jobs[worker]

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """The messages that have arrived, as (index, message); empty if none arrives within `seconds`.

        The files of epochs and results are written to the store first. Raises SweeperError if that fails, or if no node
        of the cluster can be used.
        """
        calls = {call: (number, key) for number, actor in enumerate(self._actors) for key, call in actor.calls.items()}
        messages: list[tuple[int, Any]] = []
        for call in cluster.wait(list(calls), seconds):
            number, key = calls[call]
            actor = self._actors[number]
            if actor.calls.get(key) is not call:  # it was replaced, because another of its calls has failed
                continue
            del actor.calls[key]
            try:
                result = cluster.result(call)
            except cluster.Trouble as trouble:
                arrived = self._gone(number, trouble)
            else:
                arrived = self._received(number, key, result)
            if self._actors[number] is not actor:  # an answer to what its workers have said would reach the new one
                workers = self._workers_of(number)
                messages = [(index, message) for index, message in messages if index not in workers]
            messages += arrived
        return messages

    def place(self, index: int) -> str:
        """The name of the node that the worker's actor runs on; empty while it has none."""
        node = self._actor_of(index).node
        return "" if node is None else node.name

    def waiting(self) -> str:
        """What actors have been waiting for, for some time; empty if none has. Looks at the cluster now and then."""
        now = time.monotonic()
        if now - self._looked >= WAITING_SECONDS:
            self._looked = now
            late = [actor for actor in self._actors if not actor.ready and now - actor.asked >= WAITING_SECONDS]
            starting = sorted({actor.node.name for actor in late if actor.node is not None})
            n = sum(actor.node is None for actor in late)
            texts = [self._nodes.waiting(n)] if n else []
            texts += [f"Waiting for workers to load their data on {joined(starting)}"] if starting else []
            self._waiting = "; ".join(texts)
        return self._waiting

    def log(self, index: int) -> Path:
        """The file of the output of the worker's actors, as far as it has come with messages."""
        return self._log_folder / f"worker-{index // self._per_process}.log"

    def close(self) -> None:
        """Ends all actors. They delete their files, if they can be reached."""
        cluster.wait_for_all([actor.handle.end.remote() for actor in self._actors if actor.ready], LEAVING_SECONDS)
        for actor in self._actors:
            cluster.kill(actor.handle)
            actor.calls.clear()
        self._images = ()

    def _actor_of(self, index: int) -> _Actor:
        return self._actors[index // self._per_process]

    def _workers_of(self, number: int) -> range:
        return range(number * self._per_process, (number + 1) * self._per_process)

    def _asked(self, at_once: int) -> _Actor:
        """An actor for which the cluster was asked; it says "contact" once it has a place."""
        concurrency = self._per_process + OTHER_CALLS
        handle = cluster.start(Worker, concurrency=concurrency, resources=self._resources, avoid=self._nodes.avoided())
        return _Actor(handle, at_once, {"contact": handle.contact.remote(), "watch": handle.watch.remote()})

    def _replace(self, number: int) -> None:
        old = self._actors[number]
        cluster.kill(old.handle)  # it may only be out of reach: its job must not be trained twice
        self._actors[number] = self._asked(old.at_once)

    def _meet(self, number: int, contact: Contact) -> None:
        """Gives an actor that has got a place its images, if it may train trials of this study."""
        actor = self._actors[number]
        actor.node, actor.processor = self._nodes.place_of(contact), contact.processor
        if reason := self._nodes.complaint(contact):
            self._avoid(number, [actor.node], reason)
            return
        actor.calls["begin"] = actor.handle.begin.remote(self._setup, self._device, self._per_process, self._images)

    def _avoid(self, number: int, nodes: Sequence[cluster.Node], reason: str) -> None:
        """Places the actor elsewhere than on these nodes. Raises SweeperError if no other is left."""
        self._looked = 0.0
        for node in nodes:
            self._nodes.avoid(node, reason)
        self._replace(number)

    def _received(self, number: int, key: int | str, result: Any) -> list[tuple[int, Any]]:
        """The messages that the result of a call brings; files that come with them are written to the store."""
        if key == "contact":
            self._meet(number, Contact.of(result))
            return []
        actor, reply = self._actors[number], cast(Reply, result)
        self._append(number, reply.log)
        died = next((message for message in reply.messages if isinstance(message, Died)), None)
        if died is not None:
            self._replace(number)
            return [(index, died) for index in self._workers_of(number)]
        assert actor.node is not None
        if reply.unfit:
            lost = Lost(actor.node.name)
            self._avoid(number, [actor.node], reply.unfit)
            return [(index, lost) for index in self._workers_of(number)] if actor.ready else []
        if not isinstance(key, int):
            if reason := self._nodes.complaint_when_ready(reply.gpu or actor.processor):
                self._avoid(number, [actor.node], reason)
            else:
                actor.ready = True
            return []
        self._write(actor.jobs[key], reply.new_files)
        messages = list(reply.messages)
        if isinstance(messages[-1], BatchesDone | Note):
            actor.calls[key] = actor.handle.receive.remote(key)
        elif isinstance(messages[-1], TrialResult | Failure):
            del actor.jobs[key]
        if reply.period > 1 and not self._told_period:
            self._told_period = True
            text = f"its checkpoint is large and comes from its node only every {reply.period} epochs: if the node is "
            again = counted(reply.period - 1, "epoch is", "epochs are")
            messages.insert(0, Note(f"{text}lost, up to {again} trained again"))
        return [(self._workers_of(number)[key], message) for message in messages]

    def _gone(self, number: int, trouble: cluster.Trouble) -> list[tuple[int, Any]]:
        """Replaces an actor that is gone, and returns what its workers report."""
        actor, workers = self._actors[number], self._workers_of(number)
        where = "a node" if actor.node is None else actor.node.name
        self._append(number, f"{where}: {trouble}\n".encode())
        if isinstance(trouble, cluster.NotCreated) and (nodes := self._nodes.at(trouble.address)):
            self._avoid(number, nodes, str(trouble))
            return []
        self._replace(number)
        if isinstance(trouble, cluster.NodeLost) or (actor.node is not None and not self._nodes.is_alive(actor.node)):
            if not actor.ready:  # a place that was lost before anything came of it
                return []
            lost = Lost(where, planned=isinstance(trouble, cluster.NodeLost) and trouble.planned)
            return [(index, lost) for index in workers]
        if not actor.ready:
            return [(index, Died(1, ready=False)) for index in workers]
        if not actor.jobs:  # of whatever an idle process dies: no trial has caused it
            return [(index, Lost(where)) for index in workers]
        return [(index, Died(None)) for index in workers]

    def _write(self, job: TrialJob, files: Mapping[str, bytes]) -> None:
        try:
            job_files.write(job.folder, files)
        except OSError as error:
            hint = (
                RESUME_HINT if error.errno in DISK_FULL else "nothing is lost, the same command resumes once it can be"
            )
            raise SweeperError(f"{error.filename or job.folder} cannot be written: {error.strerror}; {hint}") from error

    def _append(self, number: int, lines: bytes) -> None:
        if not lines:
            return
        try:
            with open(self.log(number * self._per_process), "ab") as file:
                file.write(lines)
        except OSError:  # no room for it: a trial needs no log
            return


def _resources(execution: Execution) -> dict[str, float]:
    """What an actor takes of a node, in Ray's words."""
    resources: dict[str, float] = {"num_cpus": 1}
    if execution.devices[0] == "cuda":
        resources["num_gpus"] = 1
    if execution.worker_memory is not None:
        resources["memory"] = execution.worker_memory
    return resources
