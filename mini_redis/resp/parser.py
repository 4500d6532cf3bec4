"""From bytes to requests: a careful parser that is always right, and a fast path that is right when it answers.

A request is an array of bulk strings, `*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n`, or for people with telnet an inline
command, `GET k\\r\\n`. The bytes arrive in pieces cut anywhere, so the parser is a machine that is fed and asked:

    parser.feed(chunk)
    while batch := parser.next_batch():      # [[b"GET", b"k"], ...]; [] means: more bytes are needed
        ...

or, where a chunk is most often one short request, `parser.single(chunk)` is asked first.

**Careful.** `_next_request` reads one request as Redis does (networking.c: processInlineBuffer,
processMultibulkBuffer), with its limits, its error texts and its leniencies: the two bytes after a bulk string are
skipped unread, and an array of no or negative length is no request. Its state is three fields: the arguments so far,
how many are missing, and the length of the one that is being awaited.

**Small.** Without pipelining a chunk is one short request. Splitting it at its line ends and comparing each length with
its argument takes a quarter of the time, and proves itself: if all lengths agree, no argument holds a line end.

**Fast.** Parsing is the largest part of a pipelined command's cost, so whole chunks go to hiredis's reader, written
in C. It was made for *replies* and accepts much that is no request, thus its answer is used only when it provably is
what the careful parser would say:

    (1) the chunk starts at a request's boundary, and with `*`;
    (2) it ends at one: an empty array that follows must come out, alone, as an array at the top level;
    (3) each request is a list of bytes: nothing but bytes can be joined. Maps, sets and pushes of bytes can be, too,
        but start with `%`, `~`, `>` or `|`; and what is empty can be, so that no reply may be;
    (4) each of these was a bulk string: the other things that hiredis returns as bytes start with `+`, `(` or `=`.

What an item starts with belongs to no argument: if all arguments together hold as many of these seven bytes as the
chunk does, none is outside of them, and so (3) and (4) hold. If not, or if a reply is empty, the replies are encoded
again and must give the chunk. The same comparison finds the whole requests of a chunk that ends within one.

In all other cases the chunk is left, untouched, to the careful parser, and that to its end: who sends what the fast
path cannot use must not make it try again for each request. It does not even try where six digits follow an aggregate's
type: hiredis makes the list before its elements are there, and `*2147483647` alone would hold everybody up for seconds.

That both agree on any input is a property in spec/test_parser.py. Without hiredis only the careful one runs; so it does
for a client that has yet to authenticate, whose limits change as soon as it has.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from mini_redis.resp.reply import ProtocolError
from mini_redis.structures.numbers import parse_integer

hiredis: Any
try:
    import hiredis
except ImportError:  # Pyodide, or a plain installation
    hiredis = None

MAX_INLINE = 64 * 1024  # an inline command, or the line of a length
MAX_MULTIBULK = 2**31 - 1
MAX_UNAUTHENTICATED_MULTIBULK = 10
MAX_UNAUTHENTICATED_BULK = 16384
SPECIAL = re.compile(rb"[\"'\0\v\f]").search  # what makes splitting a line more than splitting at spaces
TELL_TYPES = b"+(=>~|%"  # with these begins whatever hiredis could make bytes, or a collection, of, beside `$` and `*`
UNFINISHED = object()  # what hiredis says when it needs more bytes
HUGE_ARRAY = re.compile(rb"\*\d{6}").search
AS_ARRAYS = bytes.maketrans(b">~|", b"***")  # the other aggregates, so that one search finds them all
SMALL = 256  # bytes of a chunk that may be one request and nothing else: the usual one without pipelining
FEW = 10  # arguments
COUNTS = [b"*%d" % count for count in range(FEW + 1)]
LENGTHS = [b"$%d" % length for length in range(SMALL)]
SPACES = b" \n\r\t\v\f"
WORD_ENDS = b" \n\r\t"
QUOTES = b"\"'"

Request = list[bytes]


class RequestParser:
    """The request stream of one client.

    `max_bulk` is `proto-max-bulk-len` in bytes. `authenticated` lifts the limits that keep strangers from making the
    server allocate; setting it takes effect with the next request.
    """

    __slots__ = (
        "_arguments", "_bulk_length", "_chunks", "_missing", "_reader", "arguments_size", "authenticated", "max_bulk",
        "needed", "size",
    )  # fmt: skip

    def __init__(self, max_bulk: int = 512 * 1024 * 1024, *, authenticated: bool = True, fast: bool = True) -> None:
        self.max_bulk = max_bulk
        self.authenticated = authenticated
        self.size = 0  # bytes that were fed and not yet parsed
        self._chunks: list[bytes] = []
        self.needed = 0  # nothing can be parsed before `size` is this
        self._missing = 0
        self._bulk_length = -1
        self._arguments: Request = []
        self.arguments_size = 0  # bytes of the arguments that have been read of an unfinished request
        self._reader: Any = new_reader() if fast and hiredis else None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream. O(1)."""
        self._chunks.append(chunk)
        self.size += len(chunk)

    @property
    def memory(self) -> int:
        """Bytes of what is unfinished. As in Redis a long argument counts from its announcement on. O(1)."""
        return self.arguments_size + max(self.size, self.needed)

    def single(self, chunk: bytes) -> list[Request]:
        """What a batch would be if this were fed and is one short request; else [], and it is to be fed. O(1)."""
        if self.size or self._missing or len(chunk) > SMALL:
            return []
        request = read_small(chunk)
        return [request] if request else []

    def unread(self, requests: list[Request]) -> None:
        """Give back requests of the last batch that cannot be run now. O(their bytes)."""
        encoded = b"".join(map(encode_request, requests))
        if self._missing:  # the request behind them has begun: its beginning is to be read again, too
            encoded += b"*%d\r\n" % (len(self._arguments) + self._missing)
            encoded += b"".join(map(encode_bulk, self._arguments))
            encoded += b"$%d\r\n" % self._bulk_length if self._bulk_length >= 0 else b""
            self._begin_anew()
        self.needed = 0
        self._chunks.insert(0, encoded)
        self.size += len(encoded)

    def next_batch(self) -> list[Request]:
        """The next requests, at least one unless more bytes are needed; in time linear in the bytes.

        Raises ProtocolError where the stream stops being RESP; the requests before that place were returned earlier.
        """
        if not self.size or self.size < self.needed:
            return []
        self.needed = 0
        chunks = self._chunks
        chunk = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if not self._missing and self._reader is not None and self.authenticated and chunk[0] == 42:
            requests, end = self._read_fast(chunk)
            if end == len(chunk):
                chunks.clear()
                self.size = 0
                if requests:
                    return requests
            elif requests:
                self._keep(chunk, end)
                return requests
        requests, end = self._read_carefully(chunk)
        self._keep(chunk, end)
        return requests

    def _keep(self, chunk: bytes, start: int) -> None:
        self._chunks = [chunk[start:]] if start < len(chunk) else []
        self.size = len(chunk) - start

    # --- Fast --------------------------------------------------------------------------------------------------------

    def _read_fast(self, chunk: bytes) -> tuple[list[Request], int]:
        """The requests at the chunk's start and where they end; ([], 0) when the careful parser must look."""
        tells = count_tells(chunk)
        if HUGE_ARRAY(chunk.translate(AS_ARRAYS) if tells else chunk):
            return [], 0
        reader = self._reader
        replies: list[Request] = []
        try:
            reader.feed(chunk)
            replies.extend(iter(reader.gets, UNFINISHED))
            reader.feed(b"*0\r\n")
            whole = reader.gets() == []
        except (hiredis.HiredisError, TypeError):  # the latter for a list as the key of a map
            whole = False  # what came out before the error is in the list
        try:
            arguments = b"".join(chain.from_iterable(replies))  # only lists of bytes can be joined
        except TypeError:
            self._reader = new_reader()
            return [], 0
        if whole and all(replies) and (not tells or count_tells(arguments) == tells):
            return replies, len(chunk)
        if not whole:
            self._reader = new_reader()  # it still holds the unfinished request
        encoded = b"".join(map(encode_request, replies))
        if not chunk.startswith(encoded) or (whole and len(encoded) != len(chunk)):
            return [], 0
        return list(filter(None, replies)), len(encoded)

    # --- Careful -----------------------------------------------------------------------------------------------------

    def _read_carefully(self, chunk: bytes) -> tuple[list[Request], int]:
        """The chunk's whole requests and where the rest begins; only one for a stranger: AUTH changes the limits."""
        requests: list[Request] = []
        at = 0
        while at < len(chunk):
            start = at
            try:
                request, at = self._next_request(chunk, at)
            except ProtocolError:
                if not requests:
                    raise
                request = None
            if request is None:
                if requests:  # they come first, and could be unread: the rest is read again from its beginning
                    self._begin_anew()
                    self.needed = 0
                    at = start
                break
            requests.append(request)
            if not self.authenticated:
                break
        return requests, at

    def _next_request(self, chunk: bytes, at: int) -> tuple[Request | None, int]:
        """The request at `at` and where the rest begins; None for it when its bytes are not all there."""
        while at < len(chunk):
            if not self._missing:
                if chunk[at] != 42:  # '*'
                    request, at = self._inline(chunk, at)
                    if request or self.needed:
                        return request, at
                    continue
                at = self._multibulk_length(chunk, at)
                if self.needed:
                    break
                if not self._missing:
                    continue  # *0 and *-1 ask for nothing
            at = self._bulks(chunk, at)
            if self._missing:
                break
            request = self._arguments
            self._begin_anew()
            return request, at
        return None, at

    def _begin_anew(self) -> None:
        self._arguments, self.arguments_size, self._missing, self._bulk_length = [], 0, 0, -1

    def _inline(self, chunk: bytes, at: int) -> tuple[Request | None, int]:
        newline = find_in_c_string(chunk, b"\n", at)
        if newline < 0:
            if len(chunk) - at > MAX_INLINE:
                raise ProtocolError(b"ERR Protocol error: too big inline request")
            self.needed = len(chunk) - at + 1
            return None, at
        self.needed = 0
        line = chunk[at:newline]
        words = split_quoted(line[:-1] if line.endswith(b"\r") else line)
        if words is None:
            raise ProtocolError(b"ERR Protocol error: unbalanced quotes in request")
        return words, newline + 1

    def _multibulk_length(self, chunk: bytes, at: int) -> int:
        line, end = self._length_line(chunk, at, b"ERR Protocol error: too big mbulk count string")
        if line is None:
            return at
        length = parse_integer(line[1:])
        if length is None or length > MAX_MULTIBULK:
            raise ProtocolError(b"ERR Protocol error: invalid multibulk length")
        if length > MAX_UNAUTHENTICATED_MULTIBULK and not self.authenticated:
            raise ProtocolError(b"ERR Protocol error: unauthenticated multibulk length")
        self._missing = max(0, length)
        return end

    def _bulks(self, chunk: bytes, at: int) -> int:
        """Read arguments until the request is complete or the bytes run out; where it stopped."""
        while self._missing:
            if self._bulk_length < 0:
                line, end = self._length_line(chunk, at, b"ERR Protocol error: too big bulk count string")
                if line is None:
                    break
                if line[:1] != b"$":
                    raise ProtocolError(b"ERR Protocol error: expected '$', got '%b'" % printable(line[:1] or b"\r"))
                length = parse_integer(line[1:])
                if length is None or length < 0 or length > self.max_bulk:
                    raise ProtocolError(b"ERR Protocol error: invalid bulk length")
                if length > MAX_UNAUTHENTICATED_BULK and not self.authenticated:
                    raise ProtocolError(b"ERR Protocol error: unauthenticated bulk length")
                at = end
                self._bulk_length = length
            end = at + self._bulk_length
            if end + 2 > len(chunk):
                self.needed = end + 2 - at
                break
            self._arguments.append(chunk[at:end])
            self.arguments_size += self._bulk_length
            self.needed = 0
            self._bulk_length = -1
            self._missing -= 1
            at = end + 2
        return at

    def _length_line(self, chunk: bytes, at: int, too_big: bytes) -> tuple[bytes | None, int]:
        """The line at `at` without its end, and where the next begins; None while it is incomplete."""
        carriage_return = find_in_c_string(chunk, b"\r", at)
        if carriage_return < 0 and len(chunk) - at > MAX_INLINE:
            raise ProtocolError(too_big)
        if carriage_return < 0 or carriage_return + 2 > len(chunk):
            self.needed = len(chunk) - at + 1
            return None, at
        self.needed = 0
        return chunk[at:carriage_return], carriage_return + 2


