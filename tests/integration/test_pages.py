"""Goal: pages and their files are served whole, right, to whom they belong, and nothing else is (CASES C29).
Method: a daemon with what is compiled in, and folders of models made for it.
"""
import gzip
import os
import re
import statistics
import threading
import time
import unittest

from lib.daemon import DaemonTest, in_thread
from lib.pages import BROWSER, PAGES, inline_of, key_of, open_link, page_of, sign_in, sources
from lib.wait import wait_until

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml"}
SCRIPTS, STYLES = inline_of("script"), inline_of("style")
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


class PagesTest(DaemonTest):
    def setUp(self):
        self.d = self.daemon()

    def get(self, path, headers=None, daemon=None):
        return (daemon or self.d).http("GET", path, headers=headers, token=None)

    def models(self):
        """A daemon with a folder of models of its own, and that folder."""
        daemon = self.daemon(start=False)
        folder = daemon.dir / "models"
        folder.mkdir()
        daemon.args += ["--models", str(folder)]
        return daemon.start(), folder

    def assertIsolated(self, answer, shared="same-origin"):
        """The headers of everything that a page is made of; the SDK is `shared` with any site."""
        policy = answer.headers["content-security-policy"]
        is_page = answer.headers["content-type"].startswith("text/html")
        scripts, styles = ("".join(f" {name}" for name in names if is_page) for names in (SCRIPTS, STYLES))
        for part in ("default-src 'none'", f"script-src 'self' 'wasm-unsafe-eval'{scripts}",
                     f"style-src 'self'{styles}", "connect-src 'self'", "worker-src 'self' blob:", "base-uri 'none'",
                     "form-action 'none'", "frame-ancestors 'none'"):
            self.assertIn(part, policy.split("; "), answer)
        self.assertNotIn("unsafe-inline", policy)
        # A page makes no markup and no worker of a text but by its one policy; its workers hold libraries.
        trusted = {"require-trusted-types-for 'script'", "trusted-types baton baton-sdk default"}
        self.assertEqual(trusted & set(policy.split("; ")), trusted if is_page else set(), answer)
        for name, value in {"cross-origin-opener-policy": "same-origin", "x-content-type-options": "nosniff",
                            "cross-origin-embedder-policy": "require-corp",
                            "cross-origin-resource-policy": shared}.items():
            self.assertEqual(answer.headers.get(name), value, answer)

    def assertNamedFilesThere(self, answer):
        """Each script and stylesheet that a page names is served."""
        names = re.findall(r'(?:src=|href=|import\()"(/[^"]*\.(?:js|css))"', answer.body.decode())
        self.assertTrue(names, answer)
        for name in names:
            self.assertEqual(self.get(name).status, 200, name)


