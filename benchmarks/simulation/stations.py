"""Queues with servers, first come first served, in simulated time."""

import heapq
import random
from dataclasses import dataclass, field

import simpy


@dataclass
class Station:
    """Servers that take work in the order in which it comes.

    Who comes is told at once when its work will be done: it begins when the first server is free. So a visit
    costs one event of the simulation at most, and none if nobody waits for it.
    """

    env: simpy.Environment
    name: str
    servers: int
    random: random.Random
    since: float = 0.0
    """From when on is counted: what came before only warmed up."""
    work: float = 0.0
    """Server seconds that were asked for."""
    visits: int = 0
    waited: float = 0.0
    """Seconds that visits waited before their service, together."""
    longest: float = 0.0
    """The longest of those waits."""
    _free: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Let every server be free."""
        if self.servers < 1:
            raise ValueError(f"{self.name} needs a server")
        self._free = [self.env.now] * self.servers

    def take(self, mean: float) -> float:
        """Ask for exponentially distributed service; return the seconds until it is done."""
        return self.take_exactly(self.random.expovariate(1 / mean) if mean else 0.0)

    def take_exactly(self, seconds: float) -> float:
        """Ask for so many seconds of service; return the seconds until it is done, the wait included."""
        now = self.env.now
        begins = max(now, self._free[0])
        heapq.heapreplace(self._free, begins + seconds)
        if now >= self.since:
            self.work += seconds
            self.visits += 1
            self.waited += begins - now
            self.longest = max(self.longest, begins - now)
        return begins + seconds - now

    def backlog(self) -> float:
        """Return the seconds until the next one that comes is served."""
        return max(0.0, self._free[0] - self.env.now)

    def load(self) -> float:
        """Return the work asked for, as a share of what the servers can do; above 1 it is more than that."""
        counted = self.env.now - self.since
        return self.work / (counted * self.servers) if counted > 0 else 0.0

    def mean_wait(self) -> float:
        """Return how long a visit waits before its service, in seconds."""
        return self.waited / self.visits if self.visits else 0.0
