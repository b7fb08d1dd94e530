"""A real mail server for tests: aiosmtpd with STARTTLS or TLS and a login. Appends each message as a line of JSON to a file.

usage: smtp_server.py starttls|tls|none CERTIFICATE KEY OUT
Prints its port. User wanwatch, password mật khẩu. Recipients that begin with "no" are refused for good, with "later" once for now.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

security, certificate, key, out = sys.argv[1:]
put_off = set()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("no"):
            return "550 5.1.1 no such user"
        if address.startswith("later") and address not in put_off:
            put_off.add(address)
            return "451 4.3.0 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "content": envelope.content.decode("utf-8"),
            "secured": session.ssl is not None or security == "tls",
            "authenticated": bool(session.authenticated),
        }
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.login == b"wanwatch" and data.password.decode() == "mật khẩu"
    return AuthResult(success=good)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def factory():
        login = security != "none"
        return SMTP(
            Handler(),
            hostname="mail.test",
            enable_SMTPUTF8=True,
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            auth_required=login,
            auth_require_tls=security == "starttls",
            authenticator=authenticate if login else None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context if security == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