class SignIn(PagesTest):
    def test_strangers_are_told_what_to_do(self):
        """Each address of a page explains `baton open` to who has no cookie: no script, never kept."""
        for headers in (BROWSER, {**BROWSER, "Cookie": "baton=" + "0" * 64}):
            for address in PAGES:
                answer = self.get(address, headers)
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(answer.headers["content-type"], TYPES[".html"])
                name = "" if address == "/" else f" --page {address[1:]}"
                self.assertIn(f"<pre>baton open{name}</pre>".encode(), answer.body)
                self.assertNotIn(b"<script", answer.body)
                self.assertNamedFilesThere(answer)
                self.assertEqual(answer.headers["cache-control"], "no-store")
                self.assertIsolated(answer)

    def test_link(self):
        """The link works once, gives the page its key, and leads to the page that was asked for, to no other.
        Neither the address nor the cookie has the key: a browser shows those to others."""
        for page, target in (("", "/"), ("&page=console", "/console"), ("&page=dashboard", "/"),
                             ("&page=logs", "/logs"), ("&page=nope", "/"), ("&page=//evil.example", "/"),
                             ("&page=" + "x" * 300, "/")):
            link = open_link(self.d)
            answer = self.get(link + page, BROWSER)
            self.assertEqual(answer.status, 200, page)
            self.assertIn(f'data-to="{target}"'.encode(), answer.body)
            self.assertNamedFilesThere(answer)
            self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertIsolated(answer)
            cookie = answer.headers["set-cookie"]
            for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=34560000"):
                self.assertIn(part, cookie)
            self.assertRegex(cookie, rf"^baton-{self.d.address[1]}=[0-9a-f]{{16}};")
            self.assertNotIn(key_of(answer), str(answer.headers))
            again = self.get(link, BROWSER)
            self.assertEqual(again.status, 401)
            self.assertIn(b"baton open", again.body)
            self.assertNotIn("set-cookie", again.headers)
            signed = self.get(link, {**BROWSER, "Cookie": cookie.split(";")[0]})
            self.assertEqual((signed.status, signed.headers["location"]), (303, "/"))

    def test_typed_by_hand(self):
        """A page's name, a slash too many and a query lead to the page, signed in or not; what is no page's
        address is an error as before, and so is everything for programs and strangers."""
        pages = {"dashboard": "/", "console": "/console", "mic": "/mic", "dreamer": "/dreamer", "logs": "/logs"}
        for headers in (BROWSER, {**BROWSER, **sign_in(self.d)}):
            for name, address in pages.items():
                for typed in (f"/{name}/", f"/{name}/?x=1"):
                    answer = self.get(typed, headers)
                    self.assertEqual((answer.status, answer.headers["location"]), (303, address), typed)
            for typed in ("/dashboard", "/dashboard?open=0"):
                answer = self.get(typed, headers)
                self.assertEqual((answer.status, answer.headers["location"]), (303, "/"), typed)
                self.assertEqual(self.get(answer.headers["location"], headers).status, 200)
            for typed in ("/dashboards", "/Dashboard", "/dash", "/nothing"):
                self.assertIn(self.get(typed, headers).status, (401, 404), typed)
        self.assertError(self.get("/dashboard", {"Accept": "application/json"}), 401)
        self.assertError(self.d.http("POST", "/dashboard", {}, {"Accept": "text/html"}, token=None), 401)
        self.assertError(self.get("/dashboard", {**BROWSER, "Host": "evil.example"}), 403)

    def test_sign_in_outlives_the_daemon(self):
        """A page that reloads after `kill -9` is still signed in, for what changes something, too."""
        headers = sign_in(self.d)
        self.d.kill()
        self.d.start()
        page = {**BROWSER, "Cookie": headers["Cookie"].replace(headers["Cookie"].split("=")[0],
                                                                f"baton-{self.d.address[1]}")}
        self.assertIn(b'id="board"', self.get("/", page).body)
        key = {"Authorization": headers["Authorization"]}
        self.assertEqual(self.get("/v1/gpu/status", key).status, 200)
        own = {**key, "Origin": f"http://{self.d.host}"}
        answer = self.d.http("POST", "/v1/gpu/pause", {"reason": "test"}, own, token=None)
        self.assertEqual(answer.status, 200, answer)
        (self.d.state / "page-keys").unlink()
        self.d.kill()
        self.d.start()
        self.assertNotIn(b'id="board"', self.get("/", page).body)
        self.assertError(self.get("/v1/gpu/status", key), 401)

    def test_cookie_alone_is_good_for_nothing(self):
        """B3: another server of the host sees the cookie, and can do nothing with it, nor with one of before."""
        headers = sign_in(self.d)
        own = f"http://{self.d.host}"
        for cookie in (headers["Cookie"], "baton=" + headers["Authorization"].split()[1]):
            jar = {"Cookie": cookie, "Origin": own}
            self.assertError(self.get("/v1/gpu/status", {"Cookie": cookie}), 401)
            for path in ("/v1/gpu/reset", "/v1/gpu/force-release-all", "/v1/hot-reload", "/logs/clear"):
                self.assertError(self.d.http("POST", path, {}, jar, token=None), 401)
        value = headers["Cookie"].split("=")[1]
        self.assertError(self.get("/v1/gpu/status", {"Authorization": f"Bearer {value}"}), 401)

    def test_key_is_for_own_pages(self):
        """A key that got out changes nothing without the Origin of the broker's pages."""
        daemon = self.daemon(config={"origins": ["http://localhost:8000"]})
        key = {"Authorization": sign_in(daemon)["Authorization"]}
        for origin in ({}, {"Origin": "http://localhost:8000"}):
            answer = daemon.http("POST", "/v1/gpu/reset", {}, {**key, **origin}, token=None)
            self.assertError(answer, 401)

    def test_two_daemons(self):
        """B3: who signs in at a second broker of the host stays signed in at the first."""
        other = self.daemon()
        first, second = sign_in(self.d), sign_in(other)
        self.assertNotEqual(first["Cookie"].split("=")[0], second["Cookie"].split("=")[0])
        jar = {**BROWSER, "Cookie": f"{first['Cookie']}; {second['Cookie']}"}
        for daemon in (self.d, other):
            self.assertIn(b'id="board"', self.get("/", jar, daemon).body)

    def test_keys_of_before_are_forgotten(self):
        """What an earlier broker kept went to every port as a cookie: it is removed, and signs nobody in."""
        old = "c" * 64
        (self.d.state / "cookies").write_text(old + "\n")
        (self.d.state / "cookies").chmod(0o600)
        self.d.kill()
        self.d.start()
        self.assertFalse((self.d.state / "cookies").exists())
        self.assertError(self.get("/v1/gpu/status", {"Authorization": f"Bearer {old}"}), 401)

    def test_logs_are_a_page_and_lines(self):
        """/logs: who accepts text/html gets the page, a program the lines; a cache can tell them apart."""
        headers = sign_in(self.d)
        page = self.get("/logs", headers)
        self.assertEqual(page.body, page_of("logs"))
        self.assertIn("Accept,", page.headers["vary"])
        for accept in ("*/*", "application/json"):
            lines = self.get("/logs", {**headers, "Accept": accept})
            self.assertIn("logs", lines.json())
            self.assertEqual(lines.headers["vary"], "Accept")
            self.assertError(self.get("/logs", {"Accept": accept}), 401)
        self.assertIn("logs", self.d.http("GET", "/logs").json())

    def test_links_of_other_sites(self):
        """A link may lead to a page; a file, and what another site embeds, may not be taken."""
        foreign = {**BROWSER, "Sec-Fetch-Site": "cross-site"}
        for address in PAGES:
            self.assertEqual(self.get(address, foreign).status, 200, address)
        self.assertError(self.get("/ui/frame.css", foreign), 403)
        self.assertError(self.get("/models/tiny-lm/config.json", foreign), 403)


