"""Frames as text. A live frame goes to many listeners and is written out once."""

from functools import cached_property

from qrt_contracts.api import Frame, OutputsFrame


class LiveFrame(OutputsFrame):
    """Outputs as they came live, shared by all listeners of the job."""

    @cached_property
    def text(self) -> str:
        """The frame's JSON."""
        return self.model_dump_json()


def text_of(frame: Frame) -> str:
    """Return a frame's JSON."""
    return frame.text if isinstance(frame, LiveFrame) else frame.model_dump_json()
