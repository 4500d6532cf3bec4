"""Geo: places as members of a sorted set, found by where they are.

There is no type of its own: GEOADD turns longitude and latitude into a number of 52 bits (structures/geohash.py) and
does ZADD, so ZREM removes a place and ZRANGE lists them. A search asks the few ranges of scores that can hold what is
near, and each member found there for its distance.

GEOSEARCH is what GEORADIUS was, with a box as well and without the options that made a read a write; the four old
commands are read by the same parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_after, key_at
from mini_redis.commands.registry import DENYOOM, READONLY, WRITE, command
from mini_redis.commands.sorted_set import CH, NX, OPTIONS, XX, add, insert
from mini_redis.keyspace.types import ZSET
from mini_redis.resp.reply import NOT_A_FLOAT, NULL_ARRAY, SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures import geohash
from mini_redis.structures.geohash import LATITUDES, LONGITUDES, Place, Shape
from mini_redis.structures.numbers import parse_double
from mini_redis.structures.sorted_set import SortedSet

if TYPE_CHECKING:
    from mini_redis.server.context import Context

UNKNOWN_UNIT: Final = ReplyError(b"ERR unsupported unit provided. please use M, KM, FT, MI")
NEGATIVE_RADIUS: Final = ReplyError(b"ERR radius cannot be negative")
NEGATIVE_SIDE: Final = ReplyError(b"ERR height or width cannot be negative")
NOT_A_RADIUS: Final = ReplyError(b"ERR need numeric radius")
NOT_A_WIDTH: Final = ReplyError(b"ERR need numeric width")
NOT_A_HEIGHT: Final = ReplyError(b"ERR need numeric height")
NO_SUCH_MEMBER: Final = ReplyError(b"ERR could not decode requested zset member")
COUNT_NOT_POSITIVE: Final = ReplyError(b"ERR COUNT must be > 0")
ANY_WITHOUT_COUNT: Final = ReplyError(b"ERR the ANY argument requires COUNT argument")

UNITS: Final = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
"""Unit -> metres."""


# --- Places ----------------------------------------------------------------------------------------------------------


@command(
    "GEOADD key [condition:(NX | XX)@6.2.0] [change:CH@6.2.0] data:(longitude latitude member) ...",
    flags=WRITE | DENYOOM,
    acl="geo",
    since="3.2.0",
    complexity="O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    keys=key_at(1, "RW update"),
)
def geoadd(ctx: Context, argv: list[bytes]) -> Reply:
    """Give members of a sorted set their places; without key, that makes the set.

    NX: only new members; XX: only those that are there. Answers how many are new, with CH how many changed. Errors: a
    place that is no number or outside the map; syntax; WRONGTYPE.
    """
    options, at = 0, 2
    while at < len(argv) and (option := OPTIONS.get(argv[at].upper(), 0)) & (NX | XX | CH):
        options |= option
        at += 1
    triples = argv[at:]
    if len(triples) % 3 or (options & NX and options & XX):
        raise SYNTAX_ERROR
    words = []
    for longitude, latitude, member in zip(triples[::3], triples[1::3], triples[2::3], strict=True):
        words += [b"%d" % geohash.encode(_parse_place(longitude, latitude)), member]

    dirty = ctx.server.dirty
    reply = add(ctx, argv[1], options, words)
    if ctx.server.dirty != dirty:
        ctx.propagate_as(b"zadd", argv[1], *argv[2:at], *words)
    return reply


def _parse_place(*words: bytes) -> Place:
    longitude, latitude = (_number(word, NOT_A_FLOAT) for word in words)
    if not (LONGITUDES[0] <= longitude <= LONGITUDES[1] and LATITUDES[0] <= latitude <= LATITUDES[1]):
        raise ReplyError(b"ERR invalid longitude,latitude pair %.6f,%.6f" % (longitude, latitude))
    return longitude, latitude


def _number(raw: bytes, error: ReplyError) -> float:
    number = parse_double(raw)
    if number is None:
        raise error
    return number


@command(
    "GEOPOS key [member ...]",
    flags=READONLY,
    acl="geo",
    since="3.2.0",
    complexity="O(1) for each member requested.",
    keys=key_at(1, "RO access"),
)
def geopos(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the places of members, null for each that is not there: the middle of the cell that the number means.

    Errors: WRONGTYPE.
    """
    places = _places(ctx, argv)
    return [NULL_ARRAY if place is None else list(place) for place in places]


