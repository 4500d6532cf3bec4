"""Vector sets: which elements are like this one?

Each element has a vector, a list of numbers such as an embedding model makes of a text or a picture; two elements are
alike if their vectors point in the same direction (structures/vector_set.py tells how that is computed and stored).

    VADD key VALUES 3 0.1 0.9 0.3 song:1 SETATTR '{"year": 1999}'
    VSIM key ELE song:1 COUNT 5 FILTER '.year > 1990'

In Redis 8 these commands belong to a module that is built in, called vectorset: hence their names in capitals in
COMMAND, their lack of documentation there, and error texts of their own.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import DENYOOM, FAST, MODULE, READONLY, WRITE, Command, Handler, register
from mini_redis.keyspace.notifications import NO_EVENT
from mini_redis.keyspace.types import VECTOR_SET
from mini_redis.resp.reply import NULL_ARRAY, Reply, ReplyError, SimpleString
from mini_redis.structures.filter_expression import Filter, FilterError
from mini_redis.structures.numbers import INT64_MAX, parse_double, parse_integer
from mini_redis.structures.vector_set import (
    BIN,
    F32,
    INT8,
    Point,
    VectorSet,
    parse_f32,
    project,
    quantise,
    single,
)

if TYPE_CHECKING:
    from mini_redis.server.context import Context

INVALID_VECTOR = ReplyError(b"ERR invalid vector specification")
INVALID_EF = ReplyError(b"ERR invalid EF")
INVALID_M = ReplyError(b"ERR invalid M")
INVALID_OPTION_AFTER_ELEMENT = ReplyError(b"ERR invalid option after element")
OTHER_QUANTISATION = ReplyError(b"ERR asked quantization mismatch with existing vector set")
OTHER_M = ReplyError(b"ERR asked M value mismatch with existing vector set")
NO_PROJECTION = ReplyError(b"ERR cannot add projection to existing set without projection")
NO_SUCH_ELEMENT = ReplyError(b"ERR element not found in set")
KEY_DOES_NOT_EXIST = ReplyError(b"ERR key does not exist")
SYNTAX_ERROR_IN_VSIM = ReplyError(b"ERR syntax error in VSIM command")
INVALID_COUNT = ReplyError(b"ERR invalid COUNT")
INVALID_EPSILON = ReplyError(b"ERR invalid EPSILON")
INVALID_FILTER_EF = ReplyError(b"ERR invalid FILTER-EF")
COUNT_NOT_AN_INTEGER = ReplyError(b"ERR COUNT value is not an integer")
INVALID_OPTION = ReplyError(b"ERR invalid option")

DEFAULT_M: Final = 16
LARGEST_M: Final = 4096
SMALLEST_M: Final = 4
LARGEST_EF: Final = 1_000_000
DEFAULT_COUNT: Final = 10
QUANTISATIONS: Final = {b"NOQUANT": F32, b"Q8": INT8, b"BIN": BIN}


def _command(
    name: str, flags: int, least: int, most: int | None = None, *, complexity: str = "O(1)"
) -> Callable[[Handler], Handler]:
    """Declare a module's command. `least` and `most`: words of a call, which the module checks and not the table."""

    def declare(handler: Handler) -> Handler:
        wrong_arity = ReplyError(f"ERR wrong number of arguments for '{name}' command".encode())

        def checked(ctx: Context, argv: list[bytes]) -> Reply:
            if len(argv) < least or (most is not None and len(argv) > most):
                raise wrong_arity
            return handler(ctx, argv)

        assert handler.__doc__
        register(
            Command(
                name=name.encode(),
                handler=checked,
                arity=-1,
                flags=flags | MODULE,
                categories=(),
                group="module",
                summary=handler.__doc__.strip().splitlines()[0],
                since="8.0.0",
                complexity=complexity,
                key_specs=(key_at(1, "RW access update"),),
                module="vectorset",
            )
        )
        return handler

    return declare


# --- Change ----------------------------------------------------------------------------------------------------------


