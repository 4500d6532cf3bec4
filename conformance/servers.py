"""The options that say which two servers, and what is said to somebody who gave none."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from . import trace
from .dial import Tls
from .endpoints import NAMES, RECIPES, Endpoint, EndpointError, Wish, open_pair, open_wish

GUIDE = """\
Compare your server with Redis: name it as the subject.

    {prog} run --subject localhost:6379          every stream, against Redis 8.2
    {prog} run --subject redis://:secret@db.example:6379/15 --streams string
    {prog} run --subject rediss://db.example:6380 --cacert ca.crt
    {prog} fuzz --subject localhost:6379 --commands string,hash

The server must be empty, or pass --flush: IT IS EMPTIED. A database in the URL (/15) keeps the comparison to that one.
The oracle, which is right by definition, is {oracle} unless --oracle names another:
{oracles}
A recording can stand in where none can be installed: `run --record FILE.trace` on a machine that has one, then
`run --oracle FILE.trace`. More: docs/conformance-your-server.md, and --help.
"""
EPILOG = """\
servers: HOST:PORT, redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://... (TLS), unix:///PATH[?db=N],
  or a NAME that is started for you: {names};
  mini_redis:manual is mini_redis with a clock that is turned instead of awaited.

exit code: 0 the servers are the same, 1 they differ, 2 the comparison could not run (and a line says why).
"""


def epilog() -> str:
    return EPILOG.format(names=", ".join(NAMES))


def guide(prog: str) -> str:
    """What to type, for somebody who typed nothing."""
    names = [f"    {recipe.name:<12} {recipe.install}" for recipe in RECIPES.values()]
    return GUIDE.format(prog=prog, oracle="redis-8.2", oracles="\n".join(names))


def add_servers(parser: argparse.ArgumentParser) -> None:
    """--subject, --oracle and how to reach them."""
    names = ", ".join(NAMES)
    servers = parser.add_argument_group("the two servers")
    servers.add_argument("--subject", metavar="SERVER", help=f"HOST:PORT, a URL, or one of {names}")
    servers.add_argument(
        "--oracle", metavar="SERVER", default="redis-8.2", help="likewise, or FILE.trace (default redis-8.2)"
    )
    servers.add_argument("--flush", action="store_true", help="a server that is not empty may be emptied")
    servers.add_argument("--cluster", action="store_true", help="they are cluster nodes: one database, one slot")
    servers.add_argument("--log", action="store_true", help="compare what reaches their append-only files as well")
    for side in ("subject", "oracle"):
        variable = f"{side.upper()}_PASSWORD"
        servers.add_argument(
            f"--{side}-password", metavar="WORD", help=f"also in the URL, or in the environment as {variable}"
        )
    servers.add_argument(
        "--subject-clock",
        metavar="COMMAND",
        default="",
        help="how to turn the subject's clock instead of waiting, such as 'DEBUG TURN {ms}'",
    )
    certificates = parser.add_argument_group("TLS (for rediss:// URLs; also as ?cacert=... in the URL)")
    certificates.add_argument("--cacert", metavar="FILE", default="", help="who may sign the server's certificate")
    certificates.add_argument("--cert", metavar="FILE", default="", help="our certificate, where the server asks")
    certificates.add_argument("--key", metavar="FILE", default="", help="the key to it")
    certificates.add_argument("--sni", metavar="NAME", default="", help="the name that the server is asked for")
    certificates.add_argument("--insecure", action="store_true", help="trust any certificate")


def wish(options: argparse.Namespace, side: str) -> Wish:
    """What the options say about the subject or the oracle."""
    given: dict[str, object] = vars(options)
    password = given[f"{side}_password"]
    if password is None:
        password = os.environ.get(f"{side.upper()}_PASSWORD")
    return Wish(
        str(given[side]),
        None if password is None else str(password),
        Tls(options.cacert, options.cert, options.key, options.sni, options.insecure),
        options.flush,
        options.cluster,
        str(given["subject_clock"]) if side == "subject" else "",
        options.log,
    )


def open_servers(options: argparse.Namespace) -> tuple[Endpoint, Endpoint]:
    """Oracle and subject; the oracle may be a trace. EndpointError with what to do."""
    if trace.is_trace(options.oracle):
        recorded = trace.load(Path(options.oracle))
        return recorded, open_wish(wish(options, "subject"))
    return open_pair(wish(options, "oracle"), wish(options, "subject"))


def open_live(options: argparse.Namespace) -> tuple[Endpoint, Endpoint]:
    """Like open_servers, where a recording will not do."""
    if trace.is_trace(options.oracle):
        raise EndpointError(f"{options.oracle} is a recording and knows no generated commands: name a live --oracle")
    return open_servers(options)
