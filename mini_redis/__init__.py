"""A Redis to read, to run, and to check others against. This is the map: which question is answered where.

    question                                              folder         page
    ----------------------------------------------------  -------------  ----------------------------
    How do a client and a server talk?                    resp/          docs/resp.md
    How does SCAN keep its promise? What is a number?     structures/    (the modules' own essays)
    Where are the keys, and how do they expire?           keyspace/      docs/how-keys-expire.md
    What does a key cost? Which one goes first?           keyspace/      docs/memory.md, docs/eviction.md
    What does each command do?                            commands/      (COMMAND DOCS, docstrings)
    What can a script do, and who waits meanwhile?        scripting/     docs/scripting.md
    What happens to a command, from bytes to reply?       server/        docs/life-of-a-command.md
    How is it configured?                                 server/        docs/configuration.md
    Who is slow, and what does it cost to ask?            server/        docs/monitoring.md
    How does a value look in a file, or on its way?       persistence/   (the modules' own essays)
    Who may do what?                                      security/      docs/security.md
    Why is one thread enough? Who touches sockets?        drivers/       docs/why-single-threaded.md
    How is the server started?                            cli/           docs/index.md
    How do I get a server inside of my tests?             testing/       docs/testing.md

The order is that of the layers, and imports only go down: from `drivers` to `resp`, never back. Everything up to and
including `server` is pure: no socket, no file, no clock, no chance. A node takes bytes and time and gives back
*effects* (append to the log, write to a client, close), once for each turn of the loop; a driver carries them out. So
the same node runs on real sockets, and inside of a test whose clock is turned by hand.

Three ways in, for readers:

- a request:  drivers/event_loop.py `_turn`, server/node.py `receive`, server/execute.py `process`, then any handler
- a key:      keyspace/database.py, keyspace/active_expire.py, structures/indexed_dict.py
- a command:  commands/registry.py, then commands/string.py `set_`

How it is proved stands outside of the package: `spec/` is about mini_redis alone, `conformance/` compares two servers.
"""

__version__ = "0.1.0"
