import multiprocessing

import pytest
import soundfile
import torch

from kws.data.audio import to_float
from kws.data.corpus import CorpusError, load_clips
from kws.voices import SyntheticConfig, synthetic_corpus

SMALL = SyntheticConfig(clips=90, speakers=20)


@pytest.fixture(scope="module", autouse=True)
def _short_noises():
    """Of 3 s, not a minute: they take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kws.voices.synthetic.NOISE_SAMPLES", 48_000)
        yield


@pytest.fixture(scope="module")
def sheila(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    return folder, synthetic_corpus("sheila", folder, SMALL, progress=False)


def test_it_has_the_shape_of_speech_commands(sheila):
    _, corpus = sheila
    assert len(corpus.clips) == 90
    assert corpus.words["sheila"] > 5
    assert sum(word.startswith("like_sheila") for word in corpus.words) > 3
    assert len(corpus.noise_paths) == 6
    assert 10 < len(corpus.speakers) <= 20
    _, waveforms, _ = load_clips(corpus, progress=False)
    loudness = 20 * torch.log10(to_float(waveforms).square().mean(1).sqrt())
    assert loudness.min() > -36
    assert loudness.max() < -14


def test_same_seed_same_sound(sheila, tmp_path):
    _, corpus = sheila
    again = synthetic_corpus("sheila", tmp_path, SMALL, progress=False)
    other = synthetic_corpus("sheila", tmp_path, SyntheticConfig(clips=90, speakers=20, seed=1), progress=False)
    assert [c.name for c in again.clips] == [c.name for c in corpus.clips]
    assert torch.equal(load_clips(again, False)[1], load_clips(corpus, False)[1])
    assert [c.name for c in other.clips] != [c.name for c in corpus.clips]


def test_it_is_made_once(sheila, monkeypatch):
    folder, corpus = sheila
    monkeypatch.setattr("kws.voices.synthetic._speak", lambda *_: pytest.fail("made again"))
    assert synthetic_corpus("Sheila ", folder, SMALL, progress=False).clips == corpus.clips


def content(corpus) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*(c.path for c in corpus.clips), *corpus.noise_paths]}


@pytest.mark.parametrize(("jobs", "threads"), [(1, 2), (3, 1)])
def test_the_same_bytes_whatever_the_jobs_and_threads(sheila, tmp_path, monkeypatch, jobs, threads):
    monkeypatch.setenv("KWS_JOBS", str(jobs))
    torch.set_num_threads(threads)
    try:
        assert content(synthetic_corpus("sheila", tmp_path, SMALL, progress=False)) == content(sheila[1])
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)


def test_two_processes_at_once_end_with_one_whole_corpus(sheila, tmp_path):
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=synthetic_corpus, args=("sheila", tmp_path, SMALL, False), daemon=False)
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1
    assert content(synthetic_corpus("sheila", tmp_path, SMALL, progress=False)) == content(sheila[1])


def test_an_interrupted_making_starts_anew(tmp_path, monkeypatch):
    real = soundfile.write
    written = []

    def stop(*arguments, **options):
        if len(written) == 30:
            raise KeyboardInterrupt
        written.append(1)
        real(*arguments, **options)

    monkeypatch.setenv("KWS_JOBS", "1")
    monkeypatch.setattr("soundfile.write", stop)
    with pytest.raises(KeyboardInterrupt):
        synthetic_corpus("sheila", tmp_path, SMALL, progress=False)
    monkeypatch.undo()
    assert len(synthetic_corpus("sheila", tmp_path, SMALL, progress=False).clips) == 90
    assert len(list(tmp_path.iterdir())) == 1


def test_a_corpus_that_lacks_clips_is_not_used(tmp_path):
    corpus = synthetic_corpus("sheila", tmp_path, SMALL, progress=False)
    for clip in corpus.clips[12:]:
        clip.path.unlink()
    with pytest.raises(CorpusError, match="12 of its 90 clips are there: remove it"):
        synthetic_corpus("sheila", tmp_path, SMALL, progress=False)


def test_any_keyword(tmp_path):
    corpus = synthetic_corpus("hey computer", tmp_path, SMALL, progress=False)
    assert corpus.labels("hey_computer").sum() > 5
    assert "two" not in _clips_words(tmp_path, "too")  # a homophone would be the keyword under another label
    assert len(_clips_words(tmp_path, "air")) > 10  # no phoneme of it has a similar one


def test_a_keyword_as_one_types_it(tmp_path, capsys):
    """Its folder has a plain name, and others that are spelt so but said in another way are other corpora."""
    few = SyntheticConfig(clips=20, speakers=3, keyword_share=0.5)
    robot = synthetic_corpus("R2D2!", tmp_path, few, progress=False)
    assert robot.words["r2d2"] > 3
    assert synthetic_corpus("r2d2", tmp_path, few, progress=False).clips == robot.clips
    assert not capsys.readouterr().err
    names = []
    for keyword, say in (("cafe", ""), ("Café", ""), ("cafe", "kaff")):
        corpus = synthetic_corpus(keyword, tmp_path, few, False, say)
        assert corpus.words["cafe"] > 3
        names += {clip.name for clip in corpus.clips}
    assert len(names) == len({*names}) == 60


def test_a_bad_keyword_is_warned_of_before_anything_is_made(tmp_path, capsys):
    synthetic_corpus("No", tmp_path, SyntheticConfig(clips=5, speakers=2), progress=False)
    assert "warning for the keyword 'no': it is short" in "".join(capsys.readouterr())


def _clips_words(folder, keyword):
    return synthetic_corpus(keyword, folder, SyntheticConfig(clips=200, speakers=9), progress=False).words


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("", "cannot say"),
        ("!!!", "cannot say"),
        ("東京", "cannot say"),
        ("supercalifragilisticexpialidocious", "takes 2.. s to say; 2 s is the longest: take a shorter one"),
    ],
)
def test_impossible_keywords(tmp_path, keyword, message):
    with pytest.raises(CorpusError, match=message):
        synthetic_corpus(keyword, tmp_path, SMALL, progress=False)
