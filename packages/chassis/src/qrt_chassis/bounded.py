"""A dict that forgets: what is remembered for speed alone must not grow with what was seen."""

from collections import OrderedDict
from typing import TypeVar

from typing_extensions import override

K = TypeVar("K")
V = TypeVar("V")


class Bounded(OrderedDict[K, V]):
    """A dict of at most so many keys; beyond them the one that was set longest ago is forgotten.

    To set a key again makes it the newest, and so does `move_to_end`, for those that are used.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    @override
    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)
