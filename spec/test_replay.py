"""The same input gives the same output: twice in one process, and in processes that hash bytes differently.

The recording is made from a seed: several clients, transactions, expiries, scans, random keys, damage. A node under
the in-process driver must answer it byte for byte the same, whatever PYTHONHASHSEED is.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from random import Random

from mini_redis.drivers.in_process import InProcess, replay
from mini_redis.resp.parser import encode_request

WORDS = [
    "SET {k} {v}",
    "SET {k} {v} PX {n}",
    "GET {k}",
    "INCR {k}",
    "APPEND {k} {v}",
    "DEL {k}",
    "EXPIRE {k} {n}",
    "PEXPIRE {k} {n}",
    "TTL {k}",
    "RANDOMKEY",
    "SCAN 0 COUNT 3",
    "KEYS *",
    "RENAME {k} {k}",
    "COPY {k} {k} REPLACE",
    "MSET {k} {v} {k} {v}",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH {k}",
    "HELLO 3",
    "HELLO 2",
    "RESET",
    "DBSIZE",
    "DEBUG DIGEST",
    "GETEX {k} EX {n}",
    "SELECT 1",
    "SELECT 0",
    "OBJECT ENCODING {k}",
    "OBJECT IDLETIME {k}",
    "INFO commandstats",
    "INFO keyspace",
    "CLIENT LIST",
    "COMMAND COUNT",
    "TIME",
    "NOSUCHCOMMAND {v}",
    "LCS {k} {k} IDX",
    "SETRANGE {k} 5 {v}",
    "INCRBYFLOAT {k} 1.5",
    "UNLINK {k} {k}",
    "SWAPDB 0 1",
    "FLUSHDB",
    "LOLWUT",
]


def recording(seed: int, length: int = 1500) -> list[tuple[float, int, bytes]]:
    """(seconds to wait, client, bytes): some whole, some cut, some not RESP at all."""
    rng = Random(seed)
    inputs: list[tuple[float, int, bytes]] = []
    for _ in range(length):
        line = rng.choice(WORDS)
        while "{" in line:
            line = line.replace("{k}", f"key:{rng.randrange(12)}", 1)
            line = line.replace("{v}", rng.choice(["1", "hello", "3.25", "x" * 60, "-7"]), 1)
            line = line.replace("{n}", str(rng.randrange(1, 4000)), 1)
        data = encode_request([word.encode() for word in line.split()])
        if rng.random() < 0.1:
            data = line.encode() + b"\r\n"
        elif rng.random() < 0.005:
            data = b"*1\r\n+oops\r\n"
        client, wait = rng.randrange(4), rng.choice([0, 0, 0.001, 0.25, 2])
        cut = rng.randrange(len(data) + 1)
        inputs += [(wait, client, data[:cut]), (0, client, data[cut:])]
    return inputs


def fingerprint(seed: int) -> str:
    driver = InProcess("enable-debug-command yes", "maxmemory-policy allkeys-lru", seed=seed, logging=True)
    return hashlib.sha256(replay(driver, recording(seed))).hexdigest()


def test_twice_in_one_process() -> None:
    assert fingerprint(1) == fingerprint(1)
    assert fingerprint(1) != fingerprint(2), "the seed and the input matter"


def test_in_processes_that_hash_differently() -> None:
    prints = set()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        result = subprocess.run(
            [sys.executable, __file__, "3"], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        prints.add(result.stdout)
    assert len(prints) == 1 and prints != {""}


if __name__ == "__main__":
    print(fingerprint(int(sys.argv[1])))
