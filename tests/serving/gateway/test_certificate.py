"""Which certificates a gateway takes, and what becomes of files that change under it."""

import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.gateway.certificate import Certificate, CertificateUnusable, TlsFiles, load
from tests.serving.gateway.certificates import expire, make_pair, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

Break = Callable[[TlsFiles], object]


def other_key(files: TlsFiles) -> None:
    files.key.write_bytes(make_pair(files.key.parent / "other").key.read_bytes())


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def protect(files: TlsFiles) -> None:
    secret = files.key.with_name("secret.pem")
    command = ("openssl", "ec", "-aes128", "-passout", "pass:x", "-in", str(files.key))
    subprocess.run((*command, "-out", str(secret)), check=True, capture_output=True)
    secret.replace(files.key)


def for_clients_only(files: TlsFiles) -> None:
    make_pair(files.key.parent, "client", "extendedKeyUsage=clientAuth")


def folder(files: TlsFiles) -> None:
    files.certificate.unlink()
    files.certificate.mkdir()


def pipe(files: TlsFiles) -> None:
    files.key.unlink()
    os.mkfifo(files.key)


FAULTS: dict[str, tuple[Break, str]] = {
    "no-certificate": (lambda f: f.certificate.unlink(), "fullchain.pem: no such file"),
    "no-key": (lambda f: f.key.unlink(), "privkey.pem: no such file"),
    "half-a-certificate": (lambda f: halve(f.certificate), "holds no whole certificate in PEM"),
    "half-a-key": (lambda f: halve(f.key), "write them again as PEM"),
    "not-pem": (lambda f: f.certificate.write_text("hello"), "holds no whole certificate in PEM"),
    "other-key": (other_key, "privkey.pem is not the key of"),
    "expired": (expire, "certificate has expired: renew it"),
    "passphrase": (protect, "protected by a passphrase"),
    "key-for-all-to-read": (
        lambda f: f.key.chmod(0o644),
        "open to every user of the machine: chmod",
    ),
    "for-clients": (for_clients_only, "unsuitable certificate purpose"),
    "folder": (folder, "is no PEM file"),
    "pipe": (pipe, "is no PEM file"),
}
BROKEN = pytest.mark.parametrize(("breaks", "said"), FAULTS.values(), ids=FAULTS.keys())


@BROKEN
def test_a_start_with_an_unusable_pair_says_which_file_why_and_what_to_do(
    tmp_path: Path, breaks: Break, said: str
) -> None:
    files = make_pair(tmp_path)
    breaks(files)
    with pytest.raises(CertificateUnusable) as refused:
        Certificate(files)
    text = str(refused.value)
    assert said in text
    assert text.startswith(str(tmp_path))
    assert "\n" not in text


@BROKEN
def test_a_pair_that_breaks_keeps_the_one_before_and_is_said_once(
    tmp_path: Path, breaks: Break, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = make_pair(tmp_path)
    certificate = Certificate(files)
    before = certificate.context
    breaks(files)
    for _ in range(5):
        certificate.look()
    assert certificate.context is before
    (record,) = caplog.records
    assert said in record.getMessage()
    assert "the certificate before stays in use" in record.getMessage()


def test_files_between_the_two_writes_of_a_rotation_are_no_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files, fresh = make_pair(tmp_path / "old"), make_pair(tmp_path / "new")
    certificate = Certificate(files)
    before = certificate.context
    files.certificate.write_bytes(fresh.certificate.read_bytes())
    certificate.look()
    assert certificate.context is before
    files.key.write_bytes(fresh.key.read_bytes())
    certificate.look()
    assert certificate.context is not before
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_link_that_is_swapped_is_taken_up(tmp_path: Path) -> None:
    make_pair(tmp_path / "1"), make_pair(tmp_path / "2")
    live = tmp_path / "live"
    live.symlink_to(tmp_path / "1")
    certificate = Certificate(TlsFiles(live / "fullchain.pem", live / "privkey.pem"))
    before = certificate.context
    fresh = tmp_path / "fresh"
    fresh.symlink_to(tmp_path / "2")
    fresh.replace(live)
    certificate.look()
    assert certificate.context is not before


def test_files_that_do_not_change_are_not_read_again(tmp_path: Path) -> None:
    certificate = Certificate(make_pair(tmp_path))
    before = certificate.context
    for _ in range(3):
        certificate.look()
    assert certificate.context is before


def test_a_mended_pair_is_taken_up_and_the_next_fault_is_said_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = make_pair(tmp_path)
    certificate = Certificate(files)
    before = certificate.context
    for mode in (0o644, 0o600, 0o644):
        files.key.chmod(mode)
        certificate.look()
        certificate.look()
    assert certificate.context is not before
    assert len(caplog.records) == 2


def test_one_that_expires_in_use_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_pair(tmp_path)
    certificate = Certificate(files)
    expires_s = load(files).expires_s
    monkeypatch.setattr("serving.gateway.certificate.time.time", lambda: expires_s + 1)
    certificate.look()
    certificate.look()
    assert [record.getMessage() for record in caplog.records] == [
        f"TLS: {files.certificate} has expired and clients refuse it: renew it"
    ]


def test_a_chain_behind_the_certificate_is_welcome(tmp_path: Path) -> None:
    files, other = make_pair(tmp_path / "a"), make_pair(tmp_path / "b")
    with files.certificate.open("ab") as chain:
        chain.write(other.certificate.read_bytes())
    Certificate(files)
