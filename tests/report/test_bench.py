"""``kws bench``: misses and false alarms as counted by hand, noise at the ratio that was asked for, and what is told when something is wrong."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from conftest import WEIGHTS, sound

from kws.report import bench_table
from kws.report.bench import OurStream, best, hear, main, open_engine, points_at
from kws.report.bench_sound import Played, in_noise, played, read_folders, second_halves, spoken_power
from kws.report.bench_table import Result, csv_rows, notes
from kws.report.results import read
from kws.streaming import load_stream
from kws.streaming.intervals import poisson_interval, wilson_interval
from kws.streaming.scoring import Heard, WorkingPoint

STEP = 1600  # samples: 0.1 s


class Loud:
    """An engine that takes for a word what is loud: a step's probability is its highest sample."""

    threshold, smoothing, step_samples, first_sample, bytes = 0.5, 1, STEP, STEP, 7

    def __init__(self, word: str):
        self.name, self.keyword = f"loud {word}", word
        self.reset()

    def reset(self) -> None:
        self.pending = np.zeros(0, np.float32)

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        heard = np.concatenate([self.pending, chunk])
        whole = len(heard) // STEP * STEP
        self.pending = heard[whole:]
        return np.abs(heard[:whole].reshape(-1, STEP)).max(1)


LOUD = f"{__name__}:Loud"