@_command("VADD", WRITE | DENYOOM, least=5, complexity="O(dim)")
def vadd(ctx: Context, argv: list[bytes]) -> Reply:
    """Give an element its vector: true if it is new. O(dim), while Redis's graph takes O(log N).

    VADD key [REDUCE dim] (FP32 blob | VALUES num number ...) element [CAS] [NOQUANT | Q8 | BIN] [EF effort]
    [SETATTR json] [M links]. REDUCE, the quantisation and M are chosen by the first VADD, and have to fit afterwards.
    """
    reduced, vector, at = _vector(argv, 2, may_reduce=True)
    if at >= len(argv):
        raise INVALID_VECTOR if at > len(argv) else ReplyError(b"ERR wrong number of arguments for 'VADD' command")
    element = argv[at]
    kind, links, attributes = _vadd_options(argv[at + 1 :])
    vectors = ctx.db.write(argv[1], VECTOR_SET)
    if vectors is None:
        dim, number = reduced or len(vector), ctx.server.vector_sets_created
        vectors = VectorSet(dim, kind or INT8, links or DEFAULT_M, len(vector) if reduced else 0, number)
    else:
        assert isinstance(vectors, VectorSet)
        _check_fits(vectors, reduced, len(vector), kind, links)

    is_new_set = not vectors
    is_new = vectors.add(element, project(vector, reduced) if reduced else vector)
    if attributes is not None:
        vectors.set_attributes(element, attributes)

    if is_new_set:
        ctx.server.vector_sets_created += 1
        ctx.db.set(argv[1], vectors)
    ctx.changed(argv[1], NO_EVENT)
    return is_new


def _check_fits(vectors: VectorSet, reduced: int, given: int, kind: bytes, links: int) -> None:
    if reduced and vectors.projected_from:
        if reduced != vectors.dim:
            raise _mismatch(given, vectors.dim)
        if given != vectors.projected_from:
            raise _projection_mismatch(given, vectors.projected_from)
    elif vectors.projected_from or given != vectors.dim:
        raise _mismatch(given, vectors.dim)
    if (kind or INT8) != vectors.kind:
        raise OTHER_QUANTISATION
    if links and links != vectors.links:
        raise OTHER_M
    if reduced and not vectors.projected_from:
        raise NO_PROJECTION


def _mismatch(given: int, dim: int) -> ReplyError:
    return ReplyError(b"ERR Vector dimension mismatch - got %d but set has %d" % (given, dim))


def _projection_mismatch(given: int, expected: int) -> ReplyError:
    return ReplyError(
        b"ERR Input dimension mismatch for projection - got %d but projection expects %d" % (given, expected)
    )


def _vadd_options(words: list[bytes]) -> tuple[bytes, int, bytes | None]:
    kind, links, attributes = b"", 0, None
    at = 0
    while at < len(words):
        word = words[at].upper()
        has_argument = at + 1 < len(words)
        if word in QUANTISATIONS:
            kind = QUANTISATIONS[word]
        elif word == b"EF" and has_argument:
            _bounded(words[at + 1], 1, LARGEST_EF, INVALID_EF)
            at += 1
        elif word == b"M" and has_argument:
            links = _bounded(words[at + 1], SMALLEST_M, LARGEST_M, INVALID_M)
            at += 1
        elif word == b"SETATTR" and has_argument:
            attributes = words[at + 1]
            at += 1
        elif word != b"CAS":
            raise INVALID_OPTION_AFTER_ELEMENT
        at += 1
    return kind, links, attributes


