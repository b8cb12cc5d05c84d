"""Certificates of our own making, by the `openssl` command."""

import shutil
import ssl
import subprocess
from pathlib import Path

from serving.gateway.certificate import TlsFiles, trusting

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def missing() -> str:
    """Why no certificate can be made here; empty when one can."""
    return "" if shutil.which("openssl") else "no `openssl` command: install openssl"


def make_pair(folder: Path, name: str = "localhost", extension: str = NAMES) -> TlsFiles:
    """A pair that signed itself, by default fit for a server on this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(folder / "fullchain.pem", folder / "privkey.pem")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-days", "30", "-subj", f"/CN={name}", "-addext", extension),
        *("-keyout", str(files.key), "-out", str(files.certificate)),
    )
    files.key.chmod(0o600)
    return files


def expire(files: TlsFiles) -> None:
    """Signs the certificate anew, for a day that is over."""
    folder = files.certificate.parent
    config, request = folder / "ca.conf", folder / "request.pem"
    config.write_text(_CA.format(folder=folder))
    (folder / "index").touch()
    (folder / "serial").write_text("01")
    _openssl("req", "-new", "-key", str(files.key), "-subj", "/CN=localhost", "-out", str(request))
    _openssl(
        *("ca", "-batch", "-selfsign", "-config", str(config), "-notext"),
        *("-startdate", "20250101000000Z", "-enddate", "20250102000000Z"),
        *("-in", str(request), "-keyfile", str(files.key), "-out", str(files.certificate)),
    )


_CA = """
[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)


def knowing(files: TlsFiles) -> ssl.SSLContext:
    """A client that knows this very certificate."""
    return trusting(files.certificate)
