"""The networks of this study by name: their shapes and recipes. Data only; ``kws.research.study`` trains them."""

from dataclasses import dataclass, field, replace
from typing import Any

from kws.data.spectrum import Spectrum
from kws.distill import DistillConfig
from kws.model import CRNNConfig
from kws.research.own_front import OwnFrontConfig
from kws.research.stream_teacher import StreamTeacherConfig
from kws.research.tc_resnet import TCResNetConfig

FROM_LABELS = None
FROM_LOGITS = DistillConfig(labels=0.1, logits=0.9, temperature=2.0)  # the ladder's recipe: the controls say why
FROM_LAYERS = DistillConfig(labels=1.0, logits=0.0, layers=0.1)
FROM_BOTH = replace(FROM_LOGITS, layers=0.1)
FROM_RANKING = replace(FROM_LOGITS, ranking=1.0)
BEYOND_BOTH = replace(
    FROM_BOTH, pairs=(("convolution", "convolution"), ("recurrent.0", "recurrent.1"), ("attention", "attention"))
)
REVERSED = replace(
    FROM_BOTH, pairs=(("convolution", "recurrent.1"), ("recurrent.0", "recurrent.0"), ("recurrent.1", "convolution"))
)


@dataclass(frozen=True)
class Rung:
    """One network and how it is trained.

    Attributes:
        title: what tables and pictures call it.
        config: its shape.
        learns: what it learns from; without, labels alone.
        epochs: times the base's.
        learning_rate, weight_decay: of ``kws.trainer.TrainConfig``.
        teachers: how many of the network "teacher" it learns from.
        also: networks of which all seeds teach it as well; no part of a recipe's name either: their recipes are.
        ear: which of ``EARS`` it begins as, or as the mean of its teachers, narrowed to its own shape; without, by chance. It is no part of a
            recipe's name: the ear's weights are.
    """

    title: str
    config: Any
    learns: DistillConfig | None = FROM_LABELS
    epochs: float = 2.0
    learning_rate: float = 1e-2
    weight_decay: float = 0.01
    teachers: int = 1
    ear: str = field(default="", repr=False)
    also: tuple[str, ...] = field(default=(), repr=False)


def _tiny(**shape) -> CRNNConfig:
    return CRNNConfig(norm=True, relu=True, attention="linear", **shape)


def _published(channels: int, kernel: tuple[int, int], stride: tuple[int, int], rnn: str, hidden: int) -> CRNNConfig:
    """A published student, by its sizes."""
    return CRNNConfig(channels=channels, kernel=kernel, stride=stride, rnn=rnn, hidden=hidden)


GRU_SMALL = CRNNConfig(stride=(4, 8), norm=True, relu=True, hidden=19)
RNN = _tiny(pool=(2, 3), channels=6, kernel=(6, 5), stride=(3, 2), rnn="rnn", hidden=20)
BEYOND = _tiny(pool=(3, 4), channels=12, kernel=(10, 4), stride=(4, 2), hidden=12, layers=1)

TEACHERS = 4
"""Trained of each kind of split. The ladder learns from the first; "beyond", its controls and the peers from the mean of all their logits, and from the layers of the first."""

