"""What one client may take from the others: memory for its requests, memory for its replies, a connection for ever.

A client that sends half a request and stops, or asks for much and never reads, costs memory until one of these limits
ends it:

    client-query-buffer-limit     bytes sent and not run yet, the MULTI queue included
    client-output-buffer-limit    per class: at once above the hard limit; above the soft one for so many seconds
    timeout                       seconds without a request

Those who are not limited are harmless anyway: a turn of the loop reads a bounded piece from each client and never
waits for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.node import Server

UNAUTHENTICATED_QUERY_BUFFER = 1024 * 1024


class ClientLimits:
    """The limits of one server; all checks are O(1), the cron looks at a share of the clients each time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._next_client = 0
        self.limits_output = False  # for the end of each turn, where most servers have nothing to check

    def configure(self) -> None:
        """Obey `client-output-buffer-limit`."""
        limit = self._server.config.client_output_buffer_limit[b"normal"]
        self.limits_output = bool(limit.hard or limit.soft)

    def query_buffer_exceeded(self, client: Client) -> bool:
        """End a client that has sent too much without completing it; whether it was ended."""
        size = client.query_buffer
        stranger = not client.authenticated and size > UNAUTHENTICATED_QUERY_BUFFER
        if size <= self._server.config.client_query_buffer_limit and not stranger:
            return False
        self._server.stats.query_buffer_disconnections += 1
        self._server.log("#", f"Closing client {client.id} {client.address}: it reached the query buffer limit")
        self._server.close(client, flush=False)
        return True

    def check_output(self, client: Client) -> None:
        """End a client whose unread replies are above the hard limit, or too long above the soft one."""
        hard, soft, soft_seconds = self._server.config.client_output_buffer_limit[client.kind]
        size, now_ms = client.output_buffer, self._server.now_ms
        if hard and size >= hard:
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

    def cron(self) -> None:
        """Look at a share of the clients, so that each is looked at about once a second."""
        server = self._server
        clients = list(server.clients.values())
        if not clients:
            return
        share = max(5, len(clients) // server.config.hz)
        start = self._next_client % len(clients)
        self._next_client = start + share
        timeout_ms = server.config.timeout * 1000
        largest_input = largest_output = 0
        for client in (clients[start:] + clients[:start])[:share]:
            if client.parser.size > largest_input:
                largest_input = client.parser.size
            if client.unsent:
                largest_output = max(largest_output, client.unsent)
                self.check_output(client)
            if timeout_ms and not client.paused and server.now_ms - client.last_interaction_ms > timeout_ms:
                server.log("-", f"Closing idle client {client.id} {client.address}")
                server.close(client, flush=False)
        server.stats.recent_buffers.see(largest_input, largest_output, server.now_ms)