def find_in_c_string(chunk: bytes, end: bytes, at: int) -> int:
    """Where `end` stands, -1 if nowhere: to C, whose functions Redis looks with, a zero byte hides what follows it."""
    found = chunk.find(end, at)
    return -1 if found >= 0 and chunk.find(b"\0", at, found) >= 0 else found


def read_small(chunk: bytes) -> Request | None:
    """The request, if the chunk is exactly one, of few and short arguments without line ends; else None."""
    lines = chunk.split(b"\r\n")
    arguments = lines[2::2]
    if (
        len(lines) == 2 * len(arguments) + 2
        and len(arguments) <= FEW
        and lines[0] == COUNTS[len(arguments)]
        and lines[1:-1:2] == [LENGTHS[len(argument)] for argument in arguments]
        and not lines[-1]
    ):
        return arguments
    return None


def new_reader() -> Any:
    return hiredis.Reader(notEnoughData=UNFINISHED)  # by default False, which `#f` is, too, and `:0` is equal to


def count_tells(text: bytes) -> int:
    """How many of the bytes are in TELL_TYPES."""
    return len(text) - len(text.translate(None, TELL_TYPES))


def encode_request(arguments: Request) -> bytes:
    """The canonical bytes of a request: an array of bulk strings. O(bytes)."""
    return b"*%d\r\n" % len(arguments) + b"".join(map(encode_bulk, arguments))


