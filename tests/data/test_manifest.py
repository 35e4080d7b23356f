"""A manifest rebuilds its corpus from archives; what is no manifest, and files that cannot be read, are told in a line."""

import os
import shutil

import pytest
import soundfile
from conftest import tone

from kws.data.audio import AudioError
from kws.data.corpus import CorpusError, folder_corpus
from kws.data.manifest import is_corpus_of, pcm_md5, read_manifest, rebuild, write_manifest
from kws.report.command import main

HEAD = "word,clip,speaker,pcm_md5\n"


def test_manifest_rebuilds_the_corpus_from_archives(tone_folder, tmp_path):
    corpus = folder_corpus(tone_folder, "tones").without(["low/00000000_nohash_1"])
    write_manifest(corpus, tmp_path / "manifest.csv")
    rows = read_manifest(tmp_path / "manifest.csv")
    assert len(rows) == 119 + 1
    assert rows[0].keys() == {"word", "clip", "speaker", "pcm_md5"}
    first, second = tmp_path / "v1", tmp_path / "v2"  # clips spread over two archives, one of them renumbered
    shutil.copytree(tone_folder, first)
    (second / "low").mkdir(parents=True)
    moved = next((first / "low").glob("00000005_nohash_0.*"))
    moved.rename(second / "low" / ("00000005_nohash_9" + moved.suffix))
    built = rebuild(tmp_path / "manifest.csv", [first, second], tmp_path / "built")
    assert [c.name for c in built.clips] == [c.name for c in corpus.clips]
    assert is_corpus_of(built, tmp_path / "manifest.csv")
    assert [p.name for p in built.noise_paths] == ["hiss.wav"]
    with pytest.raises(CorpusError, match="is there already"):
        rebuild(tmp_path / "manifest.csv", [first], tmp_path / "built")
    with pytest.raises(CorpusError, match="1 clips of the manifest are in none.*low/00000005_nohash_0"):
        rebuild(tmp_path / "manifest.csv", [first], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_not_a_manifest(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CorpusError, match="not a manifest"):
        read_manifest(tmp_path / "other.csv")


def test_a_hostile_manifest_and_a_missing_archive(tmp_path):
    (tmp_path / "bad.csv").write_text("word,clip,speaker,pcm_md5\nyes,../../outside,a,0\n")
    with pytest.raises(CorpusError, match="not the name of a clip"):
        read_manifest(tmp_path / "bad.csv")
    (tmp_path / "good.csv").write_text("word,clip,speaker,pcm_md5\nyes,a_nohash_0,a,0\n")
    with pytest.raises(CorpusError, match="v1: there is no such folder"):
        rebuild(tmp_path / "good.csv", [tmp_path / "v1"], tmp_path / "built")


def test_one_recording_under_two_names_is_rebuilt_under_both(tone_folder, tmp_path):
    folder = tmp_path / "corpus"
    shutil.copytree(tone_folder, folder)
    twin = next((folder / "low").glob("*.wav"))
    shutil.copyfile(twin, folder / "low" / "twin_nohash_0.wav")
    write_manifest(folder_corpus(folder), tmp_path / "manifest.csv")
    built = rebuild(tmp_path / "manifest.csv", [tone_folder], tmp_path / "built")
    assert built.words["low"] == 41
    assert (tmp_path / "built" / "low" / "twin_nohash_0.wav").read_bytes() == twin.read_bytes()


def test_what_write_lists_is_found_again(tmp_path):
    """Capital suffixes, and a name that a pattern would take for one; not what is hidden, nor what cannot be read and is not wanted."""
    word = tmp_path / "archive" / "w[o]rd"
    word.mkdir(parents=True)
    soundfile.write(word / "a_nohash_0.WAV", tone(300), 16_000)
    (word / "._a_nohash_0.WAV").write_bytes(b"\0\5\x16\7")
    assert main(["manifest", "write", str(tmp_path / "archive"), str(tmp_path / "m.csv")]) == 0
    (word / "b_nohash_0.wav").write_text("not wanted, and no sound")
    assert (
        main(["manifest", "rebuild", str(tmp_path / "m.csv"), str(tmp_path / "built"), str(tmp_path / "archive")]) == 0
    )
    assert [p.name for p in (tmp_path / "built").glob("*/*")] == ["a_nohash_0.WAV"]


def test_a_flac_of_unknown_length_has_the_checksum_of_its_samples(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(300, 100_000), 16_000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "b.flac").write_bytes(content)
    assert pcm_md5(tmp_path / "b.flac") == pcm_md5(tmp_path / "a.flac")


def test_a_recording_that_was_killed_has_the_checksum_of_its_samples(tmp_path):
    """Its header says that there are none."""
    soundfile.write(tmp_path / "a.wav", tone(300), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = bytes(4)
    (tmp_path / "b.wav").write_bytes(content)
    assert pcm_md5(tmp_path / "b.wav") == pcm_md5(tmp_path / "a.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_is_told_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(AudioError, match=r"a\.wav.*a pipe or a device"):
        pcm_md5(tmp_path / "a.wav")


def test_clips_that_cannot_be_read(tone_folder, tmp_path, capsys):
    folder = tmp_path / "corpus"
    shutil.copytree(tone_folder, folder)
    write_manifest(folder_corpus(folder), tmp_path / "whole.csv")
    damaged = next((folder / "low").glob("*.flac"))
    damaged.write_bytes(damaged.read_bytes()[:60])
    assert main(["manifest", "write", str(folder), str(tmp_path / "m.csv")]) == 2
    assert f"1 of the files cannot be read; the first: {damaged}" in capsys.readouterr().err
    assert not (tmp_path / "m.csv").exists()
    assert main(["manifest", "rebuild", str(tmp_path / "whole.csv"), str(tmp_path / "built"), str(folder)]) == 2
    told = capsys.readouterr()
    assert f"left out: {damaged}" in told.out
    assert f"1 clips of the manifest are in none of the archives, such as low/{damaged.stem}" in told.err
    assert [p.name for p in tmp_path.iterdir() if "built" in p.name] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(range(256)), "not a manifest, which is a text file"),
        (HEAD.encode() + b"yes,a\0,a,0\n", "is not the name of a clip|not a manifest"),
        (b"", "not a manifest, its first line must be"),
        (HEAD.encode(), "lists no clip"),
        (HEAD.encode() + b"_background_noise_,a,,0\n", "lists no clip"),
        (HEAD.encode() + b"yes,a\n", "a line has not 4 columns: yes,a"),
        (HEAD.encode() + b"yes,a,a,0\nyes,a,a,1\n", "yes/a is listed twice"),
        *(
            (f"{HEAD}{row},a,0\n".encode(), "is not the name of a clip; do not use")
            for row in (
                "..,a",
                ".,a",
                ",a",
                "yes,",
                "yes,..",
                "yes,../a",
                "/yes,a",
                "a/b,a",
                "..\\b,a",
                "yes,._a",
                ".x,a",
            )
        ),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path, capsys, content, message):
    (tmp_path / "archive").mkdir()
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        rebuild(tmp_path / "m.csv", [tmp_path / "archive"], tmp_path / "built")
    assert (
        main(["manifest", "rebuild", str(tmp_path / "m.csv"), str(tmp_path / "built"), str(tmp_path / "archive")]) == 2
    )
    assert f"error: {tmp_path / 'm.csv'}" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "m.csv"]