def beep(level: float, seconds: float = 1.0) -> np.ndarray:
    """A faint second or so with a tenth of a second of a level in its middle."""
    samples = np.full(int(seconds * 16_000), 0.01, np.float32)
    samples[len(samples) // 2 :][:STEP] = level
    return samples


def write(folder, levels, seconds: float = 1.0):
    folder.mkdir(parents=True)
    for i, level in enumerate(levels):
        soundfile.write(folder / f"{i:02}.wav", beep(level, seconds), 16_000)
    return folder


@pytest.fixture
def folders(tmp_path):
    word = write(tmp_path / "beep", [0.9, 0.6, 0.4, 0.3])
    return {"word": word, "talk": write(tmp_path / "talk", [0.7, 0.5, 0.2], 30), "noise": tmp_path / "noise"}


def bench(folders, *arguments: str) -> None:
    main(["--word", str(folders["word"]), "--talk", str(folders["talk"]), *arguments])


def recording(level: float = 0.2, seconds: float = 3.0) -> torch.Tensor:
    """Half a second of a tone, int16, in silence."""
    samples = torch.zeros(int(16_000 * seconds))
    samples[8_000:16_000] = level * torch.sin(torch.arange(8_000) * 2 * torch.pi / 16)
    return (samples * 32768).round().to(torch.int16)


def test_recordings_become_a_stream():
    """Two seconds between neighbours, and every sample where its span says."""
    sounds = [recording(0.2, 1.5), recording(0.4, 2.0)]
    stream = played(sounds, 1.0)
    assert stream.spans == [(1.0, 2.5), (4.5, 6.5)]
    assert stream.seconds == 3.5
    whole = np.concatenate(stream.blocks)
    for (start, end), one in zip(stream.spans, sounds, strict=True):
        np.testing.assert_array_equal(whole[int(start * 16_000) : int(end * 16_000)], one)
    assert len(whole) == 7.5 * 16_000
    assert np.abs(whole).astype(int).sum() == sum(one.int().abs().sum() for one in sounds)


def test_pauses_do_not_count_as_speech():
    for seconds in (1.5, 3.0, 9.0):
        assert spoken_power(recording(0.2, seconds) / 32768).item() == pytest.approx(0.2**2 / 2, rel=1e-3)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_noise_is_as_loud_as_was_asked(snr_db):
    noises = [(3000 * torch.randn(200_000, generator=torch.Generator().manual_seed(1))).to(torch.int16)]
    sounds = [recording(0.02), recording(0.05, 2.0)]
    stream, clean = played(sounds, 1.0, noises, snr_db, (3,)), played(sounds, 1.0)
    for level, block, quiet in zip((0.02, 0.05), stream.blocks, clean.blocks, strict=True):
        noise = (block.astype(float) - quiet) / 32768
        assert 10 * np.log10(level**2 / 2 / np.square(noise).mean()) == pytest.approx(snr_db, abs=0.01)
    # A seed is a place in the noise.
    again, other = (played(sounds, 1.0, noises, snr_db, (seed,)) for seed in (3, 4))
    np.testing.assert_array_equal(stream.blocks[0], again.blocks[0])
    assert (stream.blocks[0] != other.blocks[0]).any()


def test_a_loud_mixture_is_made_fainter_as_a_whole():
    sound, noise = torch.full((1600,), 0.9), torch.linspace(-1, 1, 1600)
    mixture = in_noise(sound, spoken_power(sound), noise, 0.0)
    assert mixture.max() == 1
    gain = (0.81 / noise.square().mean()).sqrt()
    torch.testing.assert_close(mixture, (sound + gain * noise) / (0.9 + gain))


def test_only_the_second_half_of_a_noise_is_heard():
    assert [half.tolist() for half in second_halves([torch.arange(6), torch.arange(5)])] == [[3, 4, 5], [2, 3, 4]]


def peaks_at(steps: int, peaks: dict[int, float]) -> np.ndarray:
    """Probabilities (steps,) of 0.1, but at some steps; step i ends at 0.1 (i + 1) seconds."""
    p = np.full(steps, 0.1)
    p[list(peaks)] = list(peaks.values())
    return p


# Four recordings of a second, 2 s apart. The third's peak is 0.4 s after its end, the fourth's 0.6 s; a second one of the first's is ignored.
WORD = Heard(
    peaks_at(140, {14: 0.9, 29: 0.95, 44: 0.6, 83: 0.4, 115: 0.99}), [(1, 2), (4, 5), (7, 8), (10, 11)], seconds=4.0
)
# Two hours with six alarms; the seventh peak is in the second after one, and is held off.
TALK = Heard(peaks_at(72_000, {9: 0.7, 500: 0.5, 505: 0.5} | dict.fromkeys(range(1000, 5000, 1000), 0.5)), [], 7200.0)


def test_misses_and_false_alarms_by_hand():
    (shipped,) = points_at(Loud("beep"), WORD, TALK, [0.5])
    assert (shipped.misses, shipped.keywords, shipped.false_alarms, shipped.hours) == (2, 4, 6, 2.0)
    assert shipped.miss_interval == wilson_interval(2, 4)
    assert shipped.false_alarm_interval == tuple(end / 2 for end in poisson_interval(6))
    found = {
        limit: (round(p.threshold, 6), p.misses, p.false_alarms) for limit, p in best(Loud("beep"), WORD, TALK).items()
    }
    assert found == {0.1: (0.9, 3, 0), 0.5: (0.6, 2, 1), 5.0: (0.4, 1, 6)}


def test_an_engine_that_is_always_sure_has_no_threshold():
    always = Heard(np.ones(7200), [], 720.0)
    points = best(Loud("beep"), WORD, always)
    assert set(points.values()) == {None}
    (shipped,) = points_at(Loud("beep"), WORD, always, [0.5])
    result = Result("loud", "beep", points, shipped, 1.0, 7)
    assert "loud: every threshold has more than 5 false alarms per hour" in notes([result], "beep")
    rows = {row["at_most_per_hour"]: row for row in csv_rows(result, "beep", None)}
    assert rows["5"]["threshold"] == rows["0.1"]["missed_percent_low"] == ""
    assert rows[""]["false_alarms"] == 720


def test_the_command_counts_prints_and_writes(folders, tmp_path, capsys):
    bench(folders, "--engine", f"{LOUD}=beep", "--csv", str(tmp_path / "out" / "bench.csv"))
    printed = capsys.readouterr().out
    assert "4 recordings of beep, 0.03 h of talk, in quiet" in printed
    assert "50.0% [15.0%, 85.0%]" in printed
    assert (
        "note: too little talk to speak of 0.1 and 0.5 and 5 false alarms per hour: none in 90 s: at most 119.8 per hour"
        in printed
    )
    assert "hears" not in printed
    rows = {row["at_most_per_hour"]: row for row in read(tmp_path / "out" / "bench.csv")}
    assert list(rows) == ["0.1", "0.5", "5", ""]
    told = {name: {row[name] for row in rows.values()} for name in ("network", "keyword", "snr_db", "bytes")}
    assert told == {"network": {"loud beep"}, "keyword": {"beep"}, "snr_db": {"quiet"}, "bytes": {"7"}}
    # 0.9 alone is above the talk's loudest; at 0.5 two are, and two alarms are in 90 s.
    least, shipped = rows["0.1"], rows[""]
    assert (least["missed"], least["false_alarms"], least["threshold"]) == ("3", "0", "0.9000")
    assert (shipped["missed"], shipped["missed_percent"], shipped["false_alarms"]) == ("2", "50.0", "2")
    assert float(shipped["false_alarms_per_hour"]) == 80
    assert float(shipped["ms_for_a_second"]) > 0


def test_noise_is_heard_and_engines_are_told_apart(folders, capsys):
    folders["noise"].mkdir()
    noise = np.concatenate([np.zeros(40_000), 0.1 * np.random.default_rng(0).standard_normal(40_000)])
    soundfile.write(folders["noise"] / "hiss.wav", noise, 16_000)
    bench(
        folders, "--noise", str(folders["noise"]), "--snr", "5", "--engine", f"{LOUD}=beep", "--engine", f"{LOUD}=boop"
    )
    printed = capsys.readouterr().out
    assert "at 5 dB SNR" in printed
    assert "note: loud boop hears 'boop'; is that what the recordings in beep say?" in printed


def test_our_streams_are_engines():
    paths = [WEIGHTS / f"streaming_small.{kind}" for kind in ("pt", "onnx")]
    engines = [OurStream(path, path.name) for path in paths]
    waveform = (sound(5 * 16_000 + 77) * 32768).to(torch.int16)
    stream = Played([waveform[:30_000].numpy(), waveform[30_000:].numpy()], [(0, 1)])
    torchscript, onnx = (hear(engine, stream) for engine in engines)
    with torch.inference_mode():
        np.testing.assert_allclose(torchscript, load_stream(paths[0])(waveform).numpy(), atol=1e-6)
    np.testing.assert_allclose(torchscript, onnx, atol=1e-4)
    np.testing.assert_array_equal(hear(engines[1], stream), onnx)  # from a reset on
    assert [engine.bytes for engine in engines] == [path.stat().st_size for path in paths]
    assert engines[0].keyword == "happy"
    assert engines[0].threshold == engines[1].threshold


def test_what_cannot_be_read_is_named_and_left_out(folders, capsys):
    (folders["word"] / "broken.wav").write_bytes(b"not a sound")
    soundfile.write(folders["word"] / "silent.wav", np.zeros(16_000), 16_000)
    bench(folders, "--engine", f"{LOUD}=beep")
    output = capsys.readouterr()
    assert "4 recordings" in output.out
    for name in ("broken.wav", "silent.wav"):
        assert f"left out: {folders['word'] / name}: " in output.out + output.err


def test_bad_input_is_told(folders, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match=f"{empty}: no sound file"):
        bench({**folders, "word": empty}, "--engine", f"{LOUD}=beep")
    (empty / "broken.flac").write_bytes(b"none")
    with pytest.raises(ValueError, match="none of the 1 sound files of the talk can be used"):
        read_folders([empty], "the talk")
    with pytest.raises(ValueError, match="is both a recording of the word and talk"):
        bench({**folders, "talk": tmp_path}, "--engine", f"{LOUD}=beep")
    with pytest.raises(ValueError, match="loud beep is asked for twice"):
        bench(folders, *["--engine", f"{LOUD}=beep"] * 2)
    with pytest.raises(FileNotFoundError, match="none.pt"):
        bench(folders, str(tmp_path / "none.pt"))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("recipes.engines:OpenWakeWord", "give MODULE:CLASS=WORD"),
        ("no_such_package.engines:Any=alexa", "No module named 'no_such_package'; install"),
        ("recipes.engines:Loudest=alexa", "has no attribute 'Loudest'"),
    ],
)
def test_an_engine_that_is_not_there_is_told(asked, told):
    with pytest.raises(ValueError, match=f"--engine {asked}: .*{told}"):
        open_engine(asked)


