"""A mail server for tests: server.py PORT SECURITY [CERTIFICATE KEY [USER PASSWORD]]

PORT 0 takes a free one. SECURITY is starttls (nothing without it), tls (from the start) or none. The first line on
standard output is the port; each further one is a message that was taken, as JSON. An address that begins with
"refused" is refused for good, one that begins with "later" for now, and one that begins with "full" after the message.
Ends when standard input does.
"""

import asyncio
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


# A client that breaks the handshake off is what some tests are about.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return f"550 5.1.1 <{address}>: no such person"
        if address.startswith("later"):
            return f"451 4.3.0 <{address}>: try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(address.startswith("full") for address in envelope.rcpt_tos):
            return "552 5.2.2 mailbox full"
        message = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None,
            "user": session.auth_data.login.decode() if session.authenticated else None,
            "name": session.host_name,
            "data": envelope.content.decode("utf-8", "replace"),
        }
        print(json.dumps(message), flush=True)
        return "250 OK"


async def serve(port, security, certificate=None, key=None, user=None, password=None):
    context = None
    if security != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

    def sign_in(server, session, envelope, mechanism, data):
        good = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=good, handled=False, auth_data=data)

    def protocol():
        starttls = security == "starttls"
        return SMTP(
            Handler(),
            hostname="mail.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=sign_in if user else None,
            auth_required=user is not None,
            # From the start, the protocol itself doesn't know of TLS.
            auth_require_tls=starttls,
        )

    loop = asyncio.get_running_loop()
    wrapped = context if security == "tls" else None
    server = await loop.create_server(protocol, "127.0.0.1", int(port), ssl=wrapped)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve(*sys.argv[1:]))
