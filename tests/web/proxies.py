"""nginx and Caddy as processes, with the files of sample_data. Only ports, paths and networks are replaced."""

import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import ROOT, TIMEOUT_S, require_programs

SERVER_NAME = "wallet.example.com"
OPERATOR_NETWORK = "203.0.113.0/24"

NGINX_CONF = """
master_process off;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/start.log;
events {{}}
http {{
    {temporary}
    include {folder}/site.conf;
}}
"""


class Proxy:
    """A running proxy with a certificate for clients to trust; `folder` has all its logs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.tls_context = ssl.create_default_context(cafile=folder / "cert.pem")

    def connect(self, name: str = SERVER_NAME) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        return self.tls_context.wrap_socket(plain, server_hostname=name)

    def send(self, method: str, target: str, body: str = "", **headers: str) -> tuple[int, str]:
        """Send a request, and return the status and all bytes of the answer."""
        with self.connect() as line:
            line.sendall(build_request(method, target, body, connection="close", **headers))
            answer = b"".join(iter(lambda: line.recv(65536), b"")).decode()
        return int(answer.split()[1]), answer

    @property
    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


def build_request(method: str, target: str, body: str = "", **headers: str) -> bytes:
    fields = {"Host": SERVER_NAME, "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n{body}".encode()


@contextmanager
def running_proxy(kind: str, folder: Path, upstream: int, *, operators: str = OPERATOR_NETWORK) -> Iterator[Proxy]:
    """Run a proxy of this kind in front of the server at this port until the end of the block."""
    require_programs("PROXIES_REQUIRED", "nginx-light caddy openssl", kind, "openssl")
    folder.mkdir()
    _create_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (_prepare_nginx if kind == "nginx" else _prepare_caddy)(folder, port, upstream, operators)
    env = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "stderr.log").open("w") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=env)
    running = Proxy(folder, port)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                running.connect().close()
                break
            except OSError:
                assert process.poll() is None, running.logs
                assert time.monotonic() < deadline, running.logs
                time.sleep(0.02)
        yield running
    finally:
        # Caddy would wait for feeds whose clients have gone; its log is written line by line.
        process.kill()
        process.wait(TIMEOUT_S)


def _create_certificate(folder: Path) -> None:
    subject = ["-subj", f"/CN={SERVER_NAME}", "-addext", f"subjectAltName=DNS:{SERVER_NAME}", "-days", "2"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{folder}/key.pem"]
    run_checked(["openssl", "req", "-x509", *key, *subject, "-out", f"{folder}/cert.pem"])


def run_checked(command: list[str]) -> None:
    """Run the command, and check that it succeeds."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _prepare_nginx(folder: Path, port: int, upstream: int, operators: str) -> list[str]:
    site = (ROOT / "sample_data/nginx.conf").read_text()
    site = re.sub(r"\n *listen \[::\]:443[^\n]*", "", site)
    site = site.replace("listen 443", f"listen 127.0.0.1:{port}").replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    site = site.replace(f"/etc/ssl/{SERVER_NAME}.pem", f"{folder}/cert.pem").replace(
        f"/etc/ssl/{SERVER_NAME}.key", f"{folder}/key.pem"
    )
    (folder / "site.conf").write_text(site.replace("/var/log/nginx", str(folder)).replace(OPERATOR_NETWORK, operators))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{each}_temp_path {folder}/{each};" for each in kinds)
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder, temporary=temporary))
    command = ["nginx", "-e", f"{folder}/start.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]
    run_checked([*command, "-t"])
    return command


def _prepare_caddy(folder: Path, port: int, upstream: int, operators: str) -> list[str]:
    site = (ROOT / "sample_data/Caddyfile").read_text()
    own = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\thttps_port {port}\n"
    site = site.replace("{\n", own, 1).replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    site = site.replace(f"\n{SERVER_NAME} {{", f"\n{SERVER_NAME} {{\n\ttls {folder}/cert.pem {folder}/key.pem")
    (folder / "Caddyfile").write_text(site.replace("/var/log/caddy", str(folder)).replace(OPERATOR_NETWORK, operators))
    options = ["--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]
    run_checked(["caddy", "validate", *options])
    return ["caddy", "run", *options]
