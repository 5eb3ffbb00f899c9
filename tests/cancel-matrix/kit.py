"""The kit: a proxy under test, the upstream behind it, and all cells in turn."""
import http.client
import json
import time
import urllib.parse

import broker
from cell import Cell, all_cells
from routes import PATHS

LOADS = 64       # models that are not loaded yet, one for each load
REPEATS = 2      # of a cell that was right but late: the machine may have been busy
SETTLED_S = 10


def model_names(model):
    return [model, *(f"{model}-load-{number}" for number in range(LOADS))]


class Kit:
    def __init__(self, upstream, base_url, model, key=None, baton_socket=None, limit_ms=100,
                 patience_s=2):
        self.upstream, self.base_url, self.model, self.key = upstream, base_url.rstrip("/"), model, key
        self.limit_ms, self.patience_s = limit_ms, patience_s  # what has not happened by then does not happen
        self.fresh = iter(model_names(model)[1:])
        self.broker = broker.NoBroker()
        if broker.Baton.found_at(self.base_url, key):
            self.broker = broker.Baton(self.base_url, key, baton_socket)
        self.repeated = 0

    def close(self):
        self.broker.close()

    def fresh_model(self):
        return next(self.fresh)

    def settle(self, model=None):
        """Until a request of no scene is served: the proxy is as it was."""
        deadline = time.monotonic() + SETTLED_S
        while not self.serves(model or self.model):
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"cancel-matrix: {self.base_url} does not serve `{model or self.model}` from {self.upstream.url}")
            time.sleep(0.05)

    def serves(self, model):
        where = urllib.parse.urlsplit(self.base_url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=5)
        fields = {"Content-Type": "application/json"}
        if self.key:
            fields["Authorization"] = f"Bearer {self.key}"
        body = {"model": model, "messages": [{"role": "user", "content": "warm"}]}
        try:
            connection.request("POST", where.path + PATHS["chat"], json.dumps(body), fields)
            answer = connection.getresponse()
            return answer.status == 200 and b"warm" in answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def run(self, **only):
        """All cells that `only` names, judged."""
        self.settle()
        return [cell if cell.none else self.run_cell(cell) for cell in all_cells(self, **only)]

    def run_cell(self, cell):
        for _ in range(REPEATS):
            if not cell.run().late or cell.problems:
                return cell
            self.repeated += 1
            cell = Cell(self, cell.stage, cell.route, cell.event)
        return cell.run()
