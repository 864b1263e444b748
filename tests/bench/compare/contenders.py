"""The contenders: the floor, the proxy, and every peer that the distribution packages; how to start each, and its
ways."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lines import HOME, ORIGIN

ORIGIN_PORT = 19100  # of datagrams as well as of streams
PORT, WEB = 19101, 1  # offset of the second port, for contenders that need one for HTTP
UDP_OPTION = "--udp-idle"  # a build with this option relays datagrams
OWN_SHM = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o mode=1777 shm /dev/shm && exec "$@"', "sh"]


def steerway_has(steerway, option):
    """Whether this build of the proxy knows the option."""
    return option in subprocess.run([steerway, "help", "start"], capture_output=True, text=True, timeout=60).stdout.split()


def own(steerway, *options, name="steerway", uplinks=("line0",), dns="192.0.2.1"):
    """Our proxy. Its uplinks are not checked, and its name server does not exist."""
    argv = [steerway, "start", "-p", PORT, "--host", "127.0.0.1", "--quiet", "--check", "none", "--dns", dns, *options, *uplinks]
    datagrams = ["udp"] if steerway_has(steerway, UDP_OPTION) else []
    return Contender(name, ["socks5", "connect", "forward", *datagrams], argv)


class Contender:
    """ways: of "socks5", "connect", "forward", "udp" (SOCKS5 UDP ASSOCIATE); "fixed" and "fixed-web" lead to the
    origin only, without a handshake; "captured" needs no proxy setting.
    begin, then, end: commands before it starts, once it listens, and before it stops.
    program: the file that must exist, named as in argv."""

    def __init__(self, name, ways, argv, files=None, program=None):
        self.name, self.ways, self.argv, self.files, self.program = name, ways, argv, files or {}, program
        self.begin, self.then, self.end = [], [], []

    def there(self):
        return self.program is None or find(self.program) is not None

    def command(self, folder):
        """Its argv, with its files in that folder."""
        argv = [str(a).replace("{dir}", str(folder)) for a in self.argv]
        return [find(a) or a if a == self.program else a for a in argv]


def find(program):
    tools = os.environ.get("STEERWAY_PEERS", "")
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:{tools}/usr/bin:{tools}/usr/sbin")


def the_floor(program, *kind):
    return Contender(" ".join(["floor,", kind[0], *(f"{int(n) // 1024}K" for n in kind[1:])]), ["socks5"], [program, f"127.0.0.1:{PORT}", *kind])


def the_capture(steerway, way):
    """Our proxy on a machine whose connections `steerway capture` captures; its clients are captured too, or use SOCKS. It
    sends from an address of its own: a captured client must not choose the same ends."""
    own_address, name = "10.55.0.3", "captured" if way == "captured" else "beside capture"
    c = own(steerway, "--transparent", f"tproxy:localhost:{PORT + 2}", name=f"steerway, {name}", uplinks=(own_address,))
    c.ways = [way]
    c.begin = [["ip", "address", "add", f"{own_address}/24", "dev", "line0"]]
    c.then = [[steerway, "capture", "on"]]
    c.end = [[steerway, "capture", "off"], ["ip", "address", "delete", f"{own_address}/24", "dev", "line0"]]
    return c


def contenders(steerway, binaries, origin_port, port=PORT, before=None):
    origin, here, floor = f"{ORIGIN}:{origin_port}", f"127.0.0.1:{port}", binaries / "floor"
    captured = [the_capture(steerway, way) for way in ("socks5", "captured")] if steerway_has(steerway, "--transparent") else []
    without_threads = [own(steerway, "--threads", "0", name="steerway, --threads 0")] if steerway_has(steerway, "--threads") else []
    haproxy = f"""global
  nbthread 1
  maxconn 9500
defaults
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen tcp
  mode tcp
  bind {here}
  server o {origin}
listen web
  mode http
  bind 127.0.0.1:{port + WEB}
  server o {origin}
"""
    nginx = f"""worker_processes 1;