@pytest.mark.parametrize("arguments", [[], ["m.pt", "--snr", "5"], ["m.pt", "--noise", "n", "--snr", "nan"]])
def test_a_wrong_use_is_told(arguments, capsys):
    with pytest.raises(SystemExit):
        main(["--word", "w", "--talk", "t", *arguments])
    assert "usage: kws bench" in capsys.readouterr().err


def test_what_was_saved_is_shown_in_short(tmp_path):
    """A line a network and noise, the mean of its trainings: misses at few false alarms an hour, and at the threshold that it ships with."""
    point = WorkingPoint(0.7, 200, 10, 1, 2.0, 0.1)
    shipped, better = replace(point, misses=20), replace(point, misses=6)
    first = Result("ours-0", "alexa", {0.5: point, 5.0: replace(point, misses=2)}, shipped, 1.65, 1_262_826)
    second = replace(
        first, engine="ours-1", at_most={0.5: better, 5.0: better}, shipped=replace(shipped, false_alarms=3)
    )
    none = replace(first, engine="theirs", at_most={0.5: None, 5.0: None})
    cases = ((first, 10.0), (second, 10.0), (none, None))
    rows = [row for some, snr_db in cases for row in csv_rows(some, "alexa", snr_db)]
    bench_table.write_csv(tmp_path / "some.csv", rows)
    said = bench_table.saved(tmp_path / "some.csv").splitlines()
    ours = said[-2].split()
    assert ours[:6] == "alexa ours 2 10 dB 4.0%".split()  # the mean of 10 and 6 of 200
    assert ours[8] == "2.0%"
    assert "10.0% [6.6%, 14.9%]" in said[-2]
    assert ours[-5:] == ["1.00", "[0.12,", "3.61]", "1.65", "1,262,826"]  # two in two hours, on average
    assert said[-1].split()[:4] == "alexa theirs 1 quiet".split()
    assert said[-1].count("no threshold") == 2
    assert "is not here" in bench_table.saved(tmp_path / "none.csv")
