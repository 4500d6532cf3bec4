"""Two servers, the same bytes, every difference.

    python -m conformance run  --subject mini_redis --oracle redis-8.2
    python -m conformance fuzz --subject mini_redis --oracle redis-8.2 --commands string,generic --count 2000 --seed 1

How it is built, from the wire up; each file knows only the ones above it:

    wire.py        bytes to typed reply trees that keep their raw bytes; one connection
    endpoints.py   find, start and stop servers by name; a free port; a clean end
    streams.py     the text format of a stream: clients, commands, barriers, expectations about order
    normalise.py   what "equal" means for a reply whose bytes may differ (rules are data: normalise.toml)
    runner.py      a stream against one endpoint (Session), against two in lockstep (Duel), the state afterwards
    divergences.py known differences, each with its reason; one that no longer differs is an error
    shrink.py      the shortest stream that still shows a difference
    generate.py    random streams from the oracle's own COMMAND DOCS
    report.py      what a person reads

Nothing here imports mini_redis: a subject is an address that speaks RESP.
"""
