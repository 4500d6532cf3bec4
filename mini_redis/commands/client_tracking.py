"""CLIENT TRACKING and its relatives: which keys this connection wants to hear of. What comes of it is in
server/tracking.py.

The options are read one by one, and the first that is wrong is told, also where TRACKING OFF then ignores them all.
Only then comes the question whether they go together, and with what is on already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mini_redis.commands.arguments import integer
from mini_redis.commands.connection import up_to_nul
from mini_redis.commands.registry import LOADING, NOSCRIPT, STALE, command
from mini_redis.resp.reply import OK, SYNTAX_ERROR, Reply, ReplyError, SetReply

if TYPE_CHECKING:
    from mini_redis.server.context import Context
    from mini_redis.server.tracking import Interest

ONE_REDIRECTION = ReplyError(b"ERR A client can only redirect to a single other client")
NO_SUCH_TARGET = ReplyError(b"ERR The client ID you want redirect to does not exist")
PREFIX_WITHOUT_BCAST = ReplyError(b"ERR PREFIX option requires BCAST mode to be enabled")
OPT_WITH_BCAST = ReplyError(b"ERR OPTIN and OPTOUT are not compatible with BCAST")
OPTIN_AND_OPTOUT = ReplyError(b"ERR You can't specify both OPTIN mode and OPTOUT mode")
NOT_TRACKING = ReplyError(
    b"ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)
NOT_OPTIN = ReplyError(b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
NOT_OPTOUT = ReplyError(b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")


def cannot_switch(mode: bytes) -> ReplyError:
    return ReplyError(
        b"ERR You can't switch %b before disabling tracking for this client, and then re-enabling it with a different"
        b" mode." % mode
    )


@dataclass
class Options:
    """As they were said."""

    redirect: int = 0
    prefixes: list[bytes] = field(default_factory=list)
    words: set[bytes] = field(default_factory=set)
    """Which of BCAST, OPTIN, OPTOUT and NOLOOP."""


@command(
    "CLIENT TRACKING status:(ON | OFF) [REDIRECT client-id] [(PREFIX prefix) ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    flags=NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="6.0.0",
    complexity="O(1). Some options may introduce additional complexity.",
    group="connection",
)
def client_tracking(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell this connection when keys are modified that it has read, or that begin with a prefix.

    Errors: a word that is no option; a redirection to nobody, or two; options that do not go together; another mode
    than the one that is on; prefixes that overlap.
    """
    options = parse_options(ctx, argv[3:])
    client, tracking = ctx.client, ctx.server.tracking
    match argv[2].lower():
        case b"off":
            tracking.end(client)
            return OK
        case b"on":
            pass
        case _:
            raise SYNTAX_ERROR

    check_modes(options, client.tracking)
    bcast = b"BCAST" in options.words
    if bcast:
        check_overlaps(options.prefixes, client.tracking)

    tracking.begin(
        client,
        redirect=options.redirect,
        prefixes=options.prefixes if bcast else None,
        optin=b"OPTIN" in options.words,
        optout=b"OPTOUT" in options.words,
        noloop=b"NOLOOP" in options.words,
    )
    return OK


def parse_options(ctx: Context, words: list[bytes]) -> Options:
    """Read what follows ON or OFF. Raises ReplyError."""
    options = Options()
    at = 0
    while at < len(words):
        word, follows = words[at].upper(), at + 1 < len(words)
        match word:
            case b"REDIRECT" if follows:
                if options.redirect:
                    raise ONE_REDIRECTION
                at += 1
                options.redirect = integer(words[at])
                if options.redirect not in ctx.server.clients:
                    raise NO_SUCH_TARGET
            case b"PREFIX" if follows:
                at += 1
                options.prefixes.append(words[at])
            case b"BCAST" | b"OPTIN" | b"OPTOUT" | b"NOLOOP":
                options.words.add(word)
            case _:
                raise SYNTAX_ERROR
        at += 1
    return options