@_command("VREM", WRITE, least=3, most=3)
def vrem(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove an element: true if it was there. O(1)."""
    vectors = ctx.db.write(argv[1], VECTOR_SET)
    if vectors is None:
        return False
    assert isinstance(vectors, VectorSet)
    if not vectors.remove(argv[2]):
        return False
    if not vectors:
        ctx.db.delete(argv[1])
    ctx.changed(argv[1], NO_EVENT)
    return True


@_command("VSETATTR", WRITE | FAST, least=4, most=4)
def vsetattr(ctx: Context, argv: list[bytes]) -> Reply:
    """Attach attributes, a JSON text, to an element; the empty text takes them away. False if it is not there. O(1)."""
    vectors = ctx.db.write(argv[1], VECTOR_SET)
    if vectors is None:
        return False
    assert isinstance(vectors, VectorSet)
    if argv[2] not in vectors.points:
        return False
    vectors.set_attributes(argv[2], argv[3])
    ctx.changed(argv[1], NO_EVENT)
    return True


# --- Search ----------------------------------------------------------------------------------------------------------


@_command("VSIM", READONLY, least=4, complexity="O(N dim)")
def vsim(ctx: Context, argv: list[bytes]) -> Reply:
    """The elements most like a vector or another element, the most alike first. O(N dim).

    VSIM key (ELE element | FP32 blob | VALUES num number ...) [WITHSCORES] [WITHATTRIBS] [COUNT n] [EPSILON d]
    [FILTER expression] [EF, FILTER-EF effort] [TRUTH] [NOTHREAD]. EPSILON: at most so far away, a distance of 1 being
    a right angle.
    """
    vectors = ctx.db.read(argv[1], VECTOR_SET)
    if vectors is None:
        return []
    assert isinstance(vectors, VectorSet)
    target, at = _target(vectors, argv)
    options = _vsim_options(argv[at:])
    found = (pair for pair in vectors.distances(target) if pair[0] / 2 <= options.epsilon)
    if options.filter is not None:
        accepts, attributes = options.filter.accepts, vectors.attributes
        found = (
            pair
            for pair in found
            if pair[1] in attributes and accepts(attributes[pair[1]].decode("utf-8", "surrogateescape"))
        )
    nearest = heapq.nsmallest(min(options.count, len(vectors)), found, key=lambda pair: pair[0])

    if not options.scores and not options.attributes:
        return [element for _, element in nearest]
    answer: dict[bytes, Reply] = {}
    for away, element in nearest:
        parts: list[Reply] = []
        if options.scores:
            parts.append(1.0 - single(away) / 2)
        if options.attributes:
            parts.append(vectors.attributes.get(element))
        answer[element] = parts if len(parts) > 1 else parts[0]
    if ctx.client.resp == 2 and options.scores and options.attributes:
        return [word for element in answer for word in (element, *answer[element])]  # type: ignore[misc]
    return answer


def _target(vectors: VectorSet, argv: list[bytes]) -> tuple[Point, int]:
    """What VSIM compares with, and where its options begin."""
    if argv[2].upper() == b"ELE":
        point = vectors.points.get(argv[3])
        if point is None:
            raise NO_SUCH_ELEMENT
        return point, 4
    _, vector, at = _vector(argv, 2)
    if len(vector) != vectors.dim and vectors.projected_from:
        if len(vector) != vectors.projected_from:
            raise _projection_mismatch(len(vector), vectors.projected_from)
        vector = project(vector, vectors.dim)
    if len(vector) != vectors.dim:
        raise _mismatch(len(vector), vectors.dim)
    return quantise(vector, vectors.kind), at


class _Search:
    """The options of VSIM."""

    def __init__(self) -> None:
        self.scores = self.attributes = False
        self.count = DEFAULT_COUNT
        self.epsilon = 2.0
        self.filter: Filter | None = None


def _vsim_options(words: list[bytes]) -> _Search:
    options = _Search()
    at = 0
    while at < len(words):
        word = words[at].upper()
        argument = words[at + 1] if at + 1 < len(words) else None
        if word == b"WITHSCORES":
            options.scores = True
        elif word == b"WITHATTRIBS":
            options.attributes = True
        elif word in (b"TRUTH", b"NOTHREAD"):
            pass  # it is exact, and there is one thread
        elif argument is None:
            raise SYNTAX_ERROR_IN_VSIM
        else:
            at += 1
            match word:
                case b"COUNT":
                    options.count = _bounded(argument, 1, INT64_MAX, INVALID_COUNT)
                case b"EPSILON":
                    epsilon = parse_double(argument)
                    if epsilon is None or epsilon <= 0:
                        raise INVALID_EPSILON
                    options.epsilon = epsilon
                case b"EF":
                    _bounded(argument, 1, INT64_MAX, INVALID_EF)
                case b"FILTER-EF":
                    _bounded(argument, 0, INT64_MAX, INVALID_FILTER_EF)
                case b"FILTER":
                    options.filter = _filter(argument)
                case _:
                    raise SYNTAX_ERROR_IN_VSIM
        at += 1
    return options


def _filter(text: bytes) -> Filter:
    try:
        return Filter(text.decode("utf-8", "surrogateescape"))
    except FilterError as error:
        near = str(error).encode("utf-8", "surrogateescape")
        raise ReplyError(b"ERR syntax error in FILTER expression near: " + near) from None


@_command("VLINKS", READONLY | FAST, least=3, most=4, complexity="O(N dim)")
def vlinks(ctx: Context, argv: list[bytes]) -> Reply:
    """The neighbours of an element, by layer. Here there is one layer, and they are its nearest. O(N dim)."""
    vectors = ctx.db.read(argv[1], VECTOR_SET)
    with_scores = len(argv) == 4
    if with_scores and argv[3].upper() != b"WITHSCORES":
        raise ReplyError(b"ERR wrong number of arguments for 'VLINKS' command")
    if vectors is None:
        return None
    assert isinstance(vectors, VectorSet)
    point = vectors.points.get(argv[2])
    if point is None:
        return None
    others = ((away, element) for away, element in vectors.distances(point) if element != argv[2])
    nearest = heapq.nsmallest(2 * vectors.links, others, key=lambda pair: pair[0])
    if with_scores:
        return [{element: 1.0 - away / 2 for away, element in nearest}]
    return [[element for _, element in nearest]]


# --- Look ------------------------------------------------------------------------------------------------------------


@_command("VCARD", READONLY | FAST, least=2, most=2)
def vcard(ctx: Context, argv: list[bytes]) -> Reply:
    """How many elements there are. O(1)."""
    vectors = _read(ctx, argv)
    return 0 if vectors is None else len(vectors)


@_command("VDIM", READONLY | FAST, least=2, most=2)
def vdim(ctx: Context, argv: list[bytes]) -> Reply:
    """How many numbers a vector has, after REDUCE. O(1)."""
    vectors = _read(ctx, argv)
    if vectors is None:
        raise KEY_DOES_NOT_EXIST
    return vectors.dim


@_command("VEMB", READONLY | FAST, least=3, complexity="O(dim)")
def vemb(ctx: Context, argv: list[bytes]) -> Reply:
    """An element's vector as far as quantisation has kept it; RAW tells how it is stored. O(dim)."""
    raw = len(argv) == 4 and argv[3].upper() == b"RAW"
    if len(argv) > 3 and not raw:
        raise INVALID_OPTION
    vectors = _read(ctx, argv)
    if vectors is None:
        return None
    if not raw:
        return vectors.vector(argv[2])
    stored = vectors.stored(argv[2])
    if stored is None:
        return None
    return [SimpleString(part) if at == 0 and isinstance(part, bytes) else part for at, part in enumerate(stored)]


@_command("VGETATTR", READONLY | FAST, least=3, most=3)
def vgetattr(ctx: Context, argv: list[bytes]) -> Reply:
    """The attributes of an element, null if it has none. O(1)."""
    vectors = _read(ctx, argv)
    return None if vectors is None else vectors.attributes.get(argv[2])


@_command("VISMEMBER", READONLY, least=3, most=3)
def vismember(ctx: Context, argv: list[bytes]) -> Reply:
    """Whether the element is there. O(1)."""
    vectors = _read(ctx, argv)
    return vectors is not None and argv[2] in vectors.points


@_command("VINFO", READONLY | FAST, least=2, most=2)
def vinfo(ctx: Context, argv: list[bytes]) -> Reply:
    """How the set is stored. O(1)."""
    vectors = _read(ctx, argv)
    if vectors is None:
        return NULL_ARRAY
    facts: dict[bytes, Reply] = {
        b"quant-type": SimpleString(vectors.kind),
        b"hnsw-m": vectors.links,
        b"vector-dim": vectors.dim,
        b"projection-input-dim": vectors.projected_from,
        b"size": len(vectors),
        b"max-level": 0,
        b"attributes-count": len(vectors.attributes),
        b"vset-uid": vectors.number,
        b"hnsw-max-node-uid": vectors.created,
    }
    return {SimpleString(name): value for name, value in facts.items()}


@_command("VRANDMEMBER", READONLY, least=2, most=3, complexity="O(count)")
def vrandmember(ctx: Context, argv: list[bytes]) -> Reply:
    """Elements by chance: one, so many different ones, or, for a negative count, so many with repetition. O(count)."""
    count = parse_integer(argv[2]) if len(argv) == 3 else 1
    if count is None:
        raise COUNT_NOT_AN_INTEGER
    vectors = _read(ctx, argv)
    if len(argv) == 2:
        return None if vectors is None else vectors.random(ctx.rng)
    if vectors is None:
        return []
    if count < 0:
        return [vectors.random(ctx.rng) for _ in range(-count)]
    return vectors.points.sample(ctx.rng, count)


# --- Arguments -------------------------------------------------------------------------------------------------------


def _read(ctx: Context, argv: list[bytes]) -> VectorSet | None:
    vectors = ctx.db.read(argv[1], VECTOR_SET)
    assert vectors is None or isinstance(vectors, VectorSet)
    return vectors


def _vector(argv: list[bytes], at: int, *, may_reduce: bool = False) -> tuple[int, list[float], int]:
    """REDUCE's dimension or 0, the vector, and where what follows it stands."""
    reduced = 0
    if may_reduce and argv[at].upper() == b"REDUCE":
        reduced = _bounded(argv[at + 1], 1, INT64_MAX, INVALID_VECTOR)
        at += 2
    if at + 1 >= len(argv):
        raise INVALID_VECTOR
    word = argv[at].upper()
    if word == b"FP32":
        vector = parse_f32(argv[at + 1])
        if vector is None:
            raise INVALID_VECTOR
        return reduced, vector, at + 2
    if word != b"VALUES":
        raise INVALID_VECTOR
    count = _bounded(argv[at + 1], 1, INT64_MAX, INVALID_VECTOR)
    first = at + 2
    if first + count > len(argv):
        raise INVALID_VECTOR
    return reduced, [_component(raw) for raw in argv[first : first + count]], first + count


def _component(raw: bytes) -> float:
    number = parse_double(raw)
    if number is None:
        raise INVALID_VECTOR
    return single(number)


def _bounded(raw: bytes, least: int, most: int, error: ReplyError) -> int:
    number = parse_integer(raw)
    if number is None or not least <= number <= most:
        raise error
    return number