class Files(PagesTest):
    def test_every_page(self):
        """Each page is its source with one script, and has the headers that isolate it."""
        headers = sign_in(self.d)
        for address, folder in PAGES.items():
            answer = self.get(address, headers)
            self.assertEqual(answer.status, 200, address)
            self.assertEqual(answer.body, page_of(folder), address)
            self.assertEqual(answer.headers["content-type"], TYPES[".html"])
            self.assertEqual(answer.headers["vary"], "Accept, Cookie, Accept-Encoding")
            self.assertEqual(answer.headers["cache-control"], "no-cache")
            self.assertIsolated(answer)
            self.assertNamedFilesThere(answer)
            again = self.get(address, {**headers, "If-None-Match": answer.headers["etag"]})
            self.assertEqual((again.status, again.body), (304, b""))
            stranger = self.get(address, {**BROWSER, "If-None-Match": answer.headers["etag"]})
            self.assertEqual(stranger.status, 200)

    def test_every_source(self):
        """All sources are compiled in, packed and not, each form with a tag of its own; without a token."""
        found = list(sources())
        self.assertGreater(len(found), 20)
        for url, kind, source in found:
            plain, packed = self.get(url), self.get(url, GZIP)
            self.assertEqual((plain.status, plain.body), (200, source), url)
            self.assertEqual(plain.headers["content-type"], TYPES[kind], url)
            self.assertNotIn("content-encoding", plain.headers)
            self.assertEqual(packed.headers["content-encoding"], "gzip", url)
            self.assertEqual(gzip.decompress(packed.body), plain.body, url)
            self.assertEqual(packed.headers["vary"], "Accept-Encoding")
            self.assertIsolated(packed, "cross-origin" if url.startswith("/sdk/") else "same-origin")
            tags = plain.headers["etag"], packed.headers["etag"]
            self.assertNotEqual(*tags)
            self.assertEqual(self.get(url, {"If-None-Match": f'"x", W/{tags[0]}'}).status, 304)
            self.assertEqual(self.get(url, {"If-None-Match": tags[0], **GZIP}).status, 200)
            answer = self.get(url, {"If-None-Match": tags[1], **GZIP})
            self.assertEqual((answer.status, answer.headers["etag"]), (304, tags[1]))

    def test_libraries(self):
        """Libraries come from the disk, packed for who takes that."""
        for name in ("uplot.js", "uplot.css", "marked.js", "purify.js", "idb.js"):
            self.assertEqual(self.get(f"/vendor/{name}", GZIP).headers.get("content-encoding"), "gzip", name)
        for name, kind in (("web-llm.js", TYPES[".js"]), ("transformers.js", TYPES[".js"]),
                           ("ort-wasm-simd-threaded.asyncify.mjs", TYPES[".js"]),
                           ("ort-wasm-simd-threaded.asyncify.wasm", "application/wasm")):
            plain, packed = self.get(f"/vendor/{name}"), self.get(f"/vendor/{name}", GZIP)
            self.assertEqual((plain.status, plain.headers["content-type"]), (200, kind), name)
            self.assertEqual(len(plain.body), int(plain.headers["content-length"]))
            self.assertIsolated(packed)
            self.assertEqual(gzip.decompress(packed.body), plain.body, name)
            answer = self.get(f"/vendor/{name}", {"If-None-Match": packed.headers["etag"], **GZIP})
            self.assertEqual(answer.status, 304)
        self.assertEqual(self.get("/models/tiny-lm/config.json").headers["content-type"], "application/json")

    def test_c29_nothing_else(self):
        """C29: whatever the spelling, what is not a file of the listed folders is 404, or no request at all."""
        daemon, folder = self.models()
        (folder / "good.bin").write_bytes(b"good")
        (folder / "sub").mkdir()
        (folder / ".hidden").write_text("x", encoding="utf-8")
        (folder / "link").symlink_to(daemon.state / "token")
        (folder / "up").symlink_to("..")
        os.mkfifo(folder / "fifo")
        self.assertEqual(self.get("/models/good.bin", daemon=daemon).body, b"good")
        tails = ("", "sub", "sub/", ".hidden", "link", "up/state/token", "fifo", "good.bin/", "good.bin/x", "missing",
                 "../state/token", "%2e%2e/state/token", "..%2fstate%2ftoken", "%2e%2e%2fstate/token", "..\\state",
                 "sub/../good.bin", "./good.bin", "/good.bin", "good.bin%00", "good.bin%00.js", "%00", "good%2ebin%20",
                 "GOOD.BIN", "x" * 300, "/".join("x" * 2000))
        for tail in tails:
            answer = self.get(f"/models/{tail}", daemon=daemon)
            self.assertIn(answer.status, (400, 401, 404), f"{tail[:40]}: {answer}")
            self.assertNotIn(daemon.token.encode(), answer.body)
        self.assertEqual(self.get("/models/good%2ebin", daemon=daemon).status, 200)  # one file, spelt otherwise
        for path in ("/pages/../state/token", "/pages/%2e%2e/package.json", "/pages/", "/ui",
                     "/ui/", "/sdk/../package.json", "/vendor/../vendor.txt", "/vendor/%2e%2e/vendor.txt",
                     "/vendor/licenses", "/modules/../sdk/index.js", "/ui/frame.css/", "/pages/models.txt",
                     "/pages/meson.build", "/vendor/web-llm.js.gz/"):
            self.assertIn(self.get(path).status, (400, 401, 404), path)
        self.assertEqual(self.get("/ui/../../sdk/index.js").status, 404)

    def test_origins(self):
        """A listed origin may import the kernel; a foreign one gets nothing."""
        daemon = self.daemon(config={"origins": ["http://localhost:8000"]})
        for url in ("/modules/sovereign.js", "/ui/frame.css"):
            listed = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-site"}
            answer = self.get(url, listed, daemon)
            self.assertEqual(answer.status, 200, url)
            self.assertEqual(answer.headers["access-control-allow-origin"], "http://localhost:8000")
            answer = self.get(url, {"Origin": "https://evil.example"}, daemon)
            self.assertError(answer, 403)
            self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_sdk_is_everybodys(self):
        """B2: any site may read the SDK, and embed it, so that it can say for itself what is wrong; it is the
        same answer for all. Another Host gets nothing, and nothing else is open."""
        for headers in ({}, {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"},
                        {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            for url in ("/sdk/index.js", "/sdk/worker.js"):
                answer = self.get(url, headers)
                self.assertEqual(answer.status, 200, (url, headers))
                self.assertEqual(answer.headers["access-control-allow-origin"], "*")
                self.assertEqual(answer.headers["cross-origin-resource-policy"], "cross-origin")
                self.assertNotIn("access-control-allow-credentials", answer.headers)
            missing = self.get("/sdk/nothing.js", headers)
            self.assertError(missing, 404)
            self.assertEqual(missing.headers["access-control-allow-origin"], "*")
        self.assertError(self.get("/sdk/index.js", {"Host": "evil.example", "Origin": "https://app.example"}), 403)
        self.assertError(self.d.http("POST", "/sdk/index.js", {}, {"Origin": "https://app.example"}), 405)

    def test_sdk_package(self):
        """/sdk/baton-sdk.tgz comes from the disk, for any site; without `make pages` it is not there."""
        web = self.d.dir / "web"
        (web / "sdk").mkdir(parents=True)
        daemon = self.daemon(start=False)
        daemon.args += ["--web", str(web)]
        daemon.start()
        self.assertError(self.get("/sdk/baton-sdk.tgz", daemon=daemon), 404)
        (web / "sdk/baton-sdk.tgz").write_bytes(b"packed")
        (web / "sdk/other.js").write_bytes(b"not compiled in")
        answer = self.get("/sdk/baton-sdk.tgz", {"Origin": "https://app.example"}, daemon)
        self.assertEqual((answer.status, answer.body), (200, b"packed"))
        self.assertEqual(answer.headers["content-type"], "application/gzip")
        self.assertEqual(answer.headers["access-control-allow-origin"], "*")
        self.assertError(self.get("/sdk/other.js", daemon=daemon), 404)

    def test_openapi(self):
        """The routes as OpenAPI, for anybody here; no other origin reads them."""
        answer = self.get("/openapi.json")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertIn("/v1/gpu/lock", answer.json()["paths"])
        self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertError(self.get("/openapi.json", {"Origin": "https://app.example"}), 403)

    def test_model_origins(self):
        """Only configured origins may be loaded from besides the broker; a reload of the file is enough."""
        allowed = "connect-src 'self' https://models.example https://b.example:8443"
        self.assertIn("; connect-src 'self'", self.get("/sdk/index.js").headers["content-security-policy"])
        self.assertNotIn("models.example", self.get("/sdk/index.js").headers["content-security-policy"])
        self.d.write_config({**self.d.config, "model_origins": ["https://models.example", "https://b.example:8443"]})
        self.assertEqual(self.d.http("POST", "/v1/hot-reload", {}, unix=True).status, 200)
        self.assertIn(allowed, self.get("/sdk/index.js").headers["content-security-policy"])

    def test_own_models(self):
        """The user's folder lies over the demo models, hides what it names and nothing else."""
        daemon, folder = self.models()
        (folder / "models.json").write_text('[{"id": "mine"}]', encoding="utf-8")
        (folder / "tiny-lm").mkdir()
        (folder / "tiny-lm" / "config.json").write_text("{}", encoding="utf-8")
        self.assertEqual(self.get("/models/models.json", daemon=daemon).json(), [{"id": "mine"}])
        self.assertEqual(self.get("/models/tiny-lm/config.json", daemon=daemon).body, b"{}")
        self.assertGreater(len(self.get("/models/tiny-lm/onnx/model.onnx", daemon=daemon).body), 1000)
        self.assertEqual(self.get("/models/models.json").json(), [])

    def test_models_are_no_pages(self):
        """What came with somebody's model is data: no page and no script of the broker's origin."""
        daemon, folder = self.models()
        for name, kind in (("x.html", "application/octet-stream"), ("x.js", "application/octet-stream"),
                           ("x.mjs", "application/octet-stream"), ("x.svg", "application/octet-stream"),
                           ("x.json", "application/json"), ("x.wasm", "application/wasm")):
            (folder / name).write_bytes(b"x")
            answer = self.get(f"/models/{name}", daemon=daemon)
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, kind), name)
            self.assertIsolated(answer)

    def test_packed_twin(self):
        """The `.gz` beside a file is sent while it is not older; each content of it has a tag of its own."""
        daemon, folder = self.models()
        plain, twin = folder / "m.json", folder / "m.json.gz"
        whole = gzip.compress(b"[1, 2, 3]")
        plain.write_bytes(b"[1, 2, 3]")
        os.utime(plain, ns=(1_000_000_000, 1_000_000_000))
        tags = set()
        for content in (whole[:10], whole):  # a program that packs writes by and by
            twin.write_bytes(content)
            answer = self.get("/models/m.json", GZIP, daemon)
            self.assertEqual((answer.headers["content-encoding"], answer.body), ("gzip", content))
            tags.add(answer.headers["etag"])
        self.assertEqual(len(tags), 2)
        os.utime(plain, ns=(3_000_000_001, 3_000_000_001))
        os.utime(twin, ns=(3_000_000_000, 3_000_000_000))
        answer = self.get("/models/m.json", GZIP, daemon)
        self.assertEqual((answer.headers.get("content-encoding"), answer.body), (None, b"[1, 2, 3]"))

    def test_ranges(self):
        """One part of a file on the disk: 206; beyond its end: 416; odd ones get the whole."""
        daemon, folder = self.models()
        (folder / "m.onnx").write_bytes(bytes(range(200)))
        etag = self.get("/models/m.onnx", daemon=daemon).headers["etag"]
        for value, first, last in (("bytes=0-9", 0, 9), ("bytes=190-", 190, 199), ("bytes=-5", 195, 199)):
            for more in ({}, {"If-Range": etag}):
                answer = self.get("/models/m.onnx", {"Range": value, **GZIP, **more}, daemon)
                self.assertEqual((answer.status, answer.body), (206, bytes(range(first, last + 1))), value)
                self.assertEqual(answer.headers["content-range"], f"bytes {first}-{last}/200")
        answer = self.get("/models/m.onnx", {"Range": "bytes=200-"}, daemon)
        self.assertEqual((answer.status, answer.headers["content-range"]), (416, "bytes */200"))
        for headers in ({"Range": "bytes=0-1,3-4"}, {"Range": "lines=1-2"},
                        {"Range": "bytes=0-9", "If-Range": '"old"'}):
            answer = self.get("/models/m.onnx", headers, daemon)
            self.assertEqual((answer.status, len(answer.body)), (200, 200), headers)


class Streams(PagesTest):
    SIZE = 300 << 20

    def sparse(self, folder):
        with open(folder / "big.onnx", "wb") as file:
            file.truncate(self.SIZE)

    def test_large_model(self):
        """300 MB go out while another client's lock and unlock stay quick, and memory stays small."""
        daemon, folder = self.models()
        self.sparse(folder)

        enough = threading.Event()

        def download():
            """Again and again, for as long as the other client is looked at."""
            whole = 0
            while whole == 0 or not enough.is_set():
                with daemon.connect() as connection:
                    connection.send(daemon.request("GET", "/models/big.onnx", token=None))
                    _, headers = connection.read_head()
                    left = int(headers["content-length"])
                    self.assertEqual(left, self.SIZE)
                    while left > 0 and (piece := connection.reader.read(min(left, 1 << 20))):
                        left -= len(piece)
                    self.assertEqual(left, 0)
                whole += 1
            return whole

        jobs = [in_thread(download) for _ in range(2)]
        times = []
        for _ in range(30):
            begun = time.monotonic()
            lease = daemon.lock("beside").json()
            self.assertEqual(daemon.unlock(lease["token"]).status, 200)
            times.append(time.monotonic() - begun)
        enough.set()
        self.assertTrue(all(job.result() for job in jobs))
        self.assertLess(statistics.median(times), 0.05)
        with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        if "asan" not in os.environ.get("BATON_BIN", "asan"):
            self.assertLess(pages * os.sysconf("SC_PAGE_SIZE"), 64 << 20)

    def test_file_that_shrinks(self):
        """What was promised cannot be kept: the connection ends short, and the daemon serves on."""
        daemon, folder = self.models()
        self.sparse(folder)
        with daemon.connect() as connection:
            connection.send(daemon.request("GET", "/models/big.onnx", token=None))
            status, _ = connection.read_head()
            connection.reader.read(1 << 20)
            with open(folder / "big.onnx", "r+b") as file:
                file.truncate(2 << 20)
            rest = connection.reader.read()
        self.assertEqual(status, 200)
        self.assertLess(len(rest), self.SIZE - (1 << 20))
        self.assertEqual(self.get("/health", daemon=daemon).status, 200)

    def test_reader_that_leaves(self):
        """Who goes in the middle leaves nothing open."""
        daemon, folder = self.models()
        self.sparse(folder)
        descriptors = f"/proc/{daemon.process.pid}/fd"
        for _ in range(20):
            with daemon.connect() as connection:
                connection.send(daemon.request("GET", "/models/big.onnx", token=None))
                connection.read_head()

        def is_of_it(fd):
            try:
                return "big.onnx" in os.readlink(f"{descriptors}/{fd}")
            except FileNotFoundError:  # closed meanwhile
                return False
        wait_until(lambda: not any(map(is_of_it, os.listdir(descriptors))), "the file is closed")

    def test_with_many_sockets(self):
        """Pages and files are there while 300 connections are open, without a token."""
        connections = [self.d.connect() for _ in range(300)]
        try:
            for path in ("/", "/sdk/index.js", "/models/tiny-lm/config.json"):
                self.assertEqual(self.get(path).status, 200, path)
        finally:
            for connection in connections:
                connection.close()


if __name__ == "__main__":
    unittest.main()
