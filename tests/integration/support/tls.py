# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test's own, made with the openssl program: server and client certificates on demand."""

import os
import subprocess


class Certificate:
    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key   # paths of PEM files


class Authority:
    """Everything lies in `directory`; `ca` is the path of the certificate that verifies what it issued."""

    def __init__(self, directory, name="test authority"):
        self.directory = directory
        self._count = 0
        self.ca, self._ca_key = self._path("ca.pem"), self._path("ca.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-days", "2", "-subj", f"/CN={name}", "-keyout", self._ca_key, "-out", self.ca,
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def server(self, names=("localhost",), addresses=("127.0.0.1",), expired=False):
        """A certificate for these DNS names and addresses."""
        alternatives = [f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses]
        return self._issue(names[0] if names else addresses[0], "serverAuth", alternatives, expired)

    def client(self, name="weir", expired=False):
        return self._issue(name, "clientAuth", [], expired)

    def _issue(self, name, usage, alternatives, expired):
        self._count += 1
        stem = f"{usage}-{self._count}"
        key, request, certificate = (self._path(f"{stem}.{end}") for end in ("key", "csr", "pem"))
        extensions = self._path(f"{stem}.ext")
        with open(extensions, "w", encoding="ascii") as f:
            f.write(f"basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage={usage}\n")
            if alternatives:
                f.write("subjectAltName=" + ",".join(alternatives) + "\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-subj", f"/CN={name}", "-keyout", key, "-out", request)
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
