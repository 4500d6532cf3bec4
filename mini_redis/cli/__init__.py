"""The command line: `mini-redis serve` takes what `redis-server` takes.

    mini-redis serve [redis.conf | -] [--directive value ...]
"""

from __future__ import annotations

import sys

from mini_redis.server.version import REDIS_VERSION

USAGE = """\
mini_redis: a Redis to read, to run and to check others against.

  mini-redis serve                          a server on 127.0.0.1:6379
  mini-redis serve redis.conf               with a configuration file of Redis
  mini-redis serve - --port 7000            a configuration on standard input, and directives after it
  mini-redis serve --port 7000 --maxclients 100
  mini-redis --version
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the process's exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    match words:
        case ["--version" | "-v"] | ["serve", "--version" | "-v"]:
            print(f"mini_redis, speaking Redis {REDIS_VERSION}")
            return 0
        case [] | ["--help" | "-h" | "help"] | ["serve", "--help" | "-h"]:
            print(USAGE, end="")
            return 0
        case ["serve", *rest]:
            from mini_redis.cli.serve import serve  # the help starts no server

            return serve(rest)
    print(f"mini-redis: no such command: {' '.join(words)}\n\n{USAGE}", end="", file=sys.stderr)
    return 2
