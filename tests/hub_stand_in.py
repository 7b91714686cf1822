"""The part of the hub's HTTP API that pushing asks for, in this process: what it was sent it keeps.

After huggingface_hub's own client, which the tests run unchanged: create, preupload, LFS, commit,
tree, resolve. Whoever sends no token is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = (".tar", ".safetensors")
TOKEN = "hf_of_the_tests"


@dataclass
class Hub:
    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)  # "datasets/me/x" -> its files
    private: dict[str, bool] = field(default_factory=dict)
    commits: list[list[str]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    commits_allowed: int = 10**6  # then it answers no more


def _entry(name: str, data: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    row: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": blob}
    if name.endswith(LARGE):
        row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 1}
    return row


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None: ...

        def reply(
            self, code: int, row: object = None, data: bytes | None = None, **more: str
        ) -> None:
            body = json.dumps(row).encode() if data is None else data
            self.send_response(code)
            for name, value in more.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_POST(self) -> None:
            data, path = self.body(), self.path.partition("?")[0]
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self.reply(401, {"error": "Invalid username or password."})
            if path == "/api/validate-yaml":
                return self.reply(200, {"errors": [], "warnings": []})
            if path == "/api/repos/create":
                return self.create(json.loads(data))
            if asked := re.fullmatch(r"/api/(model|dataset)s/(.+)/preupload/main", path):
                files = json.loads(data)["files"]
                modes = {
                    f["path"]: "lfs" if f["path"].endswith(LARGE) else "regular" for f in files
                }
                rows = [{"path": path, "uploadMode": mode} for path, mode in modes.items()]
                return self.reply(200, {"files": [row | {"shouldIgnore": False} for row in rows]})
            if path.endswith(".git/info/lfs/objects/batch"):
                objects = json.loads(data)["objects"]
                return self.reply(200, {"transfer": "basic", "objects": [
                    {"oid": o["oid"], "size": o["size"]} | ({} if o["oid"] in hub.blobs else
                     {"actions": {"upload": {"href": f"{hub.url}/lfs/{o['oid']}", "header": {}}}})
                    for o in objects]})  # fmt: skip
            if asked := re.fullmatch(r"/api/(model|dataset)s/(.+)/commit/main", path):
                return self.commit(f"{asked[1]}s/{asked[2]}", data)
            self.reply(404, {"error": path})

        def create(self, asked: dict[str, Any]) -> None:
            kind, name = asked.get("type") or "model", asked["name"]
            owner = asked.get("organization") or "me"
            key = f"{kind}s/{owner}/{name}"
            url = f"{hub.url}/{'datasets/' if kind == 'dataset' else ''}{owner}/{name}"
            if key in hub.repos:
                return self.reply(409, {"error": "You already created this repo", "url": url})
            private = asked.get("private") or asked.get("visibility") == "private"
            hub.repos[key], hub.private[key] = {}, bool(private)
            self.reply(200, {"url": url, "name": f"{owner}/{name}", "id": f"{owner}/{name}"})

        def commit(self, key: str, data: bytes) -> None:
            if len(hub.commits) >= hub.commits_allowed:
                return self.reply(400, {"error": "gone"})
            names = []
            for line in map(json.loads, data.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    hub.repos[key][value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    hub.repos[key][value["path"]] = hub.blobs[value["oid"]]
                names += [value["path"]] if "path" in value else []
            hub.commits.append(names)
            sha = f"{len(hub.commits):040x}"
            self.reply(200, {"commitUrl": f"{hub.url}/{key}/commit/{sha}", "commitOid": sha,
                             "pullRequestUrl": None, "success": True})  # fmt: skip

        def do_PUT(self) -> None:
            data = self.body()
            hub.blobs[hashlib.sha256(data).hexdigest()] = data
            self.reply(200, {}, ETag='"x"')

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            sha = f"{len(hub.commits):040x}"
            if asked := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/main/?", path):
                files = hub.repos.get(f"{asked[1]}/{asked[2]}", {})
                return self.reply(200, [_entry(*one) for one in files.items()])
            if asked := re.fullmatch(
                r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/main)?", path
            ):
                key = f"{asked[1]}/{asked[2]}"
                if key not in hub.repos:
                    return self.reply(404, {"error": "no"}, X_Error_Code="RepoNotFound")
                row = {"id": asked[2], "private": hub.private[key], "sha": sha, "tags": [],
                       "siblings": [], "downloads": 0, "likes": 0}  # fmt: skip
                return self.reply(200, row)
            if asked := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
                key = f"{(asked[1] or 'models/').rstrip('/')}/{asked[2]}"
                if (data := hub.repos.get(key, {}).get(asked[3])) is None:
                    return self.reply(404, {"error": "no"}, X_Error_Code="EntryNotFound")
                etag = hashlib.sha256(data).hexdigest()
                return self.reply(200, data=data, ETag=f'"{etag}"', X_Repo_Commit=sha)
            self.reply(404, {"error": path})

        def do_HEAD(self) -> None:
            self.do_GET()

    return Handler


@contextmanager
def stand_in() -> Iterator[Hub]:
    hub = Hub()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
