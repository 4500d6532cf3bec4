"""What one client may take from the others: memory for its requests, memory for its replies, a connection for ever.

A client that sends half a request and stops, or asks for much and never reads, costs memory until one of these limits
ends it:

    client-query-buffer-limit     bytes sent and not run yet, the MULTI queue included
    client-output-buffer-limit    per class: at once above the hard limit; above the soft one for so many seconds
    timeout                       seconds without a request
    maxmemory-clients             bytes of all clients together: above it the largest are closed, one after the other

Who has not said the password yet is allowed little of both, whatever is configured (`UNAUTHENTICATED_*`).

Those who are not limited are harmless anyway: a turn of the loop reads a bounded piece from each client and never
waits for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.node import Server

UNAUTHENTICATED_QUERY_BUFFER = 1024 * 1024
UNAUTHENTICATED_OUTPUT_BUFFER = 1024
LEAST_CLIENTS_MEMORY = 128 * 1024  # with less, nobody could talk to the server any more


class ClientLimits:
    """The limits of one server; all checks are O(1), the cron looks at a share of the clients each time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._awake: dict[Client, None] = {}
        self._round: list[Client] = []  # whom the cron has yet to look at before it begins anew
        self._share = 5
        self.limits_output = False  # for the end of each turn, where most servers have nothing to check
        self.counts_memory = False  # there is a limit, so what all clients take has to be known at any moment
        self.clients_memory = 0
        """What Redis would use for all clients. As the cron has seen each of them last, unless `counts_memory`."""
        self._most_memory = 0  # maxmemory-clients; 0: no limit
        self._looked_in_vain = False
        self.evicted_clients = 0

    def configure(self) -> None:
        """Obey `client-output-buffer-limit`."""
        limit = self._server.config.client_output_buffer_limit[b"normal"]
        self.limits_output = bool(limit.hard or limit.soft)

    # --- Memory of all clients together -------------------------------------------------------------------------------

    def configure_memory(self) -> None:
        """Obey `maxmemory` and `maxmemory-clients`."""
        config = self._server.config
        limit = config.maxmemory_clients
        if limit < 0:
            limit = config.maxmemory * -limit // 100
        self._most_memory = max(limit, LEAST_CLIENTS_MEMORY) if limit else 0
        self.counts_memory = bool(self._most_memory or config.maxmemory)
        for client in self._server.clients.values() if self.counts_memory else ():
            self.measure(client)

    def measure(self, client: Client) -> None:
        """A client's buffers have changed, if it is still there. O(1)."""
        if client.id in self._server.clients:
            size = client.memory
            self.clients_memory += size - client.accounted
            client.accounted = size

    def forget(self, client: Client) -> None:
        """A client is gone."""
        self.clients_memory -= client.accounted
        client.accounted = 0
        self._awake.pop(client, None)

    def evict_clients(self) -> None:
        """Close the largest clients while all of them take more than `maxmemory-clients`. O(1) if they do not.

        CLIENT NO-EVICT protects a client, and its memory counts all the same. Redis keeps clients in classes by powers
        of two and takes any from the highest; here it is the largest, and of equal ones the oldest.
        """
        if not self._most_memory or self.clients_memory < self._most_memory or self._looked_in_vain:
            return
        server = self._server
        for client in sorted(server.clients.values(), key=lambda each: -each.accounted):
            if self.clients_memory < self._most_memory:
                return
            if not client.no_evict:
                server.log("*", f"Evicting client: id={client.id} addr={client.address} tot-mem={client.accounted}")
                self.evicted_clients += 1
                server.close(client, flush=False)
        self._looked_in_vain = self.clients_memory >= self._most_memory

    # --- Each by itself -----------------------------------------------------------------------------------------------

    def query_buffer_exceeded(self, client: Client) -> bool:
        """End a client that has sent too much without completing it; whether it was ended."""
        size = client.query_buffer
        stranger = not client.parser.authenticated and size > UNAUTHENTICATED_QUERY_BUFFER
        if size <= self._server.config.client_query_buffer_limit and not stranger:
            return False
        self._server.stats.query_buffer_disconnections += 1
        self._server.log("#", f"Closing client {client.id} {client.address}: it reached the query buffer limit")
        self._server.close(client, flush=False)
        return True

    def check_output(self, client: Client) -> None:
        """End a client whose unread replies are above the hard limit, or too long above the soft one.

        A stranger's replies count once the system's buffers are full, too; Redis counts what exceeds its own 16 kB.
        """
        hard, soft, soft_seconds = self._server.config.client_output_buffer_limit[client.kind]
        size, now_ms = client.output_buffer, self._server.now_ms
        stranger = not client.parser.authenticated and client.unsent > UNAUTHENTICATED_OUTPUT_BUFFER
        if stranger or (hard and size >= hard):
            self._end_slow_reader(client)
        elif not soft or size < soft:
            client.soft_limit_since_ms = None
        elif client.soft_limit_since_ms is None:
            client.soft_limit_since_ms = now_ms
        elif now_ms - client.soft_limit_since_ms > soft_seconds * 1000:
            self._end_slow_reader(client)

    def _end_slow_reader(self, client: Client) -> None:
        self._server.stats.output_buffer_disconnections += 1
        self._server.log("#", f"Client {client.id} {client.address} closed for overcoming of output buffer limits.")
        self._server.close(client, flush=False)

    def wake(self, client: Client) -> None:
        """Something comes from a client, or cannot go to it: the cron is to look at it again. O(1)."""
        client.asleep = False
        self._awake[client] = None

    def cron(self) -> None:
        """Look at a share of the clients, so that each is looked at once a second, if there is anything to see.

        Ten thousand clients that do nothing must cost nothing: where nothing is pending, the client sleeps until
        something is. Only if there is a `timeout` must the sleepers be looked at, too.
        """
        server = self._server
        self._looked_in_vain = False
        timeout_ms = server.config.timeout * 1000
        if not self._round:
            self._round = list(server.clients.values() if timeout_ms else self._awake)
            self._share = max(5, len(self._round) // server.config.hz)
        batch = self._round[-self._share :]
        del self._round[-self._share :]
        idle_since_ms = server.now_ms - timeout_ms if timeout_ms else -1
        largest_input = largest_output = 0
        for client in batch:
            if not client.asleep:
                self.measure(client)
                largest_input = max(largest_input, client.parser.size)
                if client.unsent and not client.closing:
                    largest_output = max(largest_output, client.unsent)
                    self.check_output(client)
                if not client.unsent and not client.query_buffer:
                    client.asleep = True
                    self._awake.pop(client, None)
            if client.last_interaction_ms < idle_since_ms:
                self._end_idle(client)
        server.stats.recent_buffers.see(largest_input, largest_output, server.now_ms)

    def _end_idle(self, client: Client) -> None:
        """`timeout` has passed. Who waits, for a key, for messages or for commands to watch, may wait for ever."""
        may_idle = client.paused or client.waiting is not None or client.subscriptions or client.monitoring
        if not may_idle and not client.closing:
            self._server.log("-", f"Closing idle client {client.id} {client.address}")
            self._server.close(client, flush=False)
