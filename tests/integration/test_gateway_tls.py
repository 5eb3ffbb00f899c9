"""Model servers behind TLS: their certificates, and connections that are used again. The daemon trusts what the test
makes (lib/trust.c), in place of what the system trusts."""
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import unittest

from lib.gateway import CHAT, GatewayTest, upstream

OPENSSL = shutil.which("openssl")


def make_certificate(folder, name, address):
    """For this address; the file of it and of its key."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run([OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", files[1], "-out", files[0], "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=IP:{address}"], check=True, capture_output=True)
    return files


@unittest.skipUnless(OPENSSL, "openssl is not here")
class Tls(GatewayTest):
    def behind_tls(self, address="127.0.0.1", trusted=True):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="bt-tls-"))
        self.addCleanup(shutil.rmtree, folder)
        certificate, key = make_certificate(folder, "server", address)
        others, _ = make_certificate(folder, "others", "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = self.server("openai", ["m"], tls=context)
        daemon = self.behind(upstream(server, "far", models=[{"name": "m", "vram_mb": 1000}]), start=False)
        daemon.env.update(LD_PRELOAD=os.environ["TRUST_LIB"], TRUST_FILE=str(certificate if trusted else others))
        # The preloaded library comes before the sanitizer's, which is on purpose.
        daemon.env["ASAN_OPTIONS"] = "detect_leaks=1:verify_asan_link_order=0"
        daemon.start()
        return server, daemon

    def test_used_again(self):
        """Its connection, after a stream, whose end is seen wherever it stands."""
        server, daemon = self.behind_tls()
        self.assertIn("choices", self.ask(daemon, "m").json())
        self.assertEqual(self.ask(daemon, "m", stream=True).status, 200)
        before = server.accepted
        for _ in range(3):
            answer = self.ask(daemon, "m", stream=True)
            self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"), answer)
        self.assertEqual((server.accepted, len(server.asked(CHAT))), (before, 5))

    def test_what_comes_with_an_answer_is_nobodys(self):
        """An old answer, within the bytes that TLS hands over at once with the end of the last one."""
        server, daemon = self.behind_tls()
        old = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n"old"'

        def send(handler, status, body, headers=()):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n")
            handler.wfile.write(b'"new"' + old)
            return True

        server.send = send
        for _ in range(4):
            answer = self.ask(daemon, "m")
            self.assertEqual((answer.status, answer.body), (200, b'"new"'))
        self.assertEqual(len(server.asked(CHAT)), 4)

    def test_certificates(self):
        """One that nobody here trusts, and one that is another's."""
        for how in ({"trusted": False}, {"address": "127.0.0.2"}):
            server, daemon = self.behind_tls(**how)
            answer = self.ask(daemon, "m")
            self.assertError(answer, 502, "upstream_unreachable")
            self.assertRegex(answer.json()["error"]["message"], "(?i)certificate")
            self.assertEqual(server.requests, [])


if __name__ == "__main__":
    unittest.main()
