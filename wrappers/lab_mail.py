"""The lab's mail servers: just enough SMTP (RFC 5321) and IMAP (RFC 9051) to be greeted and to begin TLS.

They take no mail and know no user. TLS begins within the connection, by STARTTLS (RFC 3207; RFC 9051, 6.2.1): what
came in the clear behind that command is thrown away, so that nobody can slip a command in before the handshake.
Called by `lab_targets.py`.
"""

import asyncio
import ssl
from contextlib import suppress

LINE_MAX_BYTES = 8192
NAME = "mail.test"
HANDSHAKE = b"\x16\x03"  # how a TLS connection begins (RFC 8446, 5.1)


class LineServer(asyncio.Protocol):
    """A connection of lines, in the clear at first. `greeting` and `obey` are the subclass's."""

    greeting = ""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self.is_secure = False
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self.handshake: asyncio.Task[None] | None = None

    def obey(self, line: str) -> None:
        """Answer a line, its end taken off."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.say(self.greeting)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.transport is not None and self.handshake is None:
            line, separator, rest = self.buffer.partition(b"\n")
            if len(line) > LINE_MAX_BYTES or line.startswith(HANDSHAKE):
                self.transport.close()
                return
            if not separator:
                return
            self.buffer = rest
            self.obey(line.rstrip(b"\r").decode("latin-1"))

    def say(self, *lines: str) -> None:
        if self.transport is not None:
            self.transport.write("".join(f"{line}\r\n" for line in lines).encode("latin-1"))

    def hang_up(self, *lines: str) -> None:
        self.say(*lines)
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def begin_tls(self, *lines: str) -> None:
        """Agree with these lines, and take the next bytes for a handshake."""
        self.say(*lines)
        self.handshake = asyncio.ensure_future(self._begin_tls())

    async def _begin_tls(self) -> None:
        assert self.transport is not None
        self.buffer = b""
        with suppress(OSError):  # an ssl.SSLError is one: asyncio has closed the connection then
            loop = asyncio.get_running_loop()
            self.transport = await loop.start_tls(self.transport, self, self.tls, server_side=True)
            self.is_secure = True
        self.handshake = None


class SmtpServer(LineServer):
    """SMTP submission and relay alike."""

    greeting = f"220 {NAME} ESMTP exitpin-lab"

    def obey(self, line: str) -> None:
        word = line.split(" ")[0].upper()
        if word == "EHLO":
            offers = ["PIPELINING", "SIZE 10240000", *([] if self.is_secure else ["STARTTLS"]), "8BITMIME"]
            self.say(f"250-{NAME}", *(f"250-{offer}" for offer in offers), "250 HELP")
        elif word == "HELO":
            self.say(f"250 {NAME}")
        elif word == "STARTTLS" and not self.is_secure:
            self.begin_tls("220 2.0.0 Ready to start TLS")
        elif word == "QUIT":
            self.hang_up("221 2.0.0 Bye")
        else:
            self.say(_SMTP_REPLIES.get(word, "500 5.5.2 Command not recognized"))


_SMTP_REPLIES = {
    "NOOP": "250 2.0.0 Ok",
    "RSET": "250 2.0.0 Ok",
    "HELP": "214 2.0.0 This is a target of the exitpin lab",
    "VRFY": "252 2.0.0 Cannot VRFY user",
    "MAIL": "550 5.7.1 Thank you, but this server takes no mail",
    "RCPT": "503 5.5.1 Need MAIL command",
    "DATA": "503 5.5.1 Need RCPT command",
    "AUTH": "502 5.5.1 Nobody has an account here",
    "STARTTLS": "503 5.5.1 TLS is active already",
}


class ImapServer(LineServer):
    """IMAP before the log-in, which nobody gets past."""

    greeting = "* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] exitpin-lab ready"

    def obey(self, line: str) -> None:
        tag, _, rest = line.partition(" ")
        word = rest.split(" ")[0].upper()
        if word == "CAPABILITY":
            offers = "AUTH=PLAIN" if self.is_secure else "STARTTLS LOGINDISABLED"
            self.say(f"* CAPABILITY IMAP4rev1 ID {offers}", f"{tag} OK Capability completed.")
        elif word == "STARTTLS" and not self.is_secure:
            self.begin_tls(f"{tag} OK Begin TLS negotiation now.")
        elif word == "LOGOUT":
            self.hang_up("* BYE Logging out", f"{tag} OK Logout completed.")
        elif word == "NOOP":
            self.say(f"{tag} OK NOOP completed.")
        elif word == "ID":
            self.say('* ID ("name" "exitpin-lab")', f"{tag} OK ID completed.")
        elif word in ("LOGIN", "AUTHENTICATE"):
            self.say(f"{tag} NO [AUTHENTICATIONFAILED] Nobody has an account here.")
        else:
            self.say(f"{tag or '*'} BAD Unknown command.")
