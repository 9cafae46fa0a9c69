# SPDX-License-Identifier: Apache-2.0
"""nginx and HAProxy as plain reverse proxies with a pool of kept connections, for comparison."""

import os
import re
import subprocess

from support.ports import free_port
from support.weir import listening, wait_until

NGINX = """
daemon off; master_process off; worker_processes 1; error_log stderr crit; pid nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream app {{ server 127.0.0.1:{upstream} max_fails=0; keepalive 16; }}
  client_max_body_size 1m; large_client_header_buffers 4 32k; client_header_buffer_size 32k;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_next_upstream off; proxy_read_timeout 10s;
    }}
  }}
}}
"""
HAPROXY = """
global
  maxconn 512
  nbthread 1
  tune.bufsize 65536
  tune.http.maxhdr 101
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  option forwardfor
  http-reuse always
  retries 0
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s 127.0.0.1:{upstream}
"""


class Peer:
    def __init__(self, directory, upstream):
        os.makedirs(directory)
        self.directory, self.port = directory, free_port()
        self.name = self.version()
        with open(os.path.join(directory, "conf"), "w", encoding="ascii") as f:
            f.write(self.template.format(port=self.port, upstream=upstream))

    def start(self):
        self.process = subprocess.Popen(self.command(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_until(f"{self.name} listens", lambda: listening(f"127.0.0.1:{self.port}"))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    @staticmethod
    def said(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return re.search(r"(\d+\.\d+)\.\d+", done.stdout + done.stderr)[1]


class Nginx(Peer):
    template = NGINX

    def version(self):
        return "nginx " + self.said("/usr/sbin/nginx", "-v")

    def command(self):
        return ["/usr/sbin/nginx", "-p", self.directory, "-c", os.path.join(self.directory, "conf")]


class Haproxy(Peer):
    template = HAPROXY

    def version(self):
        return "HAProxy " + self.said("/usr/sbin/haproxy", "-v")

    def command(self):
        return ["/usr/sbin/haproxy", "-f", os.path.join(self.directory, "conf")]


PEERS = {"nginx": Nginx, "haproxy": Haproxy}
