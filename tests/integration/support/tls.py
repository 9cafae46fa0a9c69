# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test's own, made with the openssl program: server and client certificates on demand."""

import copy
import os
import ssl
import subprocess

from . import client


class Certificate:
    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key   # paths of PEM files


def client_context(ca=None, certificate=None, alpn=None, only=None):
    """An ssl.SSLContext of a client that trusts `ca` (None: anybody). `only`: an ssl.TLSVersion."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)
    if alpn:
        context.set_alpn_protocols(alpn)
    if only:
        context.minimum_version = context.maximum_version = only
    return context


def server_context(certificate, client_ca=None, only=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if only:
        context.minimum_version = context.maximum_version = only
    return context


class Defaults:
    """One certificate for every side of a test that knows nothing of TLS (`run.py --over-tls`)."""

    def __init__(self, authority):
        self.authority, self.certificate = authority, authority.server()
        self.server, self.client = server_context(self.certificate), client_context(authority.ca)

    def applied(self, policy, own_listener, port):
        policy = copy.deepcopy(policy)
        if own_listener:
            policy["listen"] = [{"address": policy["listen"], "tls": {
                "certificate": self.certificate.certificate, "key": self.certificate.key}}]
            client.TLS_PORTS[port] = self.client
        for upstream in policy.get("upstreams", {}).values():
            urls = [upstream.get("url", "")] + [e.get("url", "") for e in upstream.get("endpoints", [])]
            if any(url.startswith("https:") for url in urls):
                upstream.setdefault("tls", {"ca_file": self.authority.ca})
                # covers the handshake, for which the scripted upstream takes its time on a busy machine
                upstream.setdefault("timeout", {}).setdefault("connect", "2s")
        return policy


class Authority:
    """Everything lies in `directory`; `ca` is the path of the certificate that verifies what it issued."""

    def __init__(self, directory, name="test authority"):
        self.directory = directory
        self._count = 0
        self.ca, self._ca_key = self._path("ca.pem"), self._path("ca.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-days", "2", "-subj", f"/CN={name}", "-keyout", self._ca_key, "-out", self.ca,
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def server(self, names=("localhost",), addresses=("127.0.0.1",), expired=False, kind="ec"):
        """A certificate for these DNS names and addresses. `kind`: "ec" or "rsa:BITS"."""
        alternatives = [f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses]
        return self._issue(names[0] if names else addresses[0], "serverAuth", alternatives, expired, kind)

    def client(self, name="weir", expired=False, alternatives=()):
        """`alternatives`: such as "URI:spiffe://example/billing"."""
        return self._issue(name, "clientAuth", list(alternatives), expired)

    def _issue(self, name, usage, alternatives, expired, kind="ec"):
        self._count += 1
        stem = f"{usage}-{self._count}"
        key, request, certificate = (self._path(f"{stem}.{end}") for end in ("key", "csr", "pem"))
        extensions = self._path(f"{stem}.ext")
        with open(extensions, "w", encoding="ascii") as f:
            f.write(f"basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage={usage}\n")
            if alternatives:
                f.write("subjectAltName=" + ",".join(alternatives) + "\n")
        curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"] if kind == "ec" else []
        self._openssl("req", "-newkey", kind, *curve, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        if expired:
            self._sign_with_dates(request, certificate, extensions)
        else:
            self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._ca_key, "-set_serial",
                          str(1000 + self._count), "-extfile", extensions, "-out", certificate, "-days", "2")
        return Certificate(certificate, key)

    def _sign_with_dates(self, request, certificate, extensions):
        """`openssl x509` of 3.0 cannot set dates in the past; `openssl ca` can."""
        for name, content in (("index.txt", ""), ("serial", f"{2000 + self._count:04X}\n")):
            with open(self._path(name), "w", encoding="ascii") as f:
                f.write(content)
        config = self._path("ca.cnf")
        with open(config, "w", encoding="ascii") as f:
            f.write(f"[ca]\ndefault_ca=this\n[this]\ndir={self.directory}\nnew_certs_dir={self.directory}\n"
                    f"database={self._path('index.txt')}\nserial={self._path('serial')}\ndefault_md=sha256\n"
                    "policy=any\nunique_subject=no\n[any]\ncommonName=supplied\n")
        self._openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.ca, "-keyfile", self._ca_key,
                      "-in", request, "-out", certificate, "-extfile", extensions,
                      "-startdate", "20200101000000Z", "-enddate", "20200102000000Z")

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.directory, stdin=subprocess.DEVNULL, timeout=60,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {args[0]}: {done.stderr[-800:]}")


def redis_options(authority, server, port, client_certificates=True, only=None):
    """Options of redis-server that open a TLS port beside its plain one, which stays for the test's own questions."""
    return ["--tls-port", str(port), "--tls-cert-file", server.certificate, "--tls-key-file", server.key,
            "--tls-ca-cert-file", authority.ca, "--tls-auth-clients", "yes" if client_certificates else "no",
            *(["--tls-protocols", only] if only else [])]
