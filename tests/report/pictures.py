"""Pictures of made-up data of the right shape, for test_plots.py."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from conftest import sound

from kws.report import clip_plots, cost_plots, stream_plots, training_plots
from kws.report.timing import Latency
from kws.research.measured import Measured, Quality
from kws.research.whole_cost import WholeCost
from kws.scenes import Scene, frame_labels
from kws.streaming.scoring import Heard, working_points

KINDS = ["published", "speaker-disjoint"]
NETWORKS = {  # MACs: five are at nearly the same place
    "base": 432_672,
    "gru_small": 169_735,
    "rnn": 43_300,
    "rnn_fp16": 43_300,
    "rnn_int8": 43_300,
    "beyond": 16_981,
    "peer_rnn_2546": 50_860,
    "peer_rnn_k15": 45_580,
    "peer_gru_1789": 39_628,
    "peer_gru_3294": 44_304,
    "tc_resnet8": 1_594_944,
}


def measured() -> list[Measured]:
    """Networks as in the README: the peers on one split only."""
    rows = []
    for i, (name, macs) in enumerate(NETWORKS.items()):
        area = 3e-4 * (1 + 0.1 * i)
        kinds = KINDS[:1] if name.startswith(("peer", "tc_")) else KINDS
        found = {kind: Quality(3, 1_800, 310, (area, area / 10, 3 * area), 1e-4) for kind in kinds}
        whole = WholeCost(40_400, 349_212, 40_602, 38_885, 4_040, 0, macs, 3_000, 1_620, 1_600)
        rows.append(Measured(name, name, 1_000, 4_000, 3_000, macs, macs, 1.0, 1.0, found, whole, 1.0, 1.0))
    return rows


def history(epochs: int, seed: int) -> list[dict[str, float]]:
    """Rows as they come from a JSON file."""
    noise = np.random.default_rng(seed).uniform(0.9, 1.1, (epochs, 5))
    pairs = ("convolution from convolution", "recurrent.0 from recurrent.1", "attention from attention")
    return [
        {"epoch": i + 1, "loss": 0.1 * a, "validation_loss": 0.05 * b, "validation_au_fa_fr": 1e-3 * c / (i + 1)}
        | {f"error of {pair}": d / (i + 1) for pair in pairs}
        for i, (a, b, c, d, _) in enumerate(noise)
    ]


def judged(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (np.arange(2_000) < 300).astype(int)
    return 1 / (1 + np.exp(-rng.normal(8 * labels - 4, 2))), labels


def scene() -> Scene:
    return Scene(0.1 * sound(16_000 * 60).clamp(-1, 1), [(t, t + 0.5) for t in range(2, 58, 4)])


def said(stream: Scene, seed: int) -> np.ndarray:
    """Probabilities, a step of 80 ms, high after most keywords and at times elsewhere."""
    p = 0.5 * np.random.default_rng(seed).random(700) ** 4
    for i, (_, end) in enumerate(stream.keywords):
        p[round(end / 0.08) : round(end / 0.08) + 4] = 0.2 + 0.75 * (i % 5 > 0)
    p[[100, 300]] = 0.9
    return p


def cost():
    label = "multiply-accumulates for a second of sound (thop)"
    return cost_plots.plot_cost(measured(), "macs", label, KINDS, 5.5e-5, "Quality and cost")


def whole_cost():
    label = "multiplications for a second of sound, all in"
    return cost_plots.plot_cost(measured(), "multiplications", label, KINDS, 5.5e-5, "Quality and whole cost")


def comparison():
    rows = measured()[:9]
    return cost_plots.plot_comparison({"as recorded": rows, "at 5 dB SNR": rows[:8]}, KINDS, "Compared")


def latency():
    models, runtimes = ("base", "gru_small", "tc_resnet8"), ("eager", "eager float16", "TorchScript", "ONNX Runtime")
    times = [
        Latency(m, r, b, f, 0.1 * b + f) for m in models for r in runtimes for b in (1, 256) for f in (True, False)
    ]
    return cost_plots.plot_latency(times, "Time")


def training():
    names = ("streaming_teacher", "embedding_teacher", "streaming_base", "streaming_small")
    runs = {f"{name}, seed {seed}": history(10, seed) for name in names for seed in range(3)}
    return training_plots.plot_training(runs, dict.fromkeys(runs, 10) | {"streaming_base, seed 1": 0})


def layers():
    runs = {f"{kind}, seed {seed}": history(20, seed) for kind in KINDS for seed in range(3)}
    return training_plots.plot_layer_errors(runs, "What the student leaves unexplained")


def clips():
    waveforms = sound(5 * 16_000).reshape(5, 16_000).clamp(-1, 1)
    return clip_plots.plot_clips(waveforms, torch.randn(5, 40, 101) - 5, ["happy"] * 5, "Clips")


def hardest():
    return clip_plots.plot_hardest(torch.randn(8, 40, 101) - 5, ["happy/ee4a907f 1\np = 0.196"] * 8, "Hardest")


def confused():
    words = np.array([f"word{i % 34}" for i in range(2_000)])
    return clip_plots.plot_confused_words(words, judged(0)[0], "happy", 0.5, "Other words taken for 'happy'")


def stream():
    heard = scene()
    names = enumerate(("streaming_base", "streaming_small"))
    traces = {name: stream_plots.Trace(said(heard, i), 1_280, 3_200, 0.8, 2) for i, name in names}
    return stream_plots.plot_stream(heard, traces, (5, 40), "A stream")


def detection():
    heard = scene()
    names = ("streaming_base", "streaming_small", "streaming_base, near words", "base of clips")
    curves = {n: working_points([Heard(said(heard, i), heard.keywords, 60)], 1_280, 3_200) for i, n in enumerate(names)}
    return stream_plots.plot_detection(curves, {"aim": (0.5, 0.05), "aim for the small one": (0.5, 0.1)}, "Misses")


def errors():
    return clip_plots.plot_fa_fr({"published": judged(0), "strangers": judged(1)}, "False rejects and false alarms")


def scores():
    return clip_plots.plot_scores(*judged(0), "happy", "Scores")


def labels():
    said = [(1.0, 1.5)]
    return stream_plots.plot_scene(Scene(scene().waveform[:64_000], said), frame_labels(said, 401), "A scene")


PICTURES = {  # what they are, and what must stand at their axes
    cost: ["multiply-accumulates for a second of sound (thop)", "AU_FA_FR at Speech Commands prevalence"],
    whole_cost: ["multiplications for a second of sound, all in", "AU_FA_FR at Speech Commands prevalence"],
    comparison: ["1 - AUC (lower is better)", "network"],
    latency: ["median time of a call (ms)", "network"],
    training: ["epoch", "cross-entropy (nats)", "AU_FA_FR (lower is better)"],
    layers: ["epoch", "share unexplained (1: all)"],
    clips: ["time (s)", "amplitude\n(1: full scale)", "mel band", "log-mel (ln of power)"],
    hardest: ["time (s)", "mel band", "log-mel (ln of power)"],
    confused: ["taken for 'happy' (%)", "word"],
    stream: ["time (s)", "amplitude\n(1: full scale)", "probability"],
    detection: ["false alarms an hour", "keywords missed (%)"],
    errors: ["(share of all clips)"],
    scores: ["log-odds of the keyword, ln p / (1 - p)", "clips"],
    labels: ["time (s)", "mel band", "amplitude\n(1: full scale)"],
}