pid {{dir}}/pid;
error_log {{dir}}/log;
daemon off;
user root;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {{dir}}/body; proxy_temp_path {{dir}}/proxy; fastcgi_temp_path {{dir}}/f; uwsgi_temp_path {{dir}}/u; scgi_temp_path {{dir}}/s;
  upstream o {{ server {origin}; keepalive 64; }}
  server {{ listen {here}; keepalive_requests 10000000;
    location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""
    share = f"{os.environ.get('STEERWAY_PEERS', '')}/usr/share"
    squid = f"""http_port {here}
acl all_ src all
http_access allow all_
cache deny all
access_log none
cache_log /dev/stdout
pid_filename none
cache_effective_user proxy
shutdown_lifetime 0 seconds
max_filedescriptors 19000
coredump_dir {{dir}}
mime_table {share}/squid/mime.conf
icon_directory {share}/squid/icons
error_directory {share}/squid/errors/templates
unlinkd_program /bin/true
logfile_daemon /bin/true
visible_hostname localhost
netdb_filename none
pinger_enable off
memory_cache_shared off
"""
    danted = f"""logoutput: /dev/null
internal: 127.0.0.1 port = {port}
external: line0
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: root
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""
    tinyproxy = f"""Port {port}
Listen 127.0.0.1
Timeout 600
MaxClients 10000
LogLevel Critical
LogFile "/dev/null"
Allow 127.0.0.0/8
"""
    privoxy = f"""listen-address {here}
keep-alive-timeout 300
connection-sharing 1
max-client-connections 10000
debug 0
"""
    return [
        the_floor(floor, "splice"),
        the_floor(floor, "copy", 65536),
        the_floor(floor, "copy", 262144),
        Contender("floor, datagrams", ["udp"], [binaries / "floor_udp", here]),
        own(steerway),
        *([own(before, name="steerway, before")] if before else []),
        *without_threads,
        *captured,
        Contender("microsocks", ["socks5"], ["microsocks", "-i", "127.0.0.1", "-p", port], program="microsocks"),
        Contender("dante", ["socks5", "udp"], ["danted", "-f", "{dir}/conf"], {"conf": danted}, "danted"),
        Contender("haproxy", ["fixed", "fixed-web"], ["haproxy", "-db", "-f", "{dir}/conf"], {"conf": haproxy}, "haproxy"),
        # squid ends if it cannot use or remove files of another user in /dev/shm.
        Contender("squid", ["connect", "forward"], [*OWN_SHM, "squid", "-N", "-f", "{dir}/conf"], {"conf": squid}, "squid"),
        Contender("tinyproxy", ["connect", "forward"], ["tinyproxy", "-d", "-c", "{dir}/conf"], {"conf": tinyproxy}, "tinyproxy"),
        Contender("privoxy", ["connect", "forward"], ["privoxy", "--no-daemon", "{dir}/conf"], {"conf": privoxy}, "privoxy"),
        Contender("nginx", ["fixed-web"], ["nginx", "-c", "{dir}/conf", "-p", "{dir}"], {"conf": nginx}, "nginx"),
    ]


class Running:
    """A contender that was started, held to one core."""

    def __init__(self, contender, port=PORT, core=0):
        self.contender, self.port = contender, port
        self.folder = Path(tempfile.mkdtemp(prefix="steerway-bench-"))
        self.folder.chmod(0o755)
        for name, text in contender.files.items():
            (self.folder / name).write_text(text.replace("{dir}", str(self.folder)))
        tools = os.environ.get("STEERWAY_PEERS", "")
        env = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder), "XDG_STATE_HOME": str(self.folder)}
        if contender.program and tools:
            env["LD_LIBRARY_PATH"] = ":".join(str(f) for lib in ("usr/lib", "lib") for f in Path(tools, lib).glob("*-linux-gnu*"))
        self.log = open(self.folder / "out", "wb")
        pin = ["taskset", "-c", str(core)] if core is not None else []
        self.env = env
        self._run(contender.begin)
        self.process = subprocess.Popen([*pin, *contender.command(self.folder)], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env, cwd=self.folder)
        deadline = time.monotonic() + 15
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"does not start: {self.said}")
            time.sleep(0.02)
        try:
            self._run(contender.then)
        except subprocess.CalledProcessError:
            self.stop()
            raise

    def _run(self, commands, check=True):
        for argv in commands:
            subprocess.run(argv, check=check, env=self.env, stdout=subprocess.DEVNULL, timeout=30)

    def place_of(self, way):
        """Where clients connect to."""
        return f"{ORIGIN}:{ORIGIN_PORT}" if way == "captured" else f"127.0.0.1:{self.port_of(way)}"

    def port_of(self, way):
        return self.port + (WEB if way == "fixed-web" and "fixed" in self.contender.ways else 0)

    def _listens(self):
        wanted = f":{self.port:04X} 00000000:0000 0A"
        return any(wanted in line for line in Path("/proc/net/tcp").read_text().splitlines())

    def pids(self):
        """The process and its descendants."""
        found, frontier = [], [self.process.pid]
        while frontier:
            pid = frontier.pop()
            found.append(pid)
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    frontier += [int(c) for c in (task / "children").read_text().split()]
            except OSError:
                continue
        return found

    def cpu(self):
        """CPU seconds of all its processes so far, to the nanosecond: the clock of a process
        (clock_getcpuclockid(3))."""
        total = 0.0
        for pid in self.pids():
            try:
                total += time.clock_gettime(~pid << 3 | 2)
            except OSError:
                continue
        return total

    def memory(self):
        """Bytes of its own memory, and its share of shared memory."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        self._run(self.contender.end, check=False)
        for pid in reversed(self.pids()):
            try:
                os.kill(pid, 15 if pid == self.process.pid else 9)
            except ProcessLookupError:
                continue
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.said = " ".join((self.folder / "out").read_text(errors="replace").split())[-300:]
        shutil.rmtree(self.folder, ignore_errors=True)
