"""The runtime as queues: what each job, output and heartbeat asks of every part of it.

One *pool* is simulated: the executors that one dispatcher serves, with gateways, registries, schedulers, a
RabbitMQ and a database of their own. Several pools are as many of these, each with its share of the jobs.

A job passes: gateway, RabbitMQ, registry, RabbitMQ, scheduler, database (now it is submitted); RabbitMQ,
dispatcher, a slot, database, dispatcher, RabbitMQ, executor and its sandbox (now it runs); its outputs go to
RabbitMQ, scheduler, database and to gateways with listeners; its end to RabbitMQ, dispatcher and database,
and as news to every gateway. Every heartbeat goes to RabbitMQ, to the dispatcher and to every gateway.

The scheduler that dispatches also takes its part of commands and outputs, as far as it keeps up: each replica
has only so many in hand, and the rest waits for whoever is free. So two loads tell about schedulers: what the
dispatcher alone can do, on its one core, and all that all of them do together.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass, field

import simpy

from benchmarks.simulation.parameters import Parameters
from benchmarks.simulation.stations import Station

Steps = Generator[simpy.Event, None, None]
DAY = 86_400.0
COPIES = 4
"""Of one heartbeat in the measurement: published once, delivered to a dispatcher and two gateways."""
MEASURED_GATEWAYS = 2
NEWS_PER_JOB = 2
"""That it runs, and that it has ended."""
LEASE_SECONDS = 10.0
PREFETCH = 64
"""Batches of outputs that a scheduler has in hand at once; further ones wait in RabbitMQ for any replica."""
LOOK_SECONDS = 0.02
"""How often what waits there is looked at."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is simulated. Replicas are those of one pool."""

    executors: int
    jobs_per_day: float
    peak: float = 1.0
    """How many times the day's mean rate jobs come at: 6 is a peak hour with a quarter of the day's jobs."""
    pools: int = 1
    gateways: int = 2
    registries: int = 2
    schedulers: int = 2
    rabbit_nodes: int = 1
    mongo_shards: int = 1
    beat_seconds: float = 2.0
    at_once: int | None = None
    """Jobs that all come at the first moment, instead of a stream of them."""
    cores: int | None = None
    """Everything shares the cores of one machine, the clients too; None gives every process its own."""
    speed: float = 1.0
    """Of that machine's cores: what others leave of them."""
    warm_up: float = 5.0
    seconds: float = 30.0
    seed: int = 1

    @property
    def rate(self) -> float:
        """Jobs a second in one pool."""
        return self.jobs_per_day / DAY * self.peak / self.pools

    @property
    def fleet(self) -> int:
        """Executors of one pool."""
        return -(-self.executors // self.pools)


@dataclass
class Outcome:
    """What a simulated pool did."""

    scenario: Scenario
    loads: dict[str, float]
    """Work asked of each kind of part, as a share of what it can do; of gateways, of the busiest one."""
    submitted: int = 0
    started: int = 0
    ended: int = 0
    starts: list[float] = field(default_factory=list)
    """Seconds from submission to the beginning of the run."""
    answers: list[float] = field(default_factory=list)
    """Seconds from submission to the result at the client."""
    busy_slots: float = 0.0
    late_beat: float = 0.0
    """The longest that a heartbeat waited for the dispatcher, in seconds."""
    seconds: float = 0.0
    """Until the last job had ended, where all came at once."""

    @property
    def bottleneck(self) -> str:
        """The part that is asked for most."""
        return max(self.loads, key=lambda name: self.loads[name])

    @property
    def leases_hold(self) -> bool:
        """Whether no attempt would be lost for heartbeats that came too late."""
        return self.late_beat < LEASE_SECONDS - self.scenario.beat_seconds

    def start_ms(self, share: float) -> float | None:
        """Return the wait for a start below which a share of the jobs lies, in milliseconds."""
        ordered = sorted(self.starts)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else None


class Runtime:
    """One pool in simulated time."""

    def __init__(self, parameters: Parameters, scenario: Scenario) -> None:
        self.given, self.scenario = parameters, scenario
        self.env = simpy.Environment()
        self._random = random.Random(scenario.seed)
        warm = 0.0 if scenario.at_once else scenario.warm_up
        self._warm = warm
        self.machine = self._station("machine", scenario.cores) if scenario.cores else None
        self.gateways = [self._station("gateway", 1) for _ in range(scenario.gateways)]
        self.registries = [self._station("registry", 1) for _ in range(scenario.registries)]
        self.schedulers = [self._station("scheduler", 1) for _ in range(scenario.schedulers)]
        self.dispatcher = self.schedulers[0]
        self.rabbit = self._station("RabbitMQ", parameters.rabbit_cores * scenario.rabbit_nodes)
        self.queue = self._station("dispatch queue", 1)
        self.mongo = self._station("MongoDB", parameters.mongo_cores * scenario.mongo_shards)
        self.executors = self._station("executor", scenario.fleet)
        self.sandboxes = self._station("sandboxes", scenario.fleet * parameters.slots)
        slots = scenario.fleet * parameters.slots
        self.slots = simpy.Container(self.env, capacity=slots, init=slots)
        self.asked_slots = 0.0
        self._prefetch = PREFETCH * parameters.scheduler_output_ms / 1000
        self._dispatched = self._shared = 0.0
        """Milliseconds asked of the dispatcher alone, and of any scheduler."""
        self._waiting_outputs = 0
        """In RabbitMQ, for a scheduler to store them."""
        self.outcome = Outcome(scenario, {})
        gateways_more = scenario.gateways - MEASURED_GATEWAYS
        copy = parameters.rabbit_beat_ms / COPIES
        self._rabbit_job = max(0.0, parameters.rabbit_job_ms + gateways_more * NEWS_PER_JOB * copy)
        self._rabbit_beat = max(copy, parameters.rabbit_beat_ms + gateways_more * copy)

    def run(self) -> Outcome:
        """Simulate; return what happened after the warm-up."""
        scenario, outcome = self.scenario, self.outcome
        for number in range(scenario.fleet):
            self.env.process(self._beats(number))
        self.env.process(self._storing())
        if scenario.at_once:
            done = self.env.process(self._all_at_once(scenario.at_once))
            self.env.run(done)
        else:
            self._already_running()
            self.env.process(self._arrivals())
            self.env.run(self._warm + scenario.seconds)
        outcome.seconds = self.env.now - self._warm
        outcome.loads = self._loads()
        outcome.late_beat = max(self.dispatcher.longest, self.queue.longest)
        return outcome

    def _station(self, name: str, servers: int) -> Station:
        return Station(self.env, name, servers, random.Random(self._random.random()), since=self._warm)

    def _loads(self) -> dict[str, float]:
        milliseconds = 1000 * (self.env.now - self._warm)
        replicas = {
            "gateway": max(each.load() for each in self.gateways),
            "registry": max(each.load() for each in self.registries),
            "dispatcher": self._dispatched / milliseconds,
            "schedulers": (self._dispatched + self._shared) / milliseconds / len(self.schedulers),
        }
        single = (self.rabbit, self.queue, self.mongo, self.executors, self.sandboxes)
        found = replicas | {each.name: each.load() for each in single}
        if self.machine:
            found["machine"] = self.machine.load()
        return found | {"slots": self.asked_slots / (self.env.now - self._warm) / self.slots.capacity}

    # --- work ---------------------------------------------------------------------------------

    def _take(self, station: Station, ms: float) -> float:
        """Ask a process for CPU, on a core of its own or on one of the machine they all share."""
        if ms <= 0:
            return 0.0
        if self.machine is None:
            return station.take(ms / 1000)
        seconds = station.random.expovariate(1000 / ms) / self.scenario.speed
        return max(station.take_exactly(seconds), self.machine.take_exactly(seconds))

    def _visit(self, station: Station, ms: float, *, wait: float = 0.0) -> simpy.Event:
        return self.env.timeout(self._take(station, ms) + (wait + self.given.hop_ms) / 1000)

    def _message(self, share: float) -> simpy.Event:
        return self._visit(self.rabbit, self._rabbit_job * share)

    def _dispatch(self, ms: float) -> float:
        self._dispatched += ms if self._counts() else 0.0
        return self._take(self.dispatcher, ms)

    def _free_scheduler(self) -> Station | None:
        """Return a scheduler that has less in hand than it may; None if all are busy."""
        first = self._random.randrange(len(self.schedulers))
        for each in (*self.schedulers[first:], *self.schedulers[:first]):
            if each.backlog() < self._prefetch:
                return each
        return None

    def _command(self) -> Steps:
        self._shared += self.given.scheduler_job_ms if self._counts() else 0.0
        while (scheduler := self._free_scheduler()) is None:
            yield self.env.timeout(LOOK_SECONDS)
        yield self._visit(scheduler, self.given.scheduler_job_ms)

    def _storing(self) -> Steps:
        while True:
            while self._waiting_outputs and (scheduler := self._free_scheduler()):
                self._waiting_outputs -= 1
                self._take(scheduler, self.given.scheduler_output_ms)
            yield self.env.timeout(LOOK_SECONDS)

    def _any(self, stations: list[Station]) -> Station:
        return self._random.choice(stations)

    # --- jobs ---------------------------------------------------------------------------------

    def _arrivals(self) -> Steps:
        while True:
            yield self.env.timeout(self._random.expovariate(self.scenario.rate))
            self.env.process(self._job())

    def _all_at_once(self, jobs: int) -> Steps:
        yield simpy.AllOf(self.env, [self.env.process(self._job()) for _ in range(jobs)])

    def _already_running(self) -> None:
        """Begin with as many running jobs as there are on average; what is left of each is alike."""
        busy = min(self.scenario.fleet * self.given.slots, int(self.scenario.rate * self.given.run_seconds))
        for _ in range(busy):
            self.slots.get(1)
            self.env.process(self._running(self._any(self.gateways), self.env.now, counted=False))

    def _counts(self) -> bool:
        return self.env.now >= self._warm

    def _job(self) -> Steps:
        given, gateway, begun, counted = self.given, self._any(self.gateways), self.env.now, self._counts()
        self.outcome.submitted += counted
        if self.machine:
            self.machine.take(given.client_job_ms / 1000 / self.scenario.speed)
        yield self._visit(gateway, given.gateway_job_ms * 0.6)
        yield self._message(0.1)
        yield self._visit(self._any(self.registries), given.registry_job_ms)
        yield self._message(0.1)
        yield from self._command()
        yield self._visit(self.mongo, given.mongo_job_ms * 0.4, wait=given.store_ms)
        yield self._message(0.2)
        yield self._queued(given.dispatcher_job_ms * 0.2)
        self.asked_slots += given.run_seconds if counted else 0.0
        yield self.slots.get(1)
        yield self.env.timeout(self._dispatch(given.dispatcher_job_ms * 0.4) + given.hop_ms / 1000)
        yield self._visit(self.mongo, given.mongo_job_ms * 0.3, wait=given.store_ms)
        yield self._message(0.2)
        yield self._visit(self.executors, given.executor_job_ms * 0.5)
        yield self._visit(self.sandboxes, given.sandbox_job_ms)
        if counted:
            self.outcome.started += 1
            self.outcome.starts.append(self.env.now - begun)
        yield from self._running(gateway, begun, counted=counted)

    def _queued(self, ms: float) -> simpy.Event:
        """Pass the queue that one dispatcher is fed from."""
        through = self._take(self.queue, self.given.queue_message_ms)
        return self.env.timeout(through + self._dispatch(ms) + self.given.hop_ms / 1000)

    def _running(self, gateway: Station, begun: float, *, counted: bool) -> Steps:
        given = self.given
        seconds = self._random.expovariate(1 / given.run_seconds) if given.run_seconds else 0.0
        pauses = given.outputs_per_job / given.run_seconds if given.run_seconds else 0.0
        ends = self.env.now + seconds
        while pauses:
            pause = self._random.expovariate(pauses)
            if self.env.now + pause >= ends:
                break
            yield self.env.timeout(pause)
            self._output(gateway)
        yield self.env.timeout(max(0.0, ends - self.env.now))
        yield self._visit(self.executors, given.executor_job_ms * 0.5)
        yield self._message(0.2)
        yield self._queued(given.dispatcher_job_ms * 0.4)
        yield self._visit(self.mongo, given.mongo_job_ms * 0.3, wait=given.store_ms)
        self.slots.put(1)
        yield self._message(0.2)
        for each in self.gateways:
            self._take(each, given.gateway_news_ms)
        yield self._visit(gateway, given.gateway_job_ms * 0.4)
        if counted:
            self.outcome.ended += 1
            self.outcome.answers.append(self.env.now - begun)

    def _output(self, gateway: Station) -> None:
        """Nobody waits for an output: it only asks every part for its work."""
        given = self.given
        self._take(self.executors, given.executor_output_ms)
        self._take(self.rabbit, given.rabbit_output_ms)
        self._shared += given.scheduler_output_ms if self._counts() else 0.0
        self._waiting_outputs += 1
        self._take(self.mongo, given.mongo_output_ms)
        self._take(gateway, given.gateway_output_ms * given.listeners_per_job)

    # --- heartbeats ---------------------------------------------------------------------------

    def _beats(self, number: int) -> Steps:
        given, every = self.given, self.scenario.beat_seconds
        yield self.env.timeout(every * (number + self._random.random()) / self.scenario.fleet)
        while True:
            self._take(self.executors, given.executor_beat_ms)
            self._take(self.rabbit, self._rabbit_beat)
            self._take(self.queue, given.queue_message_ms)
            self._dispatch(given.dispatcher_beat_ms)
            for each in self.gateways:
                self._take(each, given.gateway_beat_ms)
            yield self.env.timeout(every)


def simulate(parameters: Parameters, scenario: Scenario) -> Outcome:
    """Simulate one pool of a scenario; the same seed gives the same outcome."""
    return Runtime(parameters, scenario).run()
