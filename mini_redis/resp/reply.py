"""What a command can answer: the reply types, and the error texts in one place.

Handlers return plain Python values and never see the wire. The Python type *is* the RESP type:

    bytes, bytearray   bulk string          None          null
    SimpleString       simple string (OK)   NULL_ARRAY    null, but an array for RESP2 clients
    int                integer              list, tuple   array
    float              double               dict          map (RESP2: flat array)
    bool               boolean              SetReply      set (RESP2: array)
    ReplyError         error                Push          out-of-band push (RESP2: array)
    Verbatim           verbatim string      NO_REPLY      nothing at all is sent
    BigNumber          big number           Annotated     attributes, then a reply (RESP2: the reply)
    Bulks              array of nothing but bulk strings
    Frames             several replies one after another, without anything around them
    Pairs              map whose names may repeat, as a list of pairs (RESP2: array of pairs, not flat)
    FlatMap, BigText, FormattedText          map, big number and verbatim string of a script's making

How each looks under RESP2 and RESP3 is the business of `encoder.py` alone.

A client's mistake is a raised `ReplyError`. The texts are protocol: clients match on their first word, test
suites on all of them, so they are those of Redis 8.2.3 to the letter and every one that is used by more than
one command stands here.
"""

from __future__ import annotations

from typing import TypeAlias

# Anything of the table above. A recursive union would be exact, but `list` being invariant makes such a type
# fight its users; the encoder refuses what is not in the table.
Reply: TypeAlias = object


class SimpleString(bytes):
    """A status such as OK; short, and never a user's data."""

    __slots__ = ()


class SetReply(list[Reply]):
    """An unordered collection without duplicates. The caller guarantees both."""

    __slots__ = ()


class Bulks(list[bytes]):
    """An array of nothing but bulk strings, which the caller guarantees: the encoder need not look at each."""

    __slots__ = ()


class Push(list[Reply]):
    """A message the client did not ask for; the first element names its kind."""

    __slots__ = ()


class Verbatim(bytes):
    """Text for humans (INFO, CLIENT LIST): `txt` to RESP3 clients, a bulk string to others."""

    __slots__ = ()


class BigNumber(int):
    """An integer that 64 bits may not hold (RESP2: bulk string)."""

    __slots__ = ()


class FlatMap(list[Reply]):
    """A map as its names and values in turn: where a name can be any reply, or be there twice."""

    __slots__ = ()


class BigText(bytes):
    """A big number as whoever made it has spelled it, which nobody checks (RESP2: bulk string)."""

    __slots__ = ()


class FormattedText:
    """A verbatim string of any format, told in three bytes (RESP2: bulk string)."""

    __slots__ = ("form", "text")

    def __init__(self, text: bytes, form: bytes) -> None:
        self.text = text
        self.form = form[:3].ljust(3)


class Annotated:
    """A reply that comes with attributes: facts beside the answer, which a client may ignore."""

    __slots__ = ("attributes", "reply")

    def __init__(self, attributes: dict[Reply, Reply], reply: Reply) -> None:
        self.attributes = attributes
        self.reply = reply


class Frames(list[Reply]):
    """One request, several replies: an answer and the pushes that follow it."""

    __slots__ = ()


class Pairs(list[Reply]):
    """A map whose names may repeat: XREAD's streams. Each element is a list of two."""

    __slots__ = ()


class InProtocol:
    """A reply in the protocol (2 or 3) that was spoken when it was given, whatever its surroundings are told in."""

    __slots__ = ("protocol", "reply")

    def __init__(self, reply: Reply, protocol: int) -> None:
        self.reply = reply
        self.protocol = protocol


class _Marker:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NULL_ARRAY = _Marker("NULL_ARRAY")
NO_REPLY = _Marker("NO_REPLY")

OK = SimpleString(b"OK")
QUEUED = SimpleString(b"QUEUED")
PONG = SimpleString(b"PONG")
RESET = SimpleString(b"RESET")


LONGEST_CODE = 30


class ReplyError(Exception):
    """An error reply. `text` is what follows the minus sign: an upper-case code, a space, a sentence."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text

    @property
    def code(self) -> bytes:
        """The first word, by which INFO errorstats counts: `ERR`, `WRONGTYPE`, `NOAUTH`...

        An error of a script's making may have none, or a very long one: it counts as `ERR`.
        """
        end = self.text.find(b" ", 0, LONGEST_CODE + 1)
        return self.text[:end] if end >= 0 else b"ERR"


class ProtocolError(ReplyError):
    """The bytes are not RESP. The client is told, then disconnected: nobody knows where the next request starts."""


# --- Any command ---------------------------------------------------------------------------------------------------
SYNTAX_ERROR = ReplyError(b"ERR syntax error")
NOT_AN_INTEGER = ReplyError(b"ERR value is not an integer or out of range")
NOT_A_FLOAT = ReplyError(b"ERR value is not a valid float")
OUT_OF_RANGE = ReplyError(b"ERR value is out of range")
WRONG_TYPE = ReplyError(b"WRONGTYPE Operation against a key holding the wrong kind of value")
NO_SUCH_KEY = ReplyError(b"ERR no such key")
WOULD_OVERFLOW = ReplyError(b"ERR increment or decrement would overflow")
NOT_FINITE = ReplyError(b"ERR increment would produce NaN or Infinity")
COUNT_OUT_OF_RANGE = ReplyError(
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)
NOT_POSITIVE = ReplyError(b"ERR value is out of range, must be positive")
NUMKEYS_NOT_POSITIVE = ReplyError(b"ERR numkeys should be greater than 0")
TOO_MANY_KEYS = ReplyError(b"ERR Number of keys can't be greater than number of args")
SAME_OBJECT = ReplyError(b"ERR source and destination objects are the same")
MODULE_KEY_NOT_COPIED = ReplyError(b"ERR not supported for this module key")
INVALID_DB_INDEX = ReplyError(b"ERR invalid DB index")
DB_INDEX_OUT_OF_RANGE = ReplyError(b"ERR DB index is out of range")

# --- Who may say what: authentication, memory, transactions ----------------------------------------------------------
NO_AUTH = ReplyError(b"NOAUTH Authentication required.")
WRONG_PASS = ReplyError(b"WRONGPASS invalid username-password pair or user is disabled.")
OUT_OF_MEMORY = ReplyError(b"OOM command not allowed when used memory > 'maxmemory'.")
NESTED_MULTI = ReplyError(b"ERR MULTI calls can not be nested")
EXEC_WITHOUT_MULTI = ReplyError(b"ERR EXEC without MULTI")
DISCARD_WITHOUT_MULTI = ReplyError(b"ERR DISCARD without MULTI")
EXEC_ABORT = ReplyError(b"EXECABORT Transaction discarded because of previous errors.")
WATCH_INSIDE_MULTI = ReplyError(b"ERR WATCH inside MULTI is not allowed")
NOT_ALLOWED_IN_MULTI = ReplyError(b"ERR Command not allowed inside a transaction")


def wrong_arity(command: bytes) -> ReplyError:
    """`command` is the lower-case full name, `client|kill` for a subcommand."""
    return ReplyError(b"ERR wrong number of arguments for '%b' command" % command)
