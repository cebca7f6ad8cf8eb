"""Certificate authorities and leaves, made once per test run with the openssl command (`openssl ca`: it alone sets arbitrary dates)."""

import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

CONFIG = """
[ca]
default_ca = here
[here]
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
x509_extensions = leaf
email_in_dn = no
[any]
commonName = supplied
organizationName = optional
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
{names}
[odd]
{odd}
[req]
distinguished_name = dn
[dn]
"""

HERE = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key. `name` is the common name; `not_after` is given to the second."""

    name: str
    cert: Path
    key: Path
    issuer: str
    not_after: datetime


class Pki:
    """Two upstream CAs (`old`, `new`: before and after a rotation), one for the client leg (`front`), one for client certificates."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.new = self.authority("Test New CA")
        self.old = self.authority("Test Old CA")
        self.front = self.authority("Test Front CA")
        self.people = self.authority("Test People CA")
        self.server = self.leaf(self.new, "server.new", HERE)
        self.proxy = self.leaf(self.front, "proxy.front", HERE)

    def authority(self, name: str, *, days=(-30, 3650), issuer: Certificate | None = None, key="ec") -> Certificate:
        """A root, or an intermediate under `issuer`. `name`: "NAME" or "NAME/O=ORGANIZATION"."""
        return self._issue(name, "root", issuer, (), days, key)

    def certified_again(self, authority: Certificate, issuer: Certificate | None = None) -> Certificate:
        """The same name and key in another certificate: renewed, or cross-signed by `issuer`."""
        made = authority.cert.with_name(f"{len(list(self.directory.glob('*.crt'))):02}-again-{authority.cert.name}")
        signer = ["-cert", issuer.cert, "-keyfile", issuer.key] if issuer else ["-selfsign", "-keyfile", authority.key]
        _openssl("ca", "-batch", "-notext", "-config", authority.cert.with_suffix(".conf"), *signer, "-extensions", "root", "-days", "300",
                 "-in", authority.cert.with_suffix(".csr"), "-out", made)
        end = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=300)
        return Certificate(authority.name, made, authority.key, (issuer or authority).name, end)

    def leaf(self, issuer: Certificate, name: str, sans=(), *, days=(-1, 365), key="ec", signature=()) -> Certificate:
        """`days`: first and last, counted from now. `signature`: options of `openssl ca`, such as ("-md", "sha384")."""
        return self._issue(name, "leaf", issuer, sans, days, key, signature)

    def odd(self, issuer: Certificate | None, name: str, extensions: str, *, days=(-1, 365), key="ec", signature=()) -> Certificate:
        """What nobody should issue: `extensions` are lines of an OpenSSL configuration, and all that it gets."""
        return self._issue(name, "odd", issuer, (), days, key, signature, extensions)

    def revocations(self, issuer: Certificate, *revoked: Certificate) -> Path:
        """A CRL of `issuer`, which names these."""
        stem = self.directory / f"crl{len(list(self.directory.glob('crl*.crl'))):02}"
        (config, index, crl) = (stem.with_suffix(suffix) for suffix in (".conf", ".index", ".crl"))
        config.write_text(CONFIG.format(directory=self.directory, names="", odd="").replace(f"{self.directory}/index", str(index)))
        lines = []
        for one in revoked:
            serial = _openssl("x509", "-noout", "-serial", "-in", one.cert).strip().partition("=")[2]
            lines.append(f"R\t{one.not_after:%y%m%d%H%M%SZ}\t{datetime.now(timezone.utc):%y%m%d%H%M%SZ}\t{serial}\tunknown\t/CN={one.name}\n")
        index.write_text("".join(lines))
        _openssl("ca", "-gencrl", "-batch", "-config", config, "-cert", issuer.cert, "-keyfile", issuer.key, "-crldays", "30", "-out", crl)
        return crl

    def bundle(self, name: str, *certificates: Certificate) -> Path:
        path = self.directory / name
        path.write_text("".join(certificate.cert.read_text() for certificate in certificates))
        return path

    def _issue(self, name, kind, issuer, sans, days, key, signature=(), odd="") -> Certificate:
        stem = f"{len(list(self.directory.glob('*.key'))):02}-" + name.replace(" ", "-").replace("*", "star").replace("/", "-")
        key_file, cert_file, request = (self.directory / f"{stem}.{suffix}" for suffix in ("key", "crt", "csr"))
        config = self.directory / f"{stem}.conf"
        names = f"subjectAltName = {','.join(sans)}" if sans else ""
        config.write_text(CONFIG.format(directory=self.directory, names=names, odd=odd))
        (self.directory / "index").touch()
        algorithm = {
            "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "weak": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
            "ed25519": ["-algorithm", "ED25519"],
        }[key]
        _openssl("genpkey", *algorithm, "-out", key_file)
        key_file.chmod(0o600)
        _openssl("req", "-new", "-config", config, "-key", key_file, "-subj", f"/CN={name}", "-out", request)
        today = datetime.now(timezone.utc).replace(microsecond=0)
        begin, end = (today + timedelta(days=count) for count in days)
        signer = ["-cert", issuer.cert, "-keyfile", issuer.key] if issuer else ["-selfsign", "-keyfile", key_file]
        _openssl("ca", "-batch", "-notext", "-config", config, *signer, *signature, "-extensions", kind,
                 "-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}", "-in", request, "-out", cert_file)
        return Certificate(name, cert_file, key_file, issuer.name if issuer else name, end)


def _openssl(*arguments) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"openssl {arguments}: {done.stderr}"
    return done.stdout
