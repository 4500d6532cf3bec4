"""What one server did with one step of a stream, and what both did."""

from __future__ import annotations

from dataclasses import dataclass

from .streams import Step
from .wire import Reply, as_text

LEFT_OVER = "left over at the end"
STATE = "state at the end"
GONE = "the server does not answer after the stream"
LOG = "what reached the log"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one server did with one step: the frames that came, and how it ended if not well.

    `end` is empty, `closed`, `timeout`, `garbage`, `died`, or `early`: a reply came before its turn.
    """

    frames: tuple[Reply, ...] = ()
    end: str = ""
    detail: str = ""

    @property
    def raw(self) -> bytes:
        return b"".join(frame.raw for frame in self.frames)

    def shown(self) -> str:
        parts = [as_text(frame) for frame in self.frames]
        if self.end:
            ends = {"closed": "(connection closed)", "timeout": "(no reply)", "early": "(before its turn)"}
            parts.append(ends.get(self.end, f"({self.end})"))
        if self.detail:
            parts.append(self.detail)
        return "\n".join(parts) or "(nothing)"


@dataclass(frozen=True, slots=True)
class Compared:
    """One step on both servers. A doubtful difference may be a tick of the clock; it must show again to count.

    `inner` are the rules of the commands whose replies an EXEC returned.
    """

    step: Step
    oracle: Outcome
    subject: Outcome
    rule: str
    same: bool
    note: str = ""
    doubtful: bool = False
    inner: tuple[str, ...] = ()

    @property
    def at_end(self) -> bool:
        """Found after the last step: in what was left over, or in the state."""
        return self.note in (LEFT_OVER, STATE, GONE)


def plain_text(reply: Reply) -> bytes:
    """A reply as one word, for `@wait ... ==` and `#as`: null is nil, an aggregate its elements with spaces."""
    if reply.value is None:
        return b"nil"
    if isinstance(reply.value, bytes):
        return reply.text
    return b" ".join(plain_text(child) for child in reply.value)
