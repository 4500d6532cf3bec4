"""Who may do what on this node: where users meet clients.

The rules and how they decide are in mini_redis/security. Here is what follows from them for connections: who a client
is, what it is told when it is refused and what the log keeps of that, and who is disconnected when rules change.

    a call      the gate `_permitted` (gates.py) asks `permit`; EXEC asks again for each call that it runs, and scripts
                for each that they make, for rules may have changed, and a script has its caller's permissions
    a change    who is logged in stays so, and his next call is judged by the new rules. A subscriber that may not hear
                one of its channels any more is disconnected, since it makes no calls; so is who has lost his user

A node whose every user may do everything, as on the day it was started, has no gate: nobody pays.

Clients know their user by name. A user that is removed takes its clients along, so that a name can mean nobody else
later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mini_redis.commands.client import line_of
from mini_redis.commands.registry import Command
from mini_redis.resp.reply import ReplyError
from mini_redis.security import selector
from mini_redis.security.log import AccessLog, Refusal
from mini_redis.security.selector import (
    AUTH_DENIED,
    CHANNEL_DENIED,
    COMMAND_DENIED,
    KEY_DENIED,
    Denial,
    Matcher,
    permits_channel,
)
from mini_redis.security.user import User
from mini_redis.security.users import (
    DEFAULT,
    UNMATCHED,
    AclFileError,
    RefusedRule,
    Unmatched,
    Users,
    apply_all,
    joined,
    read_acl_file,
    valid_name,
)
from mini_redis.server.conf_file import ConfigError

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.node import Server

TOPLEVEL: Final = b"toplevel"
MULTI: Final = b"multi"
LUA: Final = b"lua"

CHANGED_MEANWHILE: Final = (
    b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is"
    b" no longer allowed for the following reason: "
)
REASON_IN_EXEC: Final = {
    COMMAND_DENIED: b"no permission to execute the command or subcommand",
    KEY_DENIED: b"no permission to touch the specified keys",
    CHANNEL_DENIED: b"no permission to access one of the channels used as arguments",
}
NO_ACL_FILE: Final = ReplyError(
    b"ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER"
    b" command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store"
    b" users in the Redis configuration."
)
NOT_SAVED: Final = ReplyError(
    b"ERR There was an error trying to save the ACLs. Please check the server logs for more information"
)
TWO_SOURCES: Final = (
    b"Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This"
    b" setup is very likely to lead to configuration errors and security holes, please define either an ACL file or"
    b" declare users directly in your redis.conf, but not both.\n"
)
INVALID_NAME: Final = ReplyError(b"ERR Usernames can't contain spaces or null characters")


class Access:
    """The users of one node, the log of refusals, and what both mean for clients."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.users = Users(all_channels=server.config.acl_pubsub_default == b"allchannels")
        self.log = AccessLog()
        self.restricts = False  # somebody may not do everything

    # --- The start ---------------------------------------------------------------------------------------------------

    def load_configured(self) -> None:
        """The users that the configuration declares, or those of its ACL file. Raises ConfigError."""
        config = self._server.config
        if config.requirepass:
            self._set_default_password()
        if config.aclfile and config.users:
            raise ConfigError(TWO_SOURCES)
        for name, *rules in config.users:
            self._declare(name, rules)
        if config.aclfile:
            try:
                self.users.replace_all(self._read_file())
            except AclFileError as error:
                raise ConfigError(b"Aborting Redis startup because of ACL errors: %b\n" % error.text) from None
        self.restricts = not self.users.all_unrestricted

    def _declare(self, name: bytes, rules: list[bytes]) -> None:
        if not valid_name(name):
            raise ConfigError(b"Spaces not allowed in ACL usernames\nCritical error while loading ACLs. Exiting.\n")
        user = self.users.new(name)
        try:
            apply_all(user, rules)
        except RefusedRule as refused:
            told = b"Error loading ACL rule '%b' for the user named '%b': %b\n" % (refused.rule, name, refused.reason)
            raise ConfigError(told + b"Critical error while loading ACLs. Exiting.\n") from None
        self.users.take_over(user)
        if not user.enabled:
            self._server.log(
                "*",
                f"The user '{name.decode('latin-1')}' is disabled (there is no 'on' modifier in the user description)."
                " Make sure this is not a configuration error.",
            )

    # --- Who a client is ---------------------------------------------------------------------------------------------

    @property
    def asks_for_password(self) -> bool:
        """Whether the default user is not open, so that one has to say who one is."""
        return not self.users.default.is_open

    def welcome(self, client: Client) -> None:
        """A new connection, or one that was reset: the default user, logged in if that is open to everybody."""
        client.user = DEFAULT
        client.authenticated = client.parser.authenticated = self.users.default.is_open

    def log_in(self, client: Client, argv: Sequence[bytes], name: bytes, password: bytes) -> bool:
        """Make the client this user, if the password is right; else log the call, and False."""
        user = self.users.by_name.get(name)
        if user is None or not user.accepts(password):
            self._refused(client, argv, AUTH_DENIED, _context(client), argv[0], name)
            return False
        client.user = name
        client.authenticated = client.parser.authenticated = True
        return True

    def user_of(self, client: Client) -> User:
        """Who it is logged in as. Of one that is about to be disconnected the user may be gone."""
        return self.users.by_name.get(client.user, self.users.default)

    # --- Decide ------------------------------------------------------------------------------------------------------

    def permit(self, client: Client, command: Command, argv: Sequence[bytes]) -> None:
        """Raise NOPERM, and log it, unless the client may make this call."""
        denial = self.user_of(client).denial(command, argv)
        if denial is not None:
            self._log_denial(client, command, argv, denial, _context(client))
            raise ReplyError(b"NOPERM " + self.explain(client.user, command, denial))

    def permit_queued(self, client: Client, command: Command, argv: Sequence[bytes]) -> None:
        """The same for a call that was queued, when it was permitted, and is run now."""
        denial = self.user_of(client).denial(command, argv)
        if denial is not None:
            self._log_denial(client, command, argv, denial, MULTI)
            raise ReplyError(CHANGED_MEANWHILE + REASON_IN_EXEC[denial[0]])

    def refusal_in_script(self, client: Client, command: Command, argv: Sequence[bytes]) -> ReplyError | None:
        """What a script's call is refused with, which is logged, or None. `client` has the user of the caller."""
        denial = self.user_of(client).denial(command, argv)
        if denial is None:
            return None
        self._log_denial(client, command, argv, denial, LUA)
        return ReplyError(b"ERR ACL failure in script: " + self.explain(client.user, command, denial))

    def may_read_all_keys(self, client: Client, argv: list[bytes]) -> bool:
        """Whether the rule by which the client may make this call lets it read whatever key the call comes across."""
        command = self._server.command_table.resolve(argv).command
        return not self.restricts or self.user_of(client).may_read_all_keys(command, argv)

    def allows(self, client: Client, argv: list[bytes]) -> bool:
        """Whether the client may make this call; nothing is logged. Raises ReplyError if there is no such command."""
        command = self._server.command_table.resolve(argv).command
        return self.user_of(client).denial(command, argv) is None

    @staticmethod
    def explain(name: bytes, command: Command, denial: Denial, word: bytes | None = None) -> bytes:
        """Why this user may not, in Redis's words; with `word` the key or channel is named."""
        match denial[0]:
            case selector.COMMAND_DENIED:
                return b"User %b has no permissions to run the '%b' command" % (name, command.name)
            case selector.KEY_DENIED:
                what = b"key"
            case _:
                what = b"channel"
        if word is None:
            return b"No permissions to access a " + what
        return b"User %b has no permissions to access the '%b' %b" % (name, word, what)

    def _log_denial(
        self, client: Client, command: Command, argv: Sequence[bytes], denial: Denial, context: bytes
    ) -> None:
        reason, index = denial
        what = command.name if reason == COMMAND_DENIED else argv[index]
        self._refused(client, argv, reason, context, what, client.user)

    def _refused(
        self, client: Client, argv: Sequence[bytes], reason: int, context: bytes, what: bytes, name: bytes
    ) -> None:
        server = self._server
        if client.in_script and server.scripting.caller is not None:
            client = server.scripting.caller  # of a script's client nobody has heard
        line = line_of(client.context, client, argv).rstrip(b"\n")
        self.log.add(Refusal(reason, context, what, name, line, server.now_ms), server.config.acllog_max_len)

    # --- Changes -----------------------------------------------------------------------------------------------------

    def set_user(self, name: bytes, words: Sequence[bytes]) -> None:
        """ACL SETUSER: create or change a user by these rules, all of them or none. Raises ReplyError."""
        if not valid_name(name):
            raise INVALID_NAME
        try:
            changed = self.users.changed(name, joined(words))
        except Unmatched as unmatched:
            raise ReplyError(b"ERR " + UNMATCHED % _c_string(unmatched.word)) from None
        except RefusedRule as refused:
            told = b"ERR Error in ACL SETUSER modifier '%b': %b"
            raise ReplyError(told % (_c_string(refused.rule), refused.reason)) from None
        known = self.users.by_name.get(name)
        victims = self._silenced(known, changed) if known is not None else []
        self.users.take_over(changed)
        for client in victims:
            self._disconnect(client)
        self._changed()

    def delete_user(self, name: bytes) -> bool:
        """ACL DELUSER for one name, its connections included; False if there is no such user."""
        if not self.users.remove(name):
            return False
        for client in [client for client in self._server.clients.values() if client.user == name]:
            self._expel(client)
        self._changed()
        return True

    def password_configured(self) -> None:
        """CONFIG SET requirepass, which is about the default user."""
        self._set_default_password()
        self._changed()

    def _set_default_password(self) -> None:
        password = self._server.config.requirepass
        default = self.users.default
        default.apply(b"resetpass")
        default.apply(b">" + password if password else b"nopass")

    def default_channels_configured(self) -> None:
        """CONFIG SET acl-pubsub-default."""
        self.users.all_channels = self._server.config.acl_pubsub_default == b"allchannels"

    def _changed(self) -> None:
        server = self._server
        self.restricts = not self.users.all_unrestricted
        server.choose_gates()
        for client in server.clients.values():
            client.parser.authenticated = client.authenticated or not self.asks_for_password

    def _silenced(self, before: User, after: User) -> list[Client]:
        """Who is logged in as this user and listens to what it may hear no longer. O(subscriptions * patterns)."""
        if any(selector.all_channels for selector in after.selectors):
            return []
        permitted = {pattern: fits for selector in after.selectors for pattern, fits in selector.channels.items()}
        if not any(selector.all_channels for selector in before.selectors) and all(
            pattern in permitted for selector in before.selectors for pattern in selector.channels
        ):
            return []
        return [
            client
            for client in self._server.pubsub.subscribers
            if client.user == before.name and not _may_go_on_listening(client, permitted)
        ]

    def _expel(self, client: Client) -> None:
        """Its user is gone. Until the connection has ended it is a stranger."""
        client.user = DEFAULT
        client.authenticated = client.parser.authenticated = False
        self._disconnect(client)

    def _disconnect(self, client: Client) -> None:
        """At once; but who did this to himself still reads the reply."""
        self._server.close(client, flush=client is self._server.pubsub.running)

    # --- The ACL file ------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """ACL LOAD: replace all users by those of the file. Raises ReplyError; then nothing has changed."""
        if not self._server.config.aclfile:
            raise NO_ACL_FILE
        try:
            others = self._read_file()
        except AclFileError as error:
            raise ReplyError(b"ERR " + error.text) from None
        victims: list[Client] = []
        for name, user in self.users.by_name.items():
            after = others.by_name.get(name)
            if after is not None:
                victims += self._silenced(user, after)
        self.users.replace_all(others)
        for client in victims:
            self._disconnect(client)
        for client in [each for each in self._server.clients.values() if each.user not in self.users.by_name]:
            self._expel(client)
        self._changed()

    def save(self) -> None:
        """ACL SAVE: replace the file by one that describes the present users. Raises ReplyError."""
        server = self._server
        path = server.config.aclfile
        if not path:
            raise NO_ACL_FILE
        text = b"".join(line + b"\n" for line in self.users.lines())
        try:
            server.write_file(_path(path), text)
        except ReplyError as failure:
            reason = failure.text.removeprefix(b"ERR ").decode("utf-8", "replace")
            server.log("#", f"Opening temp ACL file for ACL SAVE: {reason}")
            raise NOT_SAVED from failure

    def _read_file(self) -> Users:
        path = self._server.config.aclfile
        try:
            text = self._server.environment.read_file(_path(path))
        except ReplyError as failure:
            reason = failure.text.removeprefix(b"ERR ")
            raise AclFileError(b"Error loading ACLs, opening file '%b': %b" % (path, reason)) from None
        return read_acl_file(path, text, all_channels=self.users.all_channels)


def _context(client: Client) -> bytes:
    return MULTI if client.queue is not None else TOPLEVEL


def _may_go_on_listening(client: Client, permitted: dict[bytes, Matcher]) -> bool:
    channels, patterns, shards = client.subscriptions or ({}, {}, {})
    return all(permits_channel(permitted, pattern, is_pattern=True) for pattern in patterns) and all(
        permits_channel(permitted, channel, is_pattern=False) for channel in (*channels, *shards)
    )


def _path(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _c_string(word: bytes) -> bytes:
    return word.partition(b"\0")[0]
