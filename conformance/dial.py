"""How a server is reached: its URL, TLS, who we are, and a sentence for everything that goes wrong on the way.

    127.0.0.1:6379                            plain TCP
    redis://user:password@host:6379/3         with ACL user, password and database
    rediss://host:6380?cacert=ca.crt          TLS; also cert=, key=, sni=, insecure=1
    unix:///run/redis.sock?db=3               a unix socket

A database in the URL is a promise: the comparison keeps to it. Only that one must be empty, only that one is emptied,
and streams that would go to others are skipped.

A password never appears in a report or in a line that replays something: what is printed is `Target.shown`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .wire import Connection, Reply, WireClosed, WireGarbage, WireTimeout, encode_command

PORT = 6379


class EndpointError(Exception):
    """The comparison cannot run: a program is missing, a server does not start, a foreign server is not empty."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates, as redis-cli's options of the same names. `insecure`: nobody asks who the server is."""

    cacert: str = ""
    cert: str = ""
    key: str = ""
    sni: str = ""
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """EndpointError when a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.cacert or None)
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.cert:
                context.load_cert_chain(self.cert, self.key or None)
        except (OSError, ValueError) as error:
            files = ", ".join(name for name in (self.cacert, self.cert, self.key) if name)
            raise EndpointError(f"the certificates cannot be used ({files}): {error}") from error
        return context


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is and who asks. `db` is None when nobody named one; `path` is a unix socket's."""

    host: str = "127.0.0.1"
    port: int = PORT
    path: str = ""
    tls: Tls | None = None
    user: str = ""
    password: str | None = None
    db: int | None = None
    opened: Callable[[], Any] | None = field(default=None, compare=False, repr=False)
    """Gives a connected socket, or what behaves like one, where there is no address to dial."""

    @property
    def shown(self) -> str:
        """For people and for replay lines: everything but the password."""
        plain = f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        if not (self.path or self.tls or self.user or self.db is not None):
            return plain
        scheme = "unix" if self.path else "rediss" if self.tls else "redis"
        who = f"{self.user}@" if self.user and not self.path else ""
        db = "" if self.db is None else f"?db={self.db}" if self.path else f"/{self.db}"
        return f"{scheme}://{who}{self.path or plain}{db}"


def parse_target(text: str, password: str | None = None, tls: Tls | None = None) -> Target | None:
    """HOST:PORT, :PORT or a URL; None for anything else. EndpointError for a URL that is wrong.

    `password` and `tls` come from options; what the URL itself says goes first.
    """
    if "://" not in text:
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            return None
        return Target(host.strip("[]") or "127.0.0.1", int(port), password=password)
    try:
        parts = urlsplit(text)
        port_number = parts.port or PORT
    except ValueError as error:
        raise EndpointError(f"{_masked(text)}: {error}") from None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    path = unquote(parts.path)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise EndpointError(f"{_masked(text)}: a URL begins with redis://, rediss:// (TLS) or unix://")
    database = query.pop("db", "") or (path.strip("/") if parts.scheme != "unix" else "")
    if database and not database.isdigit():
        raise EndpointError(f"{_masked(text)}: the database is a number, not {database!r}")
    certificates = None
    if parts.scheme == "rediss":
        given = tls or Tls()
        certificates = Tls(
            query.pop("cacert", given.cacert),
            query.pop("cert", given.cert),
            query.pop("key", given.key),
            query.pop("sni", given.sni),
            query.pop("insecure", "1" if given.insecure else "0") not in ("0", "no", ""),
        )
    if query:
        raise EndpointError(f"{_masked(text)}: what does {', '.join(query)} mean?")
    return Target(
        host=parts.hostname or "127.0.0.1",
        port=port_number,
        path=(parts.hostname or "") + path if parts.scheme == "unix" else "",
        tls=certificates,
        user=unquote(parts.username or ""),
        password=unquote(parts.password) if parts.password is not None else password,
        db=int(database) if database else None,
    )