BASE = {"base": Rung("base", CRNNConfig(), epochs=1.0, learning_rate=6e-3)}
TEACHER = {
    "teacher": Rung(
        "teacher", CRNNConfig(channels=16, norm=True, relu=True, hidden=128), epochs=1.0, learning_rate=3e-3
    )
}
STEPS = {
    "gru_small": Rung("1: smaller GRU", GRU_SMALL, FROM_LOGITS),
    "rnn": Rung("2: RNN", RNN, FROM_LOGITS),
    "beyond": Rung("beyond", BEYOND, FROM_RANKING, 6.0, weight_decay=0.1, teachers=TEACHERS),
}
CONTROLS = {
    "rnn_from_labels": Rung("labels only (from scratch)", RNN, FROM_LABELS),
    "rnn_from_layers": Rung("labels and layers", RNN, FROM_LAYERS),
    "rnn_from_both": Rung("logits and layers", RNN, FROM_BOTH),
    "beyond_from_labels": Rung("beyond, labels only", BEYOND, FROM_LABELS, epochs=6.0, weight_decay=0.1),
    "beyond_from_logits": Rung("beyond, logits", BEYOND, FROM_LOGITS, 6.0, weight_decay=0.1, teachers=TEACHERS),
    "beyond_from_both": Rung(
        "beyond, logits and layers", BEYOND, BEYOND_BOTH, 6.0, weight_decay=0.1, teachers=TEACHERS
    ),
}
SEPARABLE = {"gru_small_separable": Rung("1: separable", replace(GRU_SMALL, separable=True), FROM_LOGITS)}
REVERSED_CONTROL = {"rnn_reversed": Rung("logits and layers, reversed", RNN, REVERSED)}
PEERS = {  # trained as "beyond": what is better is the network
    name: Rung(title, config, FROM_RANKING, 6.0, weight_decay=0.1, teachers=TEACHERS)
    for name, title, config in (
        ("peer_rnn_2546", "C3 k(5,20) s(5,8) RNN 20x2", _published(3, (5, 20), (5, 8), "rnn", 20)),
        ("peer_rnn_k15", "C3 k(4,15) s(4,8) RNN 20x2", _published(3, (4, 15), (4, 8), "rnn", 20)),
        ("peer_gru_1789", "C2 k(11,20) s(7,8) GRU 14x1", replace(_published(2, (11, 20), (7, 8), "gru", 14), layers=1)),
        ("peer_gru_3294", "C3 k(5,24) s(3,15) GRU 12x2", _published(3, (5, 24), (3, 15), "gru", 12)),
    )
}
# Three convolutions over time instead of one; streams have room in it for what an embedding tells them.
STREAMING_BASE = CRNNConfig(
    channels=64,
    kernel=(40, 5),
    stride=(1, 2),
    deeper=((96, (1, 3), (1, 2)), (128, (1, 5), (1, 2))),
    norm=True,
    relu=True,
    hidden=96,
    attention="linear",
)
STRONG = {"deep_teacher": Rung("deep teacher", STREAMING_BASE, epochs=1.0, learning_rate=4e-3, weight_decay=0.02)}
REFERENCE = {"tc_resnet8": Rung("TC-ResNet8", TCResNetConfig(), epochs=1.0, learning_rate=6e-3)}
KINDS_OF_TEACHER = ("deep_teacher", "tc_resnet8")
"""They teach what the search finds, with the four teachers: networks that differ err on different clips."""


def _searched(title: str, window: int, n_mels: int, merged: int = 1, pool: tuple[int, int] = (2, 2), **shape) -> Rung:
    """A network of the search, at 8 kHz behind a frame every 20 ms; it learns four times as long as a trial, and from all kinds of teacher."""
    heard = {"n_mels": n_mels, "spectrum": Spectrum(8_000, window, 320, merged), "pool": pool, "attention": "linear"}
    config = OwnFrontConfig(**heard, norm=True, relu=True, layers=1, **shape)
    return Rung(title, config, FROM_RANKING, 12.0, weight_decay=0.1, teachers=TEACHERS, also=KINDS_OF_TEACHER)


SEARCHED = {
    "best": _searched("best quality", 128, 16, channels=12, kernel=(8, 4), stride=(4, 2), hidden=12),
    "balanced": _searched("balanced", 128, 16, channels=7, kernel=(8, 4), stride=(4, 2), hidden=7),
    "smallest": _searched("smallest", 200, 16, 2, pool=(2, 3), channels=4, kernel=(8, 5), stride=(3, 2), hidden=7),
}
"""Trials 5, 133 and 62 of ``docs/results/search.csv``, chosen on validation clips."""
RUNGS = BASE | TEACHER | STEPS | SEPARABLE | CONTROLS | REVERSED_CONTROL | PEERS | STRONG | REFERENCE | SEARCHED

PACKED = {"beyond": "int8", "deep_teacher": "float16"}
"""Networks that are stored packed at once."""