def encode_bulk(argument: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def printable(text: bytes) -> bytes:
    """Line ends would end the error reply early: they become spaces, as in Redis."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


HEX = frozenset(b"0123456789abcdefABCDEF")
ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}


def split_quoted(line: bytes) -> list[bytes] | None:
    """Split a line into arguments as redis-cli, inline commands and redis.conf do; None if a quote is not closed.

    `"..."` knows \\n \\r \\t \\b \\a \\xHH and a backslash before anything else; `'...'` knows only \\'. A closing
    quote must be followed by a space or the end. O(len(line)). Source: sdssplitargs, Redis 8.2.
    """
    if not SPECIAL(line):
        return line.split()
    line = line.split(b"\0", 1)[0]  # to C the line ends here
    words: list[bytes] = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at] in SPACES:
            at += 1
        if at >= end:
            return words
        word = bytearray()
        while at < end and line[at] not in WORD_ENDS:
            if line[at] in QUOTES:
                closed = _quoted(line, at, word)
                if closed is None or (closed < end and line[closed] not in SPACES):
                    return None
                at = closed
                break
            word.append(line[at])
            at += 1
        words.append(bytes(word))


_NOT_PLAIN = re.compile(rb"[^ -~]|[\"\\]")
_SHORT = {bytes((byte,)): b"\\" + bytes((letter,)) for letter, byte in ESCAPES.items()} | {b"\\": rb"\\", b'"': rb"\""}


def quoted(word: bytes) -> bytes:
    """A word between quotes, readable and on one line whatever is in it: `split_quoted` reads it back. O(n)."""
    return b'"%b"' % _NOT_PLAIN.sub(lambda found: _SHORT.get(found[0]) or rb"\x%02x" % ord(found[0]), word)


def _quoted(line: bytes, at: int, word: bytearray) -> int | None:
    """Append what stands between the quote at `at` and its partner to `word`; the place after, None without one."""
    quote, end = line[at], len(line)
    at += 1
    while at < end:
        char = line[at]
        if char == quote:
            return at + 1
        if char == 92 and at + 1 < end:  # a backslash
            escaped = line[at + 1]
            if quote == 39:  # within '...' only the quote itself can be escaped
                word.append(39 if escaped == 39 else 92)
                at += 2 if escaped == 39 else 1
            elif escaped == 120 and at + 3 < end and line[at + 2] in HEX and line[at + 3] in HEX:
                word.append(int(line[at + 2 : at + 4], 16))
                at += 4
            else:
                word.append(ESCAPES.get(escaped, escaped))
                at += 2
        else:
            word.append(char)
            at += 1
    return None
