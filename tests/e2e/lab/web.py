"""nginx, the laboratory's web server."""

import shutil
import subprocess
from pathlib import Path

from lab.run import end, run, wait_for

# ./dev unpacks nginx here on a machine without it.
_UNPACKED = Path(__file__).resolve().parents[3] / "build/tools/usr/sbin/nginx"

_CONFIG = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
user root;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 200m;
    keepalive_requests 100000;
    types {{ text/plain txt; text/html html; image/svg+xml svg; }}
    server {{
        listen {web4}:80;
        listen [{web6}]:80;
        root {folder}/files;
        location = /whoami {{ default_type text/plain; return 200 "$remote_addr\\n"; }}
        location = /connection {{ default_type text/plain; return 200 "$connection $connection_requests\\n"; }}
        location = /empty {{ return 204; }}
    }}
}}
"""


class WebServer:
    """Serves the folder `files`; /whoami tells the client's address."""

    def __init__(self, netns, folder, web4, web6):
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, web4=web4, web6=web6))
        self._log = open(folder / "nginx.log", "wb")
        self._process = subprocess.Popen(
            netns.wrap([shutil.which("nginx") or _UNPACKED, "-e", "stderr", "-p", folder, "-c", config]),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            wait_for(
                lambda: self._alive() and netns.run("curl", "-s", "-m", "2", f"http://{web4}/whoami").code == 0,
                "nginx answers",
            )
        except BaseException:
            self.close()
            raise

    def _alive(self):
        assert self._process.poll() is None, (self.folder / "nginx.log").read_text()
        return True

    def close(self):
        end(self._process)
        self._log.close()

    def put(self, name, content):
        (self.files / name).write_bytes(content)
        return f"/{name}"

    def put_repository(self, name):
        """Make a git repository that can be cloned over plain HTTP. Returns the content of its one file."""
        work, bare = self.folder / f"{name}.work", self.files / f"{name}.git"
        run("git", "init", "-q", "-b", "main", work).ok()
        (work / "hello.txt").write_text("hello from far away\n")
        run("git", "-C", work, "add", "hello.txt").ok()
        who = ["-c", "user.name=Lab", "-c", "user.email=lab@example.org"]
        run("git", "-C", work, *who, "commit", "-q", "-m", "Say hello").ok()
        run("git", "clone", "-q", "--bare", work, bare).ok()
        run("git", "-C", bare, "update-server-info").ok()
        return "hello from far away\n"
