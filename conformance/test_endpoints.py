"""Reaching servers: URLs, passwords, TLS, one database, clusters, few rights; a sentence for whatever goes wrong."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import endpoints
from .__main__ import main
from .compare import Comparison, compare_streams
from .dial import Control, Target, Tls, explain_failure, parse_target
from .endpoints import Endpoint, EndpointError, Wish, attach_to, free_port, open_pair, open_wish, start
from .gaps import slot_of
from .report import Run, render
from .runner import Duel
from .streams import Stream, parse
from .wire import Connection, WireClosed, WireGarbage, WireTimeout

SIMPLE = parse(b"# x\na> SET k v EX 1000\nb> GET k\na> HSET h f v\na> MULTI\na> INCR n\na> EXEC\n", "simple")
BLOCKING = parse(b"# x\na>! BLPOP k 0\n@until a blocked\nb> RPUSH k v\na<\n", "blocking")


def compared(oracle: Endpoint, subject: Endpoint, *given: Stream) -> Run:
    return compare_streams(Comparison(Duel(oracle, subject), divergences=[], shrinks=0), given)


@pytest.mark.parametrize(
    ("text", "target"),
    (
        ("localhost:7000", Target("localhost", 7000)),
        (":7000", Target("127.0.0.1", 7000)),
        ("[::1]:7000", Target("::1", 7000)),
        ("redis://h", Target("h", 6379)),
        ("redis://:p%40ss@h:1/3", Target("h", 1, password="p@ss", db=3)),
        ("redis://u:p@h:1", Target("h", 1, user="u", password="p")),
        ("rediss://h:1?insecure=1", Target("h", 1, tls=Tls(insecure=True))),
        ("rediss://h:1/2?cacert=a&cert=b&key=c&sni=d", Target("h", 1, tls=Tls("a", "b", "c", "d"), db=2)),
        ("unix:///run/x.sock?db=4", Target(path="/run/x.sock", db=4)),
    ),
)
def test_an_address(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert "p" not in target.shown.partition("@")[0].partition(":")[2] or not target.password


@pytest.mark.parametrize("text", ("http://h", "redis://h/x", "redis://h:99999", "redis://h?nosuch=1"))
def test_an_address_that_is_none(text: str) -> None:
    with pytest.raises(EndpointError, match="h"):
        parse_target(text)
    assert parse_target("nosuch") is None


def test_a_password_is_shown_nowhere() -> None:
    target = parse_target("redis://user:secret@h:1/2")
    assert target is not None and target.shown == "redis://user@h:1/2"
    with pytest.raises(EndpointError) as caught:
        parse_target("redis://:secret@h:1/x")
    assert "secret" not in str(caught.value)


def test_a_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = start("redis-8.2", ("--requirepass", "secret"), Target(password="secret"))
    try:
        where = f"{server.target.host}:{server.target.port}"
        for url, sentence in (
            (where, "it asks for a password"),
            (f"redis://:wrong@{where}", "user or password is wrong"),
        ):
            with pytest.raises(EndpointError, match=sentence):
                open_wish(Wish(url))
        oracle, subject = open_pair(Wish("redis-8.2"), Wish(where, password="secret"))
        try:
            assert oracle.target.password == "secret"  # the one started beside it is set up alike
            run = compared(oracle, subject, SIMPLE)
            assert not run.findings, render(run)
        finally:
            oracle.stop()
        stream = tmp_path / "x.stream"
        stream.write_text("# x\na> CLIENT ID #= exact\na> CLIENT ID #= exact\na> ACL WHOAMI\n")
        main(["run", "--subject", f"redis://:secret@{where}", "--streams", str(stream)])
        assert "secret" not in capsys.readouterr().out
    finally:
        server.stop()


def test_a_password_where_there_is_none(oracle: Endpoint) -> None:
    with pytest.raises(EndpointError, match="a password was given and the server has none"):
        attach_to(Target(*oracle.address, password="x"))
    with pytest.raises(EndpointError, match="there is no database 99"):
        attach_to(Target(*oracle.address, db=99))


def test_one_database_is_kept_to(oracle: Endpoint, second_oracle: Endpoint) -> None:
    beyond = parse(b"# x\na> SELECT 3\na> SET k v\n", "beyond")
    connection = second_oracle.connect()
    connection.call(b"FLUSHALL")
    connection.call(b"SET", b"precious", b"1")
    target = Target(*second_oracle.address, db=5)
    left, subject = open_pair(Wish("redis-8.2"), Wish(target.shown))
    try:
        assert (left.db, subject.db) == (5, 5)
        run = compared(left, subject, SIMPLE, beyond)
        assert not run.findings, render(run)
        assert {verdict.skipped for verdict in run.verdicts if verdict.skipped} == {
            "it goes to other databases than the one that was named (SELECT 3)"
        }
        assert connection.call(b"GET", b"precious").text == b"1"
    finally:
        left.stop()
        connection.call(b"FLUSHALL")
        connection.close()


def test_few_rights_are_enough(oracle: Endpoint) -> None:
    """A managed server: no FLUSHALL, no DEBUG, no CONFIG, no SWAPDB."""
    server = start("redis-8.2")
    try:
        control = server.connect()
        refused = [b"-flushall", b"-debug", b"-config", b"-swapdb", b"-script", b"-function", b"-slowlog", b"-latency"]
        assert not control.call(b"ACL", b"SETUSER", b"guest", b"on", b">pw", b"~*", b"&*", b"+@all", *refused).is_error
        control.call(b"SET", b"old", b"1")
        wanting = parse(b"# x\na> CONFIG SET hz 11\na> SWAPDB 0 1\na> SET k v\na> GET k\n", "wanting")
        target = Target(*server.address, user="guest", password="pw")
        with pytest.raises(EndpointError, match="holds 1 keys"):
            attach_to(target)
        run = compared(oracle, attach_to(target, flush=True), SIMPLE, wanting, BLOCKING)
        assert not run.findings, render(run)
        assert list(run.left_out) == ["CONFIG SET", "SWAPDB"]
        assert [note.partition(":")[0] for note in run.notes] == ["subject", "subject"]
        shown = render(run)
        assert "FLUSHALL is refused" in shown and "no DEBUG DIGEST" in shown and "left out" in shown
        control.close()
    finally:
        server.stop()


def test_a_unix_socket(tmp_path: Path, oracle: Endpoint) -> None:
    path = tmp_path / "s"
    server = start("redis-8.2", ("--unixsocket", str(path)))
    try:
        run = compared(oracle, open_wish(Wish(f"unix://{path}")), SIMPLE, BLOCKING)
        assert not run.findings, render(run)
        assert len(run.verdicts) == 4
    finally:
        server.stop()
    with pytest.raises(EndpointError, match="there is no such socket"):
        open_wish(Wish(f"unix://{path}x"))


def test_a_cluster_node(oracle: Endpoint) -> None:
    assert slot_of(b"foo") == 12182 and slot_of(b"{user1}.a") == slot_of(b"user1") and slot_of(b"{}x") != slot_of(b"")
    two_slots = parse(b"# x\na> MSET a 1 b 2\n", "two slots")
    transaction = parse(b"# x\na> MULTI\na> SET a 1\na> SET b 1\na> EXEC\n", "transaction")
    beyond = parse(b"# x\na> SELECT 1\n", "beyond")
    node = start("redis-8.2", ("--cluster-enabled", "yes"))
    try:
        where = node.where
        with pytest.raises(EndpointError, match="is a cluster node: pass --cluster"):
            open_wish(Wish(where))
        with pytest.raises(EndpointError, match="is no cluster node"):
            open_wish(Wish(oracle.where, cluster=True))
        subject = open_wish(Wish(where, cluster=True))
        one_slot = parse(b"# x\na> MSET {x}a 1 {x}b 2\na> GET {x}a\n", "one slot")
        duel = Duel(node, subject)
        assert not duel.run(one_slot, 2).differences
        assert "several slots in one command (MSET)" in duel.gaps.unfit(two_slots)
        assert "several slots in one transaction" in duel.gaps.unfit(transaction)
        assert "one database" in duel.gaps.unfit(beyond)
    finally:
        node.stop()


def test_a_server_that_hangs_up_after_an_error(oracle: Endpoint) -> None:
    """Some fakes do. Our own questions are asked again; the streams see it, and that is a difference."""
    server = start("redis-8.2")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        requests, upstream = Connection.of(client, 60.0), server.connect()
        with contextlib.suppress(WireClosed, WireTimeout, OSError):
            while True:
                upstream.send(requests.read_reply().raw)
                reply = upstream.read_reply()
                client.sendall(reply.raw)
                if reply.is_error:
                    break
        client.close()
        upstream.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        control = Control(Target(*listener.getsockname()), 5.0)
        control.call(b"SELECT", b"3")
        assert control.call(b"NOSUCH").is_error and not control.hangs_up
        control.call(b"SET", b"k", b"v")
        assert control.hangs_up and server.key_count() == 1
        assert b"db3" in control.call(b"INFO", b"keyspace").text
        replies = control.pipeline([(b"NOSUCH",), (b"GET", b"k"), (b"NOSUCH",), (b"DEL", b"k")])
        assert [reply.is_error for reply in replies] == [True, False, True, False]
        control.close()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        server.stop()


# ---- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one folder."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module", params=("no", "yes"))
def tls_server(request: pytest.FixtureRequest, certificate: Path) -> Iterator[tuple[Endpoint, int, bool]]:
    """A server with a TLS port, which asks for a client's certificate or does not."""
    port, cert, key = free_port(), str(certificate / "cert.pem"), str(certificate / "key.pem")
    tls = ["--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert]
    try:
        server = start("redis-7.0", (*tls, "--tls-auth-clients", request.param))
    except EndpointError as error:
        pytest.skip(f"no server with TLS: {error}")
    yield server, port, request.param == "yes"
    server.stop()


def test_tls(oracle: Endpoint, tls_server: tuple[Endpoint, int, bool], certificate: Path) -> None:
    _, port, asks = tls_server
    cert, key = str(certificate / "cert.pem"), str(certificate / "key.pem")
    url = f"rediss://127.0.0.1:{port}"
    ours = Tls(cacert=cert, cert=cert, key=key)
    run = compared(oracle, open_wish(Wish(url, tls=ours)), SIMPLE, BLOCKING)
    assert not run.findings, render(run)
    with pytest.raises(EndpointError, match="its certificate is not trusted .*--cacert FILE, or --insecure"):
        open_wish(Wish(url))
    with pytest.raises(EndpointError, match="rediss:// instead of redis://"):
        open_wish(Wish(f"127.0.0.1:{port}"))
    with pytest.raises(EndpointError, match="cannot be used"):
        open_wish(Wish(url, tls=Tls(cacert="/nonexistent")))
    if asks:
        with pytest.raises(EndpointError, match="client certificate.*--cert FILE and --key FILE"):
            open_wish(Wish(url, tls=Tls(cacert=cert)))
    else:
        assert open_wish(Wish(f"{url}?insecure=1")).title.startswith("rediss://127.0.0.1")


def test_tls_to_a_server_without(oracle: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "FIRST_ANSWER", 0.2)
    with pytest.raises(EndpointError, match="does not seem to speak TLS.*redis:// instead of rediss://"):
        open_wish(Wish(f"rediss://{oracle.where}?insecure=1"))


# ---- who is not there --------------------------------------------------------------------------------------------


def answering(data: bytes) -> Iterator[Target]:
    """A server that says one thing to everybody and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        client.recv(100)
        client.sendall(data)
        client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield Target("127.0.0.1", listener.getsockname()[1])
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    ("data", "sentence"),
    (
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak RESP; its answer to PING begins with b'HTTP"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "still loading its data"),
        (b"-DENIED Redis is running in protected mode\r\n", "protected mode"),
        (b"", "ended the connection without an answer"),
    ),
)
def test_whoever_is_there_instead(data: bytes, sentence: str) -> None:
    for target in answering(data):
        with pytest.raises(EndpointError, match=sentence):
            attach_to(target)


def test_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--subject", f"127.0.0.1:{free_port()}"]) == 2
    assert "connection refused: no server listens there" in capsys.readouterr().err
    assert main(["run", "--subject", "nosuch"]) == 2
    assert "neither HOST:PORT nor a URL nor one of mini_redis, redis-8.2" in capsys.readouterr().err
    assert main(["run"]) == 2
    assert "name it as the subject" in capsys.readouterr().out


def test_every_failure_has_a_sentence() -> None:
    target = Target("h", 1, tls=Tls())
    errors = (ssl.SSLError(1, "odd"), WireClosed(b""), WireGarbage(b"\x15\x03\x03"), TimeoutError(), OSError("odd"))
    for error in errors:
        assert explain_failure(error, target).startswith("rediss://h:1")


def test_a_clock_that_is_turned() -> None:
    """What a stream waits for takes no time where the clock can be turned: here it is two minutes."""
    ours, theirs = (open_wish(Wish("mini_redis:manual")) for _ in range(2))
    try:
        stream = parse(b"# x\na> SET k v EX 100\n@wait 120000ms until a> EXISTS k == 0\na> INFO keyspace\n", "turned")
        run = compared(ours, theirs, stream, stream)
        assert all(verdict.compared and not verdict.differences for verdict in run.verdicts)
    finally:
        ours.stop()
        theirs.stop()


def test_a_command_that_turns_the_clock(oracle: Endpoint) -> None:
    for command, sentence in (("DEBUG TURN", "how far"), ("DEBUG TURN {ms}", "does not turn its clock")):
        with pytest.raises(EndpointError, match=sentence):
            open_wish(Wish(oracle.where, clock=command, flush=True))