def _masked(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def dial(target: Target, timeout: float) -> Connection:
    """A connection on which nothing has been said yet. OSError (ssl.SSLError among them) when there is none."""
    if target.opened is not None:
        return Connection.of(target.opened(), timeout)
    if target.path:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(timeout)
        try:
            connected.connect(target.path)
        except BaseException:
            connected.close()
            raise
        return Connection.of(connected, timeout)
    plain = socket.create_connection((target.host, target.port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if target.tls is None:
        return Connection.of(plain, timeout)
    try:
        wrapped = target.tls.context().wrap_socket(plain, server_hostname=target.tls.sni or target.host)
    except BaseException:
        plain.close()
        raise
    return Connection.of(wrapped, timeout)


class Control(Connection):
    """The tool's own connection. Where a server hangs up after an error it is opened again and asked again."""

    def __init__(self, target: Target, timeout: float) -> None:
        self._target = target
        self._selected: bytes | None = None
        self.hangs_up = False
        self._open(timeout)

    def _open(self, timeout: float) -> None:
        opened = dial(self._target, timeout)
        self._adopt(opened._socket, timeout)
        introduce(self, self._target)
        if self._selected is not None:
            super().call(b"SELECT", self._selected)

    def call(self, *argv: bytes) -> Reply:
        try:
            reply = super().call(*argv)
        except WireClosed:
            if not self._said_error:
                raise
            self.hangs_up = True
            self.close()
            self._open(self.timeout)
            reply = super().call(*argv)
        self._said_error = reply.is_error
        if argv[0].upper() == b"SELECT" and not reply.is_error:
            self._selected = argv[1]
        return reply

    _said_error = False

    def pipeline(self, commands: list[tuple[bytes, ...]]) -> list[Reply]:
        """Send all, await all; one by one where errors close the connection."""
        if not self.hangs_up:
            self.send(b"".join(encode_command(argv) for argv in commands))
            replies: list[Reply] = []
            try:
                while len(replies) < len(commands):
                    replies.append(self.read_reply())
                return replies
            except WireClosed:
                if not (replies and replies[-1].is_error):
                    raise
                self._said_error = True
        return [self.call(*argv) for argv in commands]


def introduce(connection: Connection, target: Target) -> None:
    """AUTH and SELECT, as far as the target asks for them. EndpointError with the reason when refused."""
    if target.password is not None:
        words = [target.user.encode()] if target.user else []
        reply = connection.call(b"AUTH", *words, target.password.encode())
        if reply.is_error:
            raise EndpointError(f"{target.shown}: {explain_refusal(reply, target)}")
    if target.db:
        reply = connection.call(b"SELECT", b"%d" % target.db)
        if reply.is_error:
            raise EndpointError(f"{target.shown}: {explain_refusal(reply, target)}")


def explain_refusal(reply: Reply, target: Target) -> str:
    """An error of the server to somebody who only wanted to talk, with what to do about it."""
    text = reply.text.decode("utf-8", "replace")
    advice = ""
    match text.split(" ")[0]:
        case "NOAUTH":
            advice = "it asks for a password: redis://:PASSWORD@HOST:PORT, --subject-password or --oracle-password"
        case "WRONGPASS":
            advice = "user or password is wrong"
        case "LOADING":
            advice = "it is still loading its data: wait until INFO says loading:0 and try again"
        case "DENIED":
            advice = "it is in protected mode: ask from its own machine, give it a password, or set protected-mode no"
        case "MASTERDOWN" | "READONLY":
            advice = "it is a replica: name a server that takes writes"
        case "NOPERM":
            advice = f"the user {target.user or 'default'!r} may not do what a comparison needs"
        case _ if "invalid password" in text or "invalid username-password" in text:
            advice = "the password is wrong"
        case _ if "no password is set" in text or "without any password configured" in text:
            advice = "a password was given and the server has none"
        case _ if "DB index" in text or "SELECT is not allowed" in text:
            advice = f"there is no database {target.db}"
        case _ if "max number of clients" in text:
            advice = "it has as many clients as it allows"
    return f"{advice} ({text})" if advice else text


def explain_failure(error: Exception, target: Target) -> str:
    """One sentence on why no conversation came about."""
    where = target.shown
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{where}: its certificate is not trusted ({error.verify_message}): --cacert FILE, or --insecure"
    if isinstance(error, ssl.SSLError):
        reason = str(error).lower().replace("_", " ")
        if "wrong version number" in reason or "record layer failure" in reason or "eof" in reason:
            return f"{where} does not seem to speak TLS ({reason}): redis:// instead of rediss://"
        if "certificate required" in reason or "handshake failure" in reason:
            return f"{where} asks for a client certificate ({reason}): --cert FILE and --key FILE"
        return f"{where}: TLS failed: {reason}"
    if isinstance(error, ConnectionRefusedError):
        return f"{where}: connection refused: no server listens there"
    if isinstance(error, FileNotFoundError):
        return f"{where}: there is no such socket"
    if isinstance(error, socket.gaierror):
        return f"{where}: no such host ({error.strerror})"
    if isinstance(error, WireTimeout | TimeoutError):
        if target.tls:
            return f"{where} does not seem to speak TLS (the handshake takes too long): redis:// instead of rediss://"
        return f"{where} does not answer a PING in time" + ("" if target.path else "; if it speaks TLS: rediss://")
    if isinstance(error, WireClosed | ConnectionResetError):
        if target.tls:
            return f"{where} ended the connection: it may ask for a client certificate (--cert FILE and --key FILE)"
        return f"{where} ended the connection without an answer: if it speaks TLS, rediss:// instead of redis://"
    if isinstance(error, WireGarbage):
        head = error.args[0] if error.args else b""
        if isinstance(head, bytes) and head[:2] in (b"\x15\x03", b"\x16\x03"):
            return f"{where} speaks TLS: rediss:// instead of redis://"
        return f"{where} does not speak RESP; its answer to PING begins with {head[:60]!r}"
    return f"{where}: {error}"