@command(
    "GEOHASH key [member ...]",
    flags=READONLY,
    acl="geo",
    since="3.2.0",
    complexity="O(1) for each member requested.",
    keys=key_at(1, "RO access"),
)
def geohash_(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the standard geohash texts of members, null for each that is not there.

    Errors: WRONGTYPE.
    """
    return [None if place is None else geohash.text(place) for place in _places(ctx, argv)]


def _places(ctx: Context, argv: list[bytes]) -> list[Place | None]:
    pairs = ctx.db.read(argv[1], ZSET)
    return [None if pairs is None else _place_of(pairs, member) for member in argv[2:]]


def _place_of(pairs: SortedSet, member: bytes) -> Place | None:
    score = pairs.scores.get(member)
    return None if score is None else _decode(score)


def _decode(score: float) -> Place:
    """Any score is the number of some place; what 64 bits cannot hold is what the conversion in C makes of it."""
    if score >= 1 << 64:
        return geohash.decode(0)
    return geohash.decode(int(score) if score >= -(1 << 63) else 1 << 63)


@command(
    "GEODIST key member1 member2 [unit:(M | KM | FT | MI)]",
    flags=READONLY,
    acl="geo",
    since="3.2.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
)
def geodist(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how far two members are from each other, null if one is not there.

    Errors: an unknown unit; syntax; WRONGTYPE.
    """
    if len(argv) > 5:
        raise SYNTAX_ERROR
    unit = _parse_unit(argv[4]) if len(argv) > 4 else 1.0
    pairs = ctx.db.read(argv[1], ZSET)
    if pairs is None:
        return None
    one, other = _place_of(pairs, argv[2]), _place_of(pairs, argv[3])
    return None if one is None or other is None else _told(geohash.distance_m(one, other) / unit)


def _parse_unit(raw: bytes) -> float:
    if raw.upper() not in UNITS:
        raise UNKNOWN_UNIT
    return UNITS[raw.upper()]


def _told(distance: float) -> bytes:
    """Four decimals, always."""
    return b"%.4f" % distance


# --- Searches --------------------------------------------------------------------------------------------------------


@command(
    "GEOSEARCH key from:(FROMMEMBER member | FROMLONLAT longitude latitude) by:(circle:(BYRADIUS radius "
    "unit:(M | KM | FT | MI)) | box:(BYBOX width height unit:(M | KM | FT | MI))) [order:(ASC | DESC)] "
    "[count-block:(COUNT count [ANY])] [WITHCOORD] [WITHDIST] [WITHHASH]",
    flags=READONLY,
    acl="geo",
    since="6.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape"
        " provided as the filter and M is the number of items inside the shape"
    ),
    keys=key_at(1, "RO access"),
)
def geosearch(ctx: Context, argv: list[bytes]) -> Reply:
    """Find members within a circle or a box around a place or a member.

    Answers members, or with WITHDIST, WITHHASH and WITHCOORD arrays. Errors: not exactly one centre and one shape; what
    is no number, or negative; an unknown unit; a member that is not there; syntax; WRONGTYPE.
    """
    pairs = ctx.db.read(argv[1], ZSET)
    return _answer(ctx, pairs, _Query(pairs).parse(argv[2:], GEOSEARCH_WORDS, argv[0]))


@command(
    "GEOSEARCHSTORE destination source from:(FROMMEMBER member | FROMLONLAT longitude latitude) "
    "by:(circle:(BYRADIUS radius unit:(M | KM | FT | MI)) | box:(BYBOX width height unit:(M | KM | FT | "
    "MI))) [order:(ASC | DESC)] [count-block:(COUNT count [ANY])] [STOREDIST]",
    flags=WRITE | DENYOOM,
    acl="geo",
    since="6.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape"
        " provided as the filter and M is the number of items inside the shape"
    ),
    keys=(key_at(1, "OW update"), key_at(2, "RO access")),
)
def geosearchstore(ctx: Context, argv: list[bytes]) -> Reply:
    """Find members as GEOSEARCH does, and store them as a sorted set: with their places, or with their distances.

    Answers how many. Errors: as of GEOSEARCH; WITHDIST and its like.
    """
    pairs = ctx.db.read(argv[2], ZSET)
    query = _Query(pairs, target=argv[1])
    return _answer(ctx, pairs, query.parse(argv[3:], GEOSEARCHSTORE_WORDS, argv[0]))


@command(
    "GEORADIUS key longitude latitude radius unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] "
    "[count-block:(COUNT count [ANY@6.2.0])] [order:(ASC | DESC)] [store:(STORE storekey:key | STOREDIST "
    "storedistkey:key)]",
    flags=WRITE | DENYOOM,
    acl="geo",
    since="3.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited"
        " by center and radius and M is the number of items inside the index."
    ),
    keys=(
        key_at(1, "RO access"),
        key_after("STORE", 6, "OW update"),
        key_after("STOREDIST", 6, "OW update"),
    ),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
)
def georadius(ctx: Context, argv: list[bytes]) -> Reply:
    """Find members within a radius around a place, and answer or store them. Replaced by GEOSEARCH."""
    return _around_place(ctx, argv, GEORADIUS_WORDS)