# Streams: trained on scenes, with the state carried on.
PULL = {"layers": 0.1, "pairs": (("recurrent.0", "embedding"),)}
FROM_TEACHER = DistillConfig(labels=0.1, logits=0.9, temperature=1.0)
# "Beyond" leaves out what is above 4 kHz; here, at the same cost, four bands are pooled instead of three and all are heard.
STREAMING_SMALL = replace(BEYOND, pool=(4, 4))
# Between the two: the base of half the width. It begins as what of its teachers' mean is worth most; as int8, its ONNX file has 67 kB.
STREAMING_MIDDLE = replace(STREAMING_BASE, channels=32, deeper=((40, (1, 3), (1, 2)), (48, (1, 5), (1, 2))), hidden=48)
# By size: trained once, on what a pretrained embedding hears, for networks of any keyword to begin with.
EARS = {"base": Rung("ear", STREAMING_BASE, learning_rate=4e-3)}
SCOUT = Rung("scout", replace(TEACHER["teacher"].config, hidden=64), epochs=0.12, learning_rate=5e-3, weight_decay=0.02)
EMBEDDING_SCOUT = Rung("embedding scout", StreamTeacherConfig(), epochs=0.12, learning_rate=3e-3, weight_decay=0.02)
STREAMS = {
    "scout": SCOUT,
    "embedding scout": EMBEDDING_SCOUT,
    "streaming_teacher": Rung(
        "streaming teacher", STREAMING_BASE, DistillConfig(**PULL), epochs=0.12, learning_rate=4e-3, weight_decay=0.02
    ),
    "embedding_teacher": replace(EMBEDDING_SCOUT, title="embedding teacher", epochs=0.2),
    "streaming_base": Rung(
        "streaming base",
        STREAMING_BASE,
        replace(FROM_TEACHER, **PULL),
        epochs=0.1,
        learning_rate=4e-3,
        weight_decay=0.02,
    ),
    "streaming_small": Rung(
        "streaming small", STREAMING_SMALL, FROM_TEACHER, 0.6, learning_rate=1.5e-2, weight_decay=0.02
    ),
}

# The same networks for a word that was typed: begun as an ear, and trained briefly, for they know the synthetic voices soon.
# Trainings that began alike are averaged; so the base begins as the mean of its teachers, and is taught by them for an epoch.
FROM_EARS = {
    "ear_teacher": Rung(
        "teacher from the ear", STREAMING_BASE, None, 0.02, learning_rate=2e-3, weight_decay=0.02, ear="base"
    ),
    "streaming_base": Rung(
        "streaming base", STREAMING_BASE, FROM_TEACHER, 0.01, learning_rate=1e-3, weight_decay=0.02, ear="ear_teacher"
    ),
    "streaming_middle": Rung(
        "streaming middle",
        STREAMING_MIDDLE,
        FROM_TEACHER,
        0.03,
        learning_rate=4e-3,
        weight_decay=0.02,
        ear="ear_teacher",
    ),
    "streaming_small": Rung(
        "streaming small", STREAMING_SMALL, FROM_TEACHER, 0.15, learning_rate=1.5e-2, weight_decay=0.02
    ),
}
PACKED_FROM_EARS = {"streaming_middle": "int8"}
"""Of these, stored packed at once. The base would miss a little more as int8 (docs/log.md)."""
TOGETHER = {"ear_teacher": 4}
"""Trainings whose weights are averaged: they end near each other, and err on different words."""

CONTROL_ORDER = (
    *("rnn_from_labels", "rnn_from_layers", "rnn", "rnn_from_both"),
    *("beyond_from_labels", "beyond_from_logits", "beyond_from_both", "beyond"),
)
"""What students learn from, as tables show it: the RNN, then the smallest network."""
SMALL_STEPS = ("rnn", "rnn_fp16_unpacked", "rnn_fp16", "rnn_int8", "beyond")
"""The steps after the smaller GRU, as tables show them."""


@dataclass(frozen=True)
class Stored:
    """A network that is another, stored otherwise: of which, as what, packed or not."""

    title: str
    source: str
    storage: str
    packed: bool


STORED = {
    "rnn_fp16_unpacked": Stored("3: float16, not packed", "rnn", "float16", False),
    "rnn_fp16": Stored("3: float16", "rnn", "float16", True),
    "rnn_int8": Stored("3: int8", "rnn", "int8", True),
}
SEARCHED_INT8 = {f"{name}_int8": Stored(f"{rung.title}, int8", name, "int8", True) for name, rung in SEARCHED.items()}
STORED |= SEARCHED_INT8


def titles(*names: str) -> dict[str, str]:
    """What tables and pictures call networks."""
    every = RUNGS | FROM_EARS | STREAMS | STORED
    return {name: every[name].title for name in names}
