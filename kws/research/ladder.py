"""The networks of ``experiments.ipynb`` by name, how each is trained, and where its weights go."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from kws.architectures import Config
from kws.checkpoint import load_model, load_provenance, save_model
from kws.compress import fold_batch_norm
from kws.data.storage import replacing
from kws.distill import DistillConfig, Lessons, mean_lessons, teach
from kws.evaluate import judge_checkpoint, provenance
from kws.metrics import au_fa_fr, one_minus_auc
from kws.model import CRNNConfig
from kws.research.settings import Settings
from kws.research.tc_resnet import TCResNetConfig
from kws.train import Run, TrainConfig, train
from kws.views import TrainingData

FROM_LABELS = None
FROM_LOGITS = DistillConfig(labels=0.1, logits=0.9, temperature=2.0)  # the ladder's recipe: the controls say why
FROM_LAYERS = DistillConfig(labels=1.0, logits=0.0, layers=0.1)
FROM_BOTH = replace(FROM_LOGITS, layers=0.1)
FROM_RANKING = replace(FROM_LOGITS, ranking=1.0)
BEYOND_BOTH = replace(
    FROM_BOTH, pairs=(("convolution", "convolution"), ("recurrent.0", "recurrent.1"), ("attention", "attention"))
)
REVERSED = replace(
    FROM_BOTH,
    pairs=(("convolution", "recurrent.1"), ("recurrent.0", "recurrent.0"), ("recurrent.1", "convolution")),
)


@dataclass(frozen=True)
class Rung:
    """One network: what tables call it, its shape, what it learns from, of how many teachers, and how many times the base's epochs it trains."""

    title: str
    config: Config
    learns: DistillConfig | None = FROM_LABELS
    epochs: float = 2.0
    learning_rate: float = 1e-2
    weight_decay: float = 0.01
    teachers: int = 1


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
REFERENCE = {"tc_resnet8": Rung("TC-ResNet8", TCResNetConfig(), epochs=1.0, learning_rate=6e-3)}
RUNGS = BASE | TEACHER | STEPS | SEPARABLE | CONTROLS | REVERSED_CONTROL | PEERS | REFERENCE

STORED = {
    "rnn_fp16_unpacked": ("rnn", "float16", False, "3: float16, not packed"),
    "rnn_fp16": ("rnn", "float16", True, "3: float16"),
    "rnn_int8": ("rnn", "int8", True, "3: int8"),
}
"""Networks that are another, stored otherwise: of which, as what, packed or not, and the title."""
PACKED = {"beyond": "int8"}
"""Networks that are stored packed at once."""


def pick(*names: str) -> dict[str, Rung]:
    """Some of the networks."""
    return {name: RUNGS[name] for name in names}


def titles(*names: str) -> dict[str, str]:
    """What tables call them."""
    return {name: STORED[name][3] if name in STORED else RUNGS[name].title for name in names}


def fit(
    rungs: dict[str, Rung],
    sets: dict[str, TrainingData],
    settings: Settings,
    results: str,
    lessons: dict[tuple[str, int], Lessons] | None = None,
) -> dict[tuple[str, str, int], Run]:
    """Train networks on each split with each seed and save every one, batch norm folded in.

    ``sets`` are by kind of split, ``lessons`` by that and the number of teachers. Finished runs are taken from the cache, so that a killed notebook goes on.
    """
    runs = {}
    for name, rung in rungs.items():
        for kind, data in sets.items():
            for seed in range(TEACHERS if name == "teacher" else settings.seeds):
                config = TrainConfig(
                    epochs=round(settings.epochs * rung.epochs),
                    learning_rate=rung.learning_rate,
                    weight_decay=rung.weight_decay,
                    keep="last" if rung.learns else "best",
                )
                taught = (lessons[kind, rung.teachers], rung.learns) if rung.learns else ()
                run = train(
                    data, rung.config, config, seed, *taught, runs=Path(settings.cache) / "runs", name=f"{name} {kind}"
                )
                runs[name, kind, seed] = run
                path, model = seed_path(results, name, kind, seed), fold_batch_norm(run.model)
                kept = {"validation loss": run.validation_loss}
                save(path, model, data, seed, kept, PACKED.get(name, "float32"), name in PACKED)
    return runs


def save(
    path: Path,
    model: nn.Module,
    data: TrainingData,
    seed: int,
    metrics: dict[str, float],
    storage: str = "float32",
    packed: bool = False,
) -> None:
    """Write a network with the metrics of the test clips that it has as stored."""
    save_model(path, model, provenance(data, seed, metrics), storage, packed)
    p, y = judge_checkpoint(path, data)
    measured = {"test 1-AUC": one_minus_auc(p, y), "test AU_FA_FR": au_fa_fr(p, y)}
    save_model(path, model, provenance(data, seed, measured | metrics), storage, packed)


def store_again(results: str, sets: dict[str, TrainingData], seeds: int) -> None:
    """Save the float16 and int8 forms of finished networks."""
    for name, (source, storage, packed, _) in STORED.items():
        for kind, data in sets.items():
            for seed in range(seeds):
                path = seed_path(results, source, kind, seed)
                kept = {"validation loss": load_provenance(path).metrics["validation loss"]}
                save(seed_path(results, name, kind, seed), load_model(path), data, seed, kept, storage, packed)


def publish_best(results: str, seeds: int, kind: str = "published") -> dict[str, Path]:
    """Copy the seed of lowest validation loss of each student and peer to ``weights/<results>/<name>.pt``."""
    published = {}
    for name in [*STEPS, *STORED, *PEERS, *REFERENCE]:
        paths = [seed_path(results, name, kind, seed) for seed in range(seeds)]
        best = min(paths, key=lambda path: load_provenance(path).metrics["validation loss"])
        published[name] = Path("weights") / results / f"{name}.pt"
        with replacing(published[name]) as temporary:
            shutil.copyfile(best, temporary)
    return published


def teach_all(results: str, sets: dict[str, TrainingData]) -> dict[tuple[str, int], Lessons]:
    """Lessons of each kind of split, of the first saved teacher and of the mean of all, with all layers that some network learns from."""
    layers = sorted({other for rung in RUNGS.values() if rung.learns for _, other in rung.learns.pairs})
    lessons = {}
    for kind, data in sets.items():
        paths = [seed_path(results, "teacher", kind, seed) for seed in range(TEACHERS)]
        first = teach(paths[0], data, layers)
        lessons[kind, 1] = first
        lessons[kind, TEACHERS] = mean_lessons([first, *(teach(path, data) for path in paths[1:])])
    return lessons


def seed_path(results: str, name: str, kind: str, seed: int) -> Path:
    """Where the weights of one seed are."""
    return Path("weights") / results / "seeds" / f"{name}-{kind}-{seed}.pt"