@command(
    "GEORADIUS_RO key longitude latitude radius unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH]"
    " [count-block:(COUNT count [ANY@6.2.0])] [order:(ASC | DESC)]",
    flags=READONLY,
    acl="geo",
    since="3.2.10",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited"
        " by center and radius and M is the number of items inside the index."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` argument",
)
def georadius_ro(ctx: Context, argv: list[bytes]) -> Reply:
    """Find members within a radius around a place: GEORADIUS without STORE. Replaced by GEOSEARCH."""
    return _around_place(ctx, argv, PLAIN_WORDS)


@command(
    "GEORADIUSBYMEMBER key member radius unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] "
    "[count-block:(COUNT count [ANY])] [order:(ASC | DESC)] [store:(STORE storekey:key | STOREDIST "
    "storedistkey:key)]",
    flags=WRITE | DENYOOM,
    acl="geo",
    since="3.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited"
        " by center and radius and M is the number of items inside the index."
    ),
    keys=(
        key_at(1, "RO access"),
        key_after("STORE", 5, "OW update"),
        key_after("STOREDIST", 5, "OW update"),
    ),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember(ctx: Context, argv: list[bytes]) -> Reply:
    """Find members within a radius around a member, and answer or store them. Replaced by GEOSEARCH."""
    return _around_member(ctx, argv, GEORADIUS_WORDS)


@command(
    "GEORADIUSBYMEMBER_RO key member radius unit:(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] "
    "[count-block:(COUNT count [ANY])] [order:(ASC | DESC)]",
    flags=READONLY,
    acl="geo",
    since="3.2.10",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited"
        " by center and radius and M is the number of items inside the index."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember_ro(ctx: Context, argv: list[bytes]) -> Reply:
    """Find members within a radius around a member: GEORADIUSBYMEMBER without STORE. Replaced by GEOSEARCH."""
    return _around_member(ctx, argv, PLAIN_WORDS)


def _around_place(ctx: Context, argv: list[bytes], allowed: frozenset[bytes]) -> Reply:
    pairs = ctx.db.read(argv[1], ZSET)
    query = _Query(pairs, centre=_parse_place(argv[2], argv[3]))
    query.read_circle(argv[4], argv[5])
    return _answer(ctx, pairs, query.parse(argv[6:], allowed, argv[0]))


def _around_member(ctx: Context, argv: list[bytes], allowed: frozenset[bytes]) -> Reply:
    pairs = ctx.db.read(argv[1], ZSET)
    query = _Query(pairs)
    query.read_member(argv[2])
    if pairs is not None:
        query.read_circle(argv[3], argv[4])
    return _answer(ctx, pairs, query.parse(argv[5:], allowed, argv[0]))


PLAIN_WORDS: Final = frozenset({b"WITHDIST", b"WITHHASH", b"WITHCOORD", b"ANY", b"ASC", b"DESC", b"COUNT"})
GEORADIUS_WORDS: Final = PLAIN_WORDS | {b"STORE", b"STOREDIST"}
GEOSEARCH_WORDS: Final = PLAIN_WORDS | {b"FROMMEMBER", b"FROMLONLAT", b"BYRADIUS", b"BYBOX"}
GEOSEARCHSTORE_WORDS: Final = GEOSEARCH_WORDS | {b"STOREDIST"}


@dataclass(slots=True)
class _Query:
    """What a search asks for."""

    pairs: SortedSet | None
    centre: Place | None = None
    centred_by: bytes = b""
    """The word that told the centre; which stays unknown if that is a member and there is no key."""
    width: float = 0.0
    height: float = 0.0
    circular: bool | None = None
    unit_m: float = 1.0
    with_distance: bool = False
    with_hash: bool = False
    with_place: bool = False
    count: int = 0
    any: bool = False
    order: bytes = b""
    target: bytes | None = None
    by_distance: bool = False
    """Distances are stored, not places."""

    def read_member(self, member: bytes) -> None:
        if self.pairs is not None:
            self.centre = _place_of(self.pairs, member)
            if self.centre is None:
                raise NO_SUCH_MEMBER

    def read_circle(self, radius: bytes, unit: bytes) -> None:
        self.width = self.height = 2 * _number(radius, NOT_A_RADIUS)
        if self.width < 0:
            raise NEGATIVE_RADIUS
        self.unit_m, self.circular = _parse_unit(unit), True

    def read_box(self, width: bytes, height: bytes, unit: bytes) -> None:
        self.width, self.height = _number(width, NOT_A_WIDTH), _number(height, NOT_A_HEIGHT)
        if self.width < 0 or self.height < 0:
            raise NEGATIVE_SIDE
        self.unit_m, self.circular = _parse_unit(unit), False

    def parse(self, words: list[bytes], allowed: frozenset[bytes], name: bytes) -> _Query:
        """Read the options of a call; `allowed` are those of its command."""
        storing_search = self.target is not None
        at = 0
        while at < len(words):
            option, left = words[at].upper(), len(words) - at - 1
            if option not in allowed:
                raise SYNTAX_ERROR
            match option:
                case b"WITHDIST":
                    self.with_distance = True
                case b"WITHHASH":
                    self.with_hash = True
                case b"WITHCOORD":
                    self.with_place = True
                case b"ANY":
                    self.any = True
                case b"ASC" | b"DESC":
                    self.order = option
                case b"COUNT" if left >= 1:
                    self.count = integer(words[at + 1])
                    if self.count <= 0:
                        raise COUNT_NOT_POSITIVE
                    at += 1
                case b"STOREDIST" if storing_search:
                    self.by_distance = True
                case b"STORE" | b"STOREDIST" if left >= 1:
                    self.target, self.by_distance = words[at + 1], option == b"STOREDIST"
                    at += 1
                case b"FROMMEMBER" if left >= 1 and self.centred_by in (b"", option):
                    self.read_member(words[at + 1])
                    self.centred_by = option
                    at += 1
                case b"FROMLONLAT" if left >= 2 and self.centred_by in (b"", option):
                    self.centre, self.centred_by = _parse_place(words[at + 1], words[at + 2]), option
                    at += 2
                case b"BYRADIUS" if left >= 2 and self.circular is not False:
                    self.read_circle(words[at + 1], words[at + 2])
                    at += 2
                case b"BYBOX" if left >= 3 and self.circular is not True:
                    self.read_box(words[at + 1], words[at + 2], words[at + 3])
                    at += 3
                case _:
                    raise SYNTAX_ERROR
            at += 1
        if self.target is not None and (self.with_distance or self.with_hash or self.with_place):
            raise _incompatible(b"GEOSEARCHSTORE" if storing_search else b"STORE option in GEORADIUS")
        if b"BYBOX" in allowed and not self.centred_by:
            raise _needs_one(b"FROMMEMBER or FROMLONLAT", name)
        if b"BYBOX" in allowed and self.circular is None:
            raise _needs_one(b"BYRADIUS and BYBOX", name)
        if self.any and not self.count:
            raise ANY_WITHOUT_COUNT
        if self.count and not self.any and not self.order:
            self.order = b"ASC"  # so many of what is near means the nearest
        return self

    def find(self, pairs: SortedSet) -> list[_Found]:
        """The members in question, in the order that is wanted. O(members of nine cells)."""
        assert self.centre is not None
        width_m, height_m = self.width * self.unit_m, self.height * self.unit_m
        shape = Shape(self.centre, width_m, height_m, bool(self.circular))
        measured = shape.ruler()
        found: list[_Found] = []
        for low, high in shape.cells():
            start, stop = pairs.rank_of_score(low, after=False), pairs.rank_of_score(high, after=False)
            for score, member in pairs.slice(start, stop):
                place = _decode(score)
                distance_m = measured(place)
                if distance_m is not None:
                    found.append(_Found(distance_m, member, score, place))
                    if self.any and len(found) == self.count:
                        return self._sorted(found)
        return self._sorted(found)[: self.count or None]

    def _sorted(self, found: list[_Found]) -> list[_Found]:
        if self.order:
            found.sort(key=lambda one: one.distance_m, reverse=self.order == b"DESC")
        return found


def _incompatible(what: bytes) -> ReplyError:
    return ReplyError(b"ERR %b is not compatible with WITHDIST, WITHHASH and WITHCOORD options" % what)


def _needs_one(what: bytes, name: bytes) -> ReplyError:
    return ReplyError(b"ERR exactly one of %b can be specified for %b" % (what, name))


class _Found(NamedTuple):
    distance_m: float
    member: bytes
    score: float
    place: Place


def _answer(ctx: Context, pairs: SortedSet | None, query: _Query) -> Reply:
    found = [] if pairs is None else query.find(pairs)
    if query.target is not None:
        return _store(ctx, query, found)
    if not (query.with_distance or query.with_hash or query.with_place):
        return [one.member for one in found]
    return [_row(query, one) for one in found]


def _row(query: _Query, one: _Found) -> list[Reply]:
    row: list[Reply] = [one.member]
    if query.with_distance:
        row.append(_told(one.distance_m / query.unit_m))
    if query.with_hash:
        row.append(int(one.score))
    if query.with_place:
        row.append(list(one.place))
    return row


def _store(ctx: Context, query: _Query, found: list[_Found]) -> int:
    assert query.target is not None
    result = SortedSet()
    for one in found:
        insert(ctx, result, one.member, one.distance_m / query.unit_m if query.by_distance else one.score)
    return ctx.store(query.target, result, "geosearchstore" if query.centred_by else "georadiusstore")
