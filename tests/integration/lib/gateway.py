"""A daemon with model servers behind it, and what tests ask of the two."""
from .daemon import DaemonTest
from .model_server import ModelServer

GPU = [{"name": "gpu0", "vram_mb": 8000}]
CHAT = "/v1/chat/completions"


def upstream(server, name, **fields):
    return {"name": name, "kind": server.kind, "url": server.url, **fields}


class GatewayTest(DaemonTest):
    def server(self, *args, **options):
        server = ModelServer(*args, **options)
        self.addCleanup(server.close)
        return server

    def behind(self, *upstreams, timing=None, gpus=GPU, gateway=None, **options):
        config = {"gpus": gpus, "vram_headroom_mb": 0, "upstreams": list(upstreams), **options.pop("config", {})}
        if gateway:
            config["gateway"] = gateway
        return self.daemon(timing=timing, config=config, **options)

    def ask(self, daemon, model, path=CHAT, headers=None, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        return daemon.http("POST", path, body, headers)

    def begin(self, daemon, model, path=CHAT, headers=None, **fields):
        """Sends a request and leaves it on its way; the connection."""
        connection = daemon.connect()
        self.addCleanup(connection.close)
        connection.send(daemon.request("POST", path, {"model": model, "messages": [], **fields}, headers))
        return connection

    def models(self, daemon):
        return daemon.http("GET", "/v1/gpu/models").json()

    def state_of(self, daemon, model):
        return next(row["state"] for row in self.models(daemon)["models"] if row["model"] == model)
