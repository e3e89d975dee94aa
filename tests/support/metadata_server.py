"""A server like Amazon's instance metadata service (version 2), which announces what a test tells it to.

It can run as a program, on a node of a cluster: ``python metadata_server.py ADDRESS FOLDER``. It announces to the
client with the address A what the files A.instance-action and A.rebalance in the folder contain.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

TOKEN = "a-token"
PATHS = {
    "/latest/meta-data/spot/instance-action": "instance-action",
    "/latest/meta-data/events/recommendations/rebalance": "rebalance",
}


def notice(seconds: float, action: str = "terminate") -> str:
    """Return the notice of an interruption in so many seconds."""
    return json.dumps(
        {"action": action, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))}
    )


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the service does: only with a token, and 404 where nothing is announced."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        super().__init__(*arguments)

    def do_PUT(self) -> None:
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        sound = self.path == "/latest/api/token" and ttl.isdigit() and 1 <= int(ttl) <= 21600
        self._answer(*((200, TOKEN) if sound else (400, "")))

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            return self._answer(401, "")
        text = self.folder / f"{self.client_address[0]}.{PATHS.get(self.path, 'nothing')}"
        return self._answer(*((200, text.read_text()) if text.exists() else (404, "")))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def metadata_server(folder: Path) -> Iterator[str]:
    """Run a server on this machine during the block; give its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    address, port = sys.argv[1].split(":")
    http.server.ThreadingHTTPServer((address, int(port)), partial(Handler, Path(sys.argv[2]))).serve_forever()
