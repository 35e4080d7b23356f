import hashlib
import http.server
import io
import re
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kws.data import download
from kws.data.corpus import folder_corpus
from kws.data.download import DownloadError, download_speech_commands, fetch, unpack
from kws.report.command import main


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``files`` by name, with ranges; ``break_after`` bytes it drops the connection, once."""

    files: dict[str, bytes] = {}
    ranges = True
    break_after: int | None = None
    requested: list[str | None] = []

    def do_GET(self):
        asked = self.headers.get("Range")
        Server.requested.append(asked)
        content = Server.files.get(self.path[1:])
        if content is None:
            self.send_error(404)
            return
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and Server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        if Server.break_after is not None:
            rest, Server.break_after = rest[: Server.break_after], None
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Server.files, Server.ranges, Server.break_after, Server.requested = {}, True, None, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


CONTENT = bytes(range(256)) * 20_000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_download(server, tmp_path):
    Server.files["a.bin"] = CONTENT
    path = fetch(f"{server}/a.bin", tmp_path / "new" / "a.bin", sha256(CONTENT))
    assert path.read_bytes() == CONTENT
    fetch(f"{server}/a.bin", path, sha256(CONTENT))
    assert Server.requested == [None]  # what is there is not downloaded again


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(server, tmp_path, ranges):
    Server.files["a.bin"], Server.break_after, Server.ranges = CONTENT, 1_234_567, ranges
    with pytest.raises(DownloadError, match="run it again to go on"):
        fetch(f"{server}/a.bin", tmp_path / "a.bin", sha256(CONTENT))
    assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin.part").stat().st_size == 1_234_567
    assert fetch(f"{server}/a.bin", tmp_path / "a.bin", sha256(CONTENT)).read_bytes() == CONTENT
    assert Server.requested == [None, "bytes=1234567-"]


def test_a_complete_part_is_taken(server, tmp_path):
    Server.files["a.bin"] = CONTENT
    (tmp_path / "a.bin.part").write_bytes(CONTENT)  # killed between the last byte and the renaming
    assert fetch(f"{server}/a.bin", tmp_path / "a.bin", sha256(CONTENT)).read_bytes() == CONTENT


def test_wrong_checksum_is_refused(server, tmp_path):
    Server.files["a.bin"] = CONTENT
    with pytest.raises(DownloadError, match="SHA-256 is .* not 0000"):
        fetch(f"{server}/a.bin", tmp_path / "a.bin", "0" * 64)
    assert not list(tmp_path.iterdir())


def test_server_without_the_file_or_no_server(server, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        fetch(f"{server}/none.bin", tmp_path / "none.bin", "")
    with pytest.raises(DownloadError, match="run it again"):
        fetch("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", "")


def archive_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_the_official_way(server, tone_folder, tmp_path, monkeypatch):
    members = {f"./{p.relative_to(tone_folder)}": p.read_bytes() for p in tone_folder.rglob("*") if p.is_file()}
    archive = archive_of(members)
    Server.files["speech_commands_v0.01.tar.gz"] = archive
    url = f"{server}/speech_commands_v0.01.tar.gz"
    monkeypatch.setitem(download.ARCHIVES, "v0.01", (url, sha256(archive)))
    folder = download_speech_commands(tmp_path)
    assert [c.name for c in folder_corpus(folder).clips] == [c.name for c in folder_corpus(tone_folder).clips]
    assert [p.name for p in tmp_path.iterdir()] == ["speech_commands_v0.01"]
    download_speech_commands(tmp_path)
    assert len(Server.requested) == 1
    with pytest.raises(DownloadError, match="no version 'v9'"):
        download_speech_commands(tmp_path, "v9")


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/kws_outside.txt", "a/../../outside.txt"])
def test_members_outside_are_refused(tmp_path, name):
    (tmp_path / "inner").mkdir()
    archive = tmp_path / "inner" / "bad.tar.gz"
    archive.write_bytes(archive_of({"word/a.wav": b"x", name: b"evil"}))
    if name.startswith("/"):  # an absolute name is taken as relative, as tar does
        unpack(archive, tmp_path / "inner" / "target")
        assert (tmp_path / "inner" / "target" / name[1:]).read_bytes() == b"evil"
        return
    with pytest.raises(DownloadError, match="refused"):
        unpack(archive, tmp_path / "inner" / "target")
    assert [p.name for p in (tmp_path / "inner").iterdir()] == ["bad.tar.gz"]
    assert not (tmp_path / "outside.txt").exists()


def test_a_link_outside_is_refused(tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with pytest.raises(DownloadError, match="refused"):
        unpack(tmp_path / "bad.tar", tmp_path / "target")


@pytest.mark.parametrize(
    "content", [archive_of({"word/a.wav": bytes(100_000)})[:60], b"no archive"], ids=["cut", "none"]
)
def test_a_damaged_archive_leaves_nothing(tmp_path, content):
    (tmp_path / "bad.tar.gz").write_bytes(content)
    with pytest.raises(DownloadError, match="could not be unpacked"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.tar.gz"]


def test_a_full_disk_while_unpacking_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "good.tar.gz").write_bytes(archive_of({"word/a.wav": b"x", "word/b.wav": b"y"}))
    real = tarfile.TarFile.extract

    def full_at_b(self, member, *arguments, **options):
        if member.name.endswith("b.wav"):
            raise OSError(28, "No space left on device")
        return real(self, member, *arguments, **options)

    monkeypatch.setattr(tarfile.TarFile, "extract", full_at_b)
    with pytest.raises(DownloadError, match="No space left"):
        unpack(tmp_path / "good.tar.gz", tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["good.tar.gz"]


def test_a_full_disk_while_downloading_keeps_what_came(server, tmp_path, monkeypatch):
    Server.files["a.bin"] = CONTENT
    monkeypatch.setattr(download, "_BLOCK", 1_000_000)
    real_open = open

    def small_disk(path, mode="r", *rest, **options):
        file = real_open(path, mode, *rest, **options)
        if mode in ("wb", "ab"):
            write = file.write

            class Full:
                def __getattr__(self, name):
                    return getattr(file, name)

                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

                def write(self, block):
                    if file.tell() + len(block) > 3_000_000:
                        raise OSError(28, "No space left on device")
                    return write(block)

            return Full()
        return file

    monkeypatch.setattr("builtins.open", small_disk)
    with pytest.raises(DownloadError, match="No space left"):
        fetch(f"{server}/a.bin", tmp_path / "a.bin", sha256(CONTENT))
    monkeypatch.undo()
    assert fetch(f"{server}/a.bin", tmp_path / "a.bin", sha256(CONTENT)).read_bytes() == CONTENT
    assert Server.requested[-1] == "bytes=3000000-"


def at_once(function, *arguments) -> list:
    with ThreadPoolExecutor(3) as pool:
        return [job.result() for job in [pool.submit(function, *arguments) for _ in range(3)]]


def test_several_downloads_at_once_end_with_one_whole_file(server, tmp_path):
    Server.files["a.bin"] = CONTENT
    at_once(fetch, f"{server}/a.bin", tmp_path / "a.bin", sha256(CONTENT))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert Server.requested == [None]
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_several_that_unpack_at_once_end_with_one_whole_folder(server, tmp_path, monkeypatch):
    archive = archive_of({f"word/{i}.wav": bytes(1000) for i in range(300)})
    Server.files["b.tar.gz"] = archive
    monkeypatch.setitem(download.ARCHIVES, "v0.01", (f"{server}/b.tar.gz", sha256(archive)))
    at_once(download_speech_commands, tmp_path / "all")
    assert Server.requested == [None]
    (tmp_path / "b.tar.gz").write_bytes(archive)
    at_once(unpack, tmp_path / "b.tar.gz", tmp_path / "unpacked")
    for folder in (tmp_path / "all" / "speech_commands_v0.01", tmp_path / "unpacked"):
        assert len(list(folder.glob("word/*.wav"))) == 300
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all", "b.tar.gz", "unpacked"]


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["download", str(tmp_path / "file" / "below")]) == 2
    assert "below: nothing can be written there (Not a directory); give another folder" in capsys.readouterr().err
    (tmp_path / "speech_commands_v0.01").write_text("")
    assert main(["download", str(tmp_path)]) == 2
    assert "speech_commands_v0.01: is a file; remove it" in capsys.readouterr().err