def check_modes(options: Options, before: Interest | None) -> None:
    """Whether the options go together, and with what is on `before`. Raises ReplyError."""
    bcast, optin, optout = (word in options.words for word in (b"BCAST", b"OPTIN", b"OPTOUT"))
    if options.prefixes and not bcast:
        raise PREFIX_WITHOUT_BCAST
    if before is not None and bcast != (before.prefixes is not None):
        raise cannot_switch(b"BCAST mode on/off")
    if bcast and (optin or optout):
        raise OPT_WITH_BCAST
    if optin and optout:
        raise OPTIN_AND_OPTOUT
    if before is not None and ((optin and before.optout) or (optout and before.optin)):
        raise cannot_switch(b"OPTIN/OPTOUT mode")


def check_overlaps(prefixes: list[bytes], before: Interest | None) -> None:
    """No key may be told twice. Raises ReplyError.

    Redis 8.2.3 means this too, but where the first of two new prefixes that overlap is not the first of all, it
    answers twice: the error, and OK, having begun to track. Here it is refused.
    """
    there = sorted(before.prefixes or ()) if before is not None else []
    for at, prefix in enumerate(prefixes):
        for other in there:
            if overlaps(prefix, other):
                raise overlap_error(prefix, b"an existing", other)
        for other in prefixes[at + 1 :]:
            if overlaps(prefix, other):
                raise overlap_error(prefix, b"another provided", other)


def overlaps(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def overlap_error(prefix: bytes, which: bytes, other: bytes) -> ReplyError:
    told = (up_to_nul(prefix), which, up_to_nul(other))
    return ReplyError(
        b"ERR Prefix '%b' overlaps with %b prefix '%b'. Prefixes for a single client must not overlap." % told
    )


@command("CLIENT CACHING mode:(YES | NO)", flags=NOSCRIPT | LOADING | STALE, acl="connection", since="6.0.0",
         complexity="O(1)", group="connection")  # fmt: skip
def client_caching(ctx: Context, argv: list[bytes]) -> Reply:
    """Let the next command, or transaction, be tracked (OPTIN) or not (OPTOUT).

    Errors: tracking is off, or in a mode where the word means nothing.
    """
    interest = ctx.client.tracking
    if interest is None:
        raise NOT_TRACKING
    match argv[2].upper():
        case b"YES":
            if not interest.optin:
                raise NOT_OPTIN
        case b"NO":
            if not interest.optout:
                raise NOT_OPTOUT
        case _:
            raise SYNTAX_ERROR
    interest.caching = True
    return OK


@command("CLIENT GETREDIR", flags=NOSCRIPT | LOADING | STALE, acl="connection", since="6.0.0", complexity="O(1)",
         group="connection")  # fmt: skip
def client_getredir(ctx: Context, argv: list[bytes]) -> Reply:
    """To which client's connection messages go: its id; 0 if to this one, -1 if tracking is off."""
    interest = ctx.client.tracking
    return -1 if interest is None else interest.redirect


@command("CLIENT TRACKINGINFO", flags=NOSCRIPT | LOADING | STALE, acl="connection", since="6.2.0", complexity="O(1)",
         group="connection")  # fmt: skip
def client_trackinginfo(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how this connection tracks."""
    interest = ctx.client.tracking
    if interest is None:
        return {b"flags": SetReply([b"off"]), b"redirect": -1, b"prefixes": []}
    flags = {
        b"bcast": interest.prefixes is not None,
        b"optin": interest.optin,
        b"caching-yes": interest.optin and interest.caching,
        b"optout": interest.optout,
        b"caching-no": interest.optout and interest.caching,
        b"noloop": interest.noloop,
        b"broken_redirect": interest.broken,
    }
    return {
        b"flags": SetReply([b"on", *(word for word, holds in flags.items() if holds)]),
        b"redirect": interest.redirect,
        b"prefixes": sorted(interest.prefixes or ()),
    }
