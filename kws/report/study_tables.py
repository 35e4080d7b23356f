"""Tables of a study's clips: its splits, its seeds one by one, what fires on noise alone, the files that are handed out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate
from torch import Tensor

from kws.checkpoint import load_model, load_provenance
from kws.cost import size_in_bytes
from kws.data.audio import to_float
from kws.evaluate import probabilities
from kws.research.conditions import noise_alone
from kws.research.measured import Quality, quality
from kws.research.networks import titles
from kws.research.study import KINDS, Study
from kws.split import SUBSETS, shared_speakers
from kws.targets import Targets


def corpus_line(study: Study) -> str:
    """What the corpus holds, in a line."""
    corpus, keyword = study.corpus, study.keyword
    return (
        f"corpus {corpus.name}: {len(corpus.clips):,} clips of {len(corpus.words)} words by {len(corpus.speakers):,} speakers, "
        f"{corpus.labels(keyword).sum():,} of them {keyword!r}; {len(corpus.noise_paths)} noises"
    )


def split_table(study: Study) -> str:
    """Clips of each subset of each split, and how many of them have a speaker who is also in train."""
    labels, rows = study.corpus.labels(study.keyword).numpy(), []
    for kind, split in study.splits.items():
        for subset in SUBSETS:
            shared, size = shared_speakers(study.corpus, split, subset)
            share, keywords = f"{shared / size:.1%}", labels[split[subset]].sum()
            rows.append([kind, subset, size, keywords, share, split.fingerprint[:12]])
    heads = ["split", "subset", "clips", "keyword clips", "speaker also in train", "fingerprint"]
    return tabulate(rows, heads)


def mean_quality(study: Study, name: str) -> dict[str, Quality]:
    """By kind of split, the mean over the seeds of a network."""
    return {kind: quality([study.judged(name, kind, seed) for seed in study.seeds(name)]) for kind in KINDS}


def mean_table(found: dict[str, Quality]) -> str:
    """The mean over seeds with its 95 % bootstrap interval over clips, and how much harder unknown speakers are."""
    rows = []
    for kind, q in found.items():
        values = [
            "{:.2e} [{:.2e}, {:.2e}]".format(*value) for value in (q.one_minus_auc, q.au_fa_fr, q.at_speech_commands)
        ]
        rows.append([kind, q.seeds, f"{q.clips:,} ({q.keyword_clips})", *values, f"{q.spread:.1e}"])
    heads = ["split", "seeds", "test clips (keyword)", "1 - AUC", "AU_FA_FR", "AU_FA_FR at SC prevalence"]
    ratio = found["speaker-disjoint"].times(found["published"])
    return (
        tabulate(rows, [*heads, "spread of seeds (1 - AUC)"])
        + f"\n\nOn unknown speakers 1 - AUC is {ratio:.2f} times that of the published split."
    )


def noise_table(study: Study, names: Sequence[str], kinds: Sequence[str] = ("published",)) -> str:
    """Share of the seconds of each noise recording, without any word, in which networks (seed 0) reach p = 0.5."""
    models = {(name, kind): study.model(name, kind) for name in names for kind in kinds}
    rows = []
    for recording, pieces in noise_alone(study.corpus).items():
        fired = [(probabilities(model, pieces) >= 0.5).float().mean() for model in models.values()]
        rows.append([recording, len(pieces), *(f"{share:.1%}" for share in fired)])
    called = titles(*names)
    heads = [called[name] if len(kinds) == 1 else f"{called[name]}, {kind} split" for name, kind in models]
    return tabulate(rows, ["noise", "pieces of 1 s", *heads])


def targets_table(targets: Targets) -> str:
    """What a teacher gives of each layer: steps, components, and when the steps end."""
    rows = []
    for name, said in targets.layers.items():
        ends = targets.ends[name]
        rows.append([name, *said.shape[2:], f"{ends[0]:.0f} .. {ends[-1]:.0f}"])
    return tabulate(rows, ["teacher's layer", "steps", "components", "frames at which steps end"])


def files_table(files: Sequence[Path]) -> str:
    """The checkpoints that are handed out, as they are."""
    rows = []
    for path in files:
        about = load_provenance(path)
        kind = type(load_model(path)).__name__
        rows.append([path.name, kind, about.seed, size_in_bytes(path), about.metrics["test 1-AUC"]])
    heads = ["file", "network", "seed", "bytes of the state dict", "test 1 - AUC"]
    return tabulate(rows, heads, floatfmt=("", "", "", ",", ".6f"), intfmt=",")


def shown_clips(study: Study, keyword_clips: int = 2, others: int = 3) -> tuple[Tensor, Tensor, list[str]]:
    """Clips to look at, some of the keyword and then some others: waveforms, log-mels and words."""
    labels = study.corpus.labels(study.keyword).numpy()
    chosen = []
    for label, count in ((1, keyword_clips), (0, others)):
        found = np.flatnonzero(labels == label)
        chosen.append(found[np.linspace(0, len(found) - 1, count).astype(int)])  # spread over the corpus
    clips = np.concatenate(chosen)
    words = [study.corpus.clips[i].word for i in clips]
    return to_float(study.clips.waveforms[clips]), study.clips.log_mel[clips], words
