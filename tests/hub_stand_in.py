"""A Hugging Face hub on this machine, for the tests: the part of its HTTP interface that pushing and pulling a model
takes, with its users, private repositories, error codes, git and LFS object names, and redirects to stored files."""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

LICENCES = {"apache-2.0", "mit", "cc0-1.0", "other"}
LARGE = (".safetensors", ".png", ".webp")
"""What is stored apart from git, as the hub's own .gitattributes say."""


@dataclass
class Repository:
    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[tuple[str, set[str]]] = field(default_factory=list)
    """The message of each, and the paths that it changed."""

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr((len(self.commits), sorted(self.files.items()))).encode()).hexdigest()


class HubStandIn:
    """`address` answers while the block lasts. `tokens` are users by their token; `status` is answered to everything,
    where it is set."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}
        self.tokens = {"hf_of_someone": "someone"}
        self.status: int | None = None
        self.requests: list[str] = []

    def __enter__(self) -> "HubStandIn":
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.storage = (
            f"http://localhost:{self.server.server_port}/stored"  # to the library another host, as is the hub's
        )
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        self.status, self.message, self.code = status, message, code


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"
    timeout = 30

    ROUTES = (
        ("POST", "/api/repos/create", "create"),
        ("POST", "/api/validate-yaml", "validate"),
        ("GET", "/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?", "info"),
        ("GET", "/api/models/([^/]+/[^/]+)/tree/([^/]+)", "tree"),
        ("POST", "/api/models/([^/]+/[^/]+)/preupload/main", "preupload"),
        ("POST", "/api/models/([^/]+/[^/]+)/commit/main", "commit"),
        ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        ("PUT", "/stored/([0-9a-f]{64})", "store"),
        ("GET", "/stored/([0-9a-f]{64})", "fetch"),
        ("GET", "/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    )

    def handle_one(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.user = self.hub.tokens.get(token)
        try:
            if self.hub.status is not None:
                raise _Refused(self.hub.status, "so it was told")
            if token and self.user is None:
                raise _Refused(401, "Invalid credentials in Authorization header")
            for method, pattern, name in self.ROUTES:
                found = re.fullmatch(pattern, path)
                if found and method == self.command.replace("HEAD", "GET"):
                    getattr(self, name)(*found.groups())
                    return
            raise _Refused(404, f"nothing at {self.command} {path}")
        except _Refused as refused:
            headers = {"X-Error-Message": refused.message}
            headers |= {"X-Error-Code": refused.code} if refused.code else {}
            self.answer({"error": refused.message, "errors": [{"message": refused.message}]}, refused.status, headers)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one  # noqa: N815

    def answer(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    # ---- who may ----------------------------------------------------------------------------------------------------

    def readable(self, name: str) -> Repository:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and self.user != name.split("/")[0]):
            if self.user is None:  # strangers are not told which names there are
                raise _Refused(401, "Invalid username or password.")
            raise _Refused(404, "Repository not found", "RepoNotFound")
        return repository

    def writable(self, name: str) -> Repository:
        if self.user is None:
            raise _Refused(401, "Invalid username or password.")
        repository = self.readable(name)
        if self.user != name.split("/")[0]:
            raise _Refused(403, "You do not have write access to this repository")
        return repository

    # ---- repositories -----------------------------------------------------------------------------------------------

    def create(self) -> None:
        asked = json.loads(self.body)
        owner = asked.get("organization") or self.user
        name = f"{owner}/{asked['name']}"
        if self.user is None:
            raise _Refused(401, "Invalid username or password.")
        if owner != self.user:
            raise _Refused(403, f"You don't have the rights to create a model under the namespace {owner}")
        if name in self.hub.repositories:
            self.answer({"error": "You already created this model repo", "url": f"{self.hub.address}/{name}"}, 409)
            return
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.hub.repositories[name] = Repository(private, {".gitattributes": b""})
        self.answer({"url": f"{self.hub.address}/{name}", "name": name})

    def validate(self) -> None:
        front = re.match(r"---\n(.*?)\n---\n", json.loads(self.body)["content"], re.DOTALL)
        values = yaml.safe_load(front[1]) if front else {}
        if values.get("license", "other") not in LICENCES:
            raise _Refused(400, f'"license" must be one of {sorted(LICENCES)}')
        self.answer({"errors": [], "warnings": []})

    def info(self, name: str) -> None:
        repository = self.readable(name)
        files = [{"rfilename": path} for path in repository.files]
        self.answer({"id": name, "sha": repository.sha, "private": repository.private, "siblings": files})

    def tree(self, name: str, revision: str) -> None:
        self.answer([_entry(path, content) for path, content in self.readable(name).files.items()])

    # ---- uploads ----------------------------------------------------------------------------------------------------

    def preupload(self, name: str) -> None:
        repository = self.writable(name)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": _oid(file["path"], repository.files[file["path"]]) if file["path"] in repository.files else None,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.answer({"files": files})

    def batch(self, name: str) -> None:
        self.writable(name)
        objects = json.loads(self.body)["objects"]
        for each in objects:
            if each["oid"] not in self.hub.stored:
                each["actions"] = {"upload": {"href": f"{self.hub.storage}/{each['oid']}"}}
        self.answer({"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Refused(400, "other content than was announced")
        self.hub.stored[oid] = self.body
        self.answer(b"")

    def commit(self, name: str) -> None:
        repository = self.writable(name)
        header, *operations = map(json.loads, self.body.splitlines())
        files = dict(repository.files)
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise _Refused(400, f"unknown operation {operation['key']}")
        repository.files = files
        repository.commits.append(
            (header["value"]["summary"], {operation["value"]["path"] for operation in operations})
        )
        url = f"{self.hub.address}/{name}/commit/{repository.sha}"
        self.answer({"success": True, "commitOid": repository.sha, "commitUrl": url})

    # ---- downloads --------------------------------------------------------------------------------------------------

    def resolve(self, name: str, revision: str, path: str) -> None:
        repository = self.readable(name)
        if path not in repository.files:
            raise _Refused(404, "Entry not found", "EntryNotFound")
        content = repository.files[path]
        headers = {"X-Repo-Commit": repository.sha, "ETag": f'"{_git_oid(content)}"'}
        if not path.endswith(LARGE):
            self.answer(content, headers=headers)
            return
        oid = hashlib.sha256(content).hexdigest()
        self.hub.stored[oid] = content
        headers |= {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        self.answer(b"", 302, headers | {"Location": f"{self.hub.storage}/{oid}"})

    def fetch(self, oid: str) -> None:
        self.answer(self.hub.stored[oid], headers={"ETag": f'"{oid}"'})


def _entry(path: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": _git_oid(content)}
    if path.endswith(LARGE):
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 134}
    return entry


def _oid(path: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if path.endswith(LARGE) else _git_oid(content)


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
