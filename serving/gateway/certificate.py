"""The gateway's certificate and key: two files become a TLS context, and changed files a new one.

Rules
- A pair is taken after it has completed a handshake with itself. That finds a key of another
  certificate, half a file, an expired certificate and one that is not for servers alike.
- A pair that is refused changes nothing: the context before stays, and the reason is said once.
- Every pair that is taken gets a context of its own: connections keep the one they began with.
- Files are looked at in a thread: they may lie on a filesystem that hangs.
"""

import asyncio
import logging
import ssl
import stat
import time
from dataclasses import dataclass
from pathlib import Path

#: A rotation is taken up within two looks.
LOOK_S = 1.0
#: A chain is a few kilobytes; more is another file.
FILE_BYTES = 1024 * 1024
#: A handshake takes two turns of each side.
_TURNS = 4
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_PROTOCOL = "http/1.1"

_log = logging.getLogger(__name__)


class CertificateUnusable(RuntimeError):
    """Its text is for the operator: the file, what is wrong with it, what to do."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM; the certificate first, and behind it those that lead to a root."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key that have shown that they work."""

    context: ssl.SSLContext
    #: Wall clock.
    expires_s: float


class Certificate:
    """The pair in force."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises CertificateUnusable."""
        self._files = files
        self._taken = self._seen = _signature(files)
        self._pair = load(files)
        #: What the log heard last, and need not hear again.
        self._said = ""

    @property
    def context(self) -> ssl.SSLContext:
        return self._pair.context

    @property
    def expires_s(self) -> float:
        """Wall clock."""
        return self._pair.expires_s

    async def watch(self) -> None:
        """Takes up what others write; never ends."""
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        now = _signature(self._files)
        if now == self._taken:
            self._say(self._expiry())
            return
        #: Between the two writes of a rotation the files do not go together; that is no news.
        is_settled, self._seen = now == self._seen, now
        try:
            self._pair = load(self._files)
        except CertificateUnusable as error:
            if is_settled:
                self._say(f"{error}; the certificate before stays in use")
            return
        self._taken, self._said = now, ""
        until = time.strftime("%Y-%m-%d", time.gmtime(self._pair.expires_s))
        _log.info("took up %s, good until %s", self._files.certificate, until)

    def _expiry(self) -> str:
        if time.time() < self._pair.expires_s:
            return ""
        return f"{self._files.certificate} has expired and clients refuse it: renew it"

    def _say(self, text: str) -> None:
        if text and text != self._said:
            _log.error("TLS: %s", text)
        self._said = text


def load(files: TlsFiles) -> Pair:
    """Raises CertificateUnusable."""
    text = _certificate_text(files.certificate)
    _check_key(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([_PROTOCOL])
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise CertificateUnusable(_pair_fault(files, error)) from error
    return Pair(context, _proved(files.certificate, context, text))


def trusting(certificate: Path) -> ssl.SSLContext:
    """For clients that know the server by its very certificate, under whatever name they reach it.
    Raises CertificateUnusable.
    """
    return _trusting(_certificate_text(certificate))


def _trusting(text: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # It need not be a root: the first of the file is trusted itself, and nothing that it leads to.
    context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=text)
    return context


def _certificate_text(path: Path) -> str:
    """The first certificate of the file."""
    text = _read(path)
    start = text.find(_BEGIN)
    end = text.find(_END, start)
    if start < 0 or end < 0:
        raise CertificateUnusable(f"{path} holds no whole certificate in PEM: write it again")
    return text[start : end + len(_END)]


def _check_key(files: TlsFiles) -> None:
    text = _read(files.key)
    if "ENCRYPTED" in text:
        fix = "store the key without one, nobody is there to type it"
        raise CertificateUnusable(f"{files.key} is protected by a passphrase: {fix}")
    if files.key.stat().st_mode & stat.S_IRWXO:
        cause = "is open to every user of the machine"
        raise CertificateUnusable(f"{files.key} {cause}: chmod o= {files.key}")


def _read(path: Path) -> str:
    try:
        status = path.stat()
        # Reading a pipe would not end.
        if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_BYTES:
            raise CertificateUnusable(f"{path} is no PEM file: name the file itself")
        return path.read_text("latin-1")
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        fix = "it has to be readable on every node for the user that runs Ray"
        raise CertificateUnusable(f"{path}: {reason}: {fix}") from error


def _no_passphrase() -> str:
    """Without it OpenSSL would ask on the terminal."""
    return ""


def _pair_fault(files: TlsFiles, error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        fix = "write both files of the same order"
        return f"{files.key} is not the key of {files.certificate}: {fix}"
    cause = getattr(error, "reason", None) or error
    return f"{files.certificate} and {files.key} are not usable ({cause}): write them again as PEM"


def _proved(path: Path, context: ssl.SSLContext, text: str) -> float:
    """When it expires, told by a handshake with itself."""
    try:
        shown = _shake_hands(context, _trusting(text))
    except ssl.SSLCertVerificationError as error:
        raise CertificateUnusable(f"{path}: {error.verify_message}: renew it") from error
    except (OSError, ValueError) as error:
        raise CertificateUnusable(f"{path} is not usable ({error}): renew it") from error
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, object]:
    """What the client is shown."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up)
    answering = server.wrap_bio(up, down, server_side=True)
    for _ in range(_TURNS):
        # No way out before both had their turn.
        if _is_done(asking) & _is_done(answering):
            break
    return dict(asking.getpeercert() or {})


def _is_done(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _signature(files: TlsFiles) -> tuple[object, ...]:
    """Differs when a file was written, swapped behind a link, or had its mode changed."""
    return tuple(_mark(path) for path in (files.certificate, files.key))


def _mark(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
