"""Every table of the notebooks as numbers, one value a cell: ``docs/results/*.csv``, whose README names the columns.

``python -m kws.report.results OLD NEW`` tells where the tables of two folders differ.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

from kws.checkpoint import load_model, load_provenance
from kws.cost import size_in_bytes
from kws.data.storage import replacing
from kws.evaluate import probabilities
from kws.metrics import at_prevalence, au_fa_fr, one_minus_auc
from kws.report.columns import Row, called, cell, quality_columns, with_interval
from kws.report.tables import BARS
from kws.report.timing import Latency
from kws.research import conditions
from kws.research.audit import Unheard
from kws.research.measured import Measured, Quality
from kws.research.records import read_record
from kws.research.ruler import Ruled
from kws.research.study import KINDS, Study
from kws.split import SUBSETS, shared_speakers
from kws.targets import Targets

PUBLISHED, BUILT = Path("docs/results"), Path("build/results")
# Tables that no notebook writes.
KEPT = ("epoch_time", "memory", "published", "search", "synthetic_base", "synthetic_streams", "training_time")
# Columns that no rerun repeats.
TIMINGS = {"latency": ("ms", "times_as_fast"), "stream_time": ("ms_for_a_second",)}


def write(study: Study, name: str, rows: Sequence[Row]) -> Path:
    """Write a table to ``<name>.csv``, whole or not at all. Raises ``ValueError`` if its rows differ in their columns."""
    columns = list(rows[0]) if rows else []
    if any(list(row) != columns for row in rows):
        raise ValueError(f"{name}: all rows must have the columns {', '.join(columns)}")
    path = (PUBLISHED if study.settings.publish else BUILT) / f"{name}.csv"
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, *(row.values() for row in rows)])
    return path


def read(path: str | Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def differences(old: str | Path, new: str | Path) -> list[str]:
    """Where the tables of two folders differ, a line each; rows are compared in their order. Timings and ``KEPT`` are left out."""
    found = []
    names = {path.stem for folder in (old, new) for path in Path(folder).glob("*.csv")}
    for name in sorted(names - set(KEPT)):
        files = [Path(folder) / f"{name}.csv" for folder in (old, new)]
        if absent := [path for path in files if not path.exists()]:
            found.append(f"{absent[0]}: there is no such file")
            continue
        # By their order, so that a network under another title is still compared.
        before, after = map(read, files)
        if len(before) != len(after):
            found.append(f"{name}.csv: {len(before)} rows, now {len(after)}")
        for number, (one, other) in enumerate(zip(before, after, strict=False), 1):
            for column in dict.fromkeys([*one, *other]):
                values = [row.get(column, "no such column") for row in (one, other)]
                if values[0] != values[1] and column not in TIMINGS.get(name, ()):
                    found.append(f"{name}.csv, row {number}, {column}: {values[0]!r}, now {values[1]!r}")
    return found


def split(study: Study) -> list[Row]:
    """Clips of each subset of each split, and the share of them whose speaker is also in train."""
    labels, rows = study.corpus.labels(study.keyword).numpy(), []
    for kind, parts in study.splits.items():
        for subset in SUBSETS:
            shared, size = shared_speakers(study.corpus, parts, subset)
            counts = {"clips": size, "keyword_clips": int(labels[parts[subset]].sum())}
            share = {"speaker_also_in_train_percent": cell(shared / size, ".1%")}
            rows.append({"split": kind, "subset": subset, **counts, **share, "fingerprint": parts.fingerprint[:12]})
    return rows


def base_by_seed(study: Study, name: str = "base") -> list[Row]:
    """Each seed of a network on its test clips."""
    rows = []
    for kind in KINDS:
        for seed in study.seeds(name):
            p, y = study.judged(name, kind, seed)
            area = one_minus_auc(p, y)
            areas = {"au_fa_fr": cell(au_fa_fr(p, y), ".2e"), "one_minus_auc": cell(area, ".6f")}
            areas |= {"au_fa_fr_at_sc_prevalence": cell(at_prevalence(area), ".2e")}
            errors = {"errors_at_half_percent": cell(((p >= 0.5) != y).mean(), ".2%")}
            record = read_record(study.path(name, kind, seed))
            kept = record.best_epoch if record else ""
            rows.append({"split": kind, "seed": seed, **areas, **errors, "epoch_kept": kept})
    return rows


def base(found: dict[str, Quality]) -> list[Row]:
    """By kind of split, the mean over the seeds of a network."""
    rows = []
    for kind, q in found.items():
        counts = {"seeds": q.seeds, "clips": q.clips, "keyword_clips": q.keyword_clips}
        spread = f"{float(f'{q.spread:.1e}'):g}" if q.seeds > 1 else ""
        rows.append({"split": kind, **counts, **quality_columns(q, ".2e"), "spread_of_seeds": spread})
    return rows


def noise_alone(study: Study, names: Sequence[str], kinds: Sequence[str] = ("published",)) -> list[Row]:
    """Share of the seconds of noise alone in which networks (seed 0) reach p = 0.5; a column names what there are several of."""
    models = {(name, kind): study.model(name, kind) for name in names for kind in kinds}
    rows = []
    for recording, pieces in conditions.noise_alone(study.corpus).items():
        for (name, kind), model in models.items():
            which = ({"network": called(name)} if len(names) > 1 else {}) | ({"split": kind} if len(kinds) > 1 else {})
            fired = (probabilities(model, pieces) >= 0.5).float().mean().item()
            noise = {"noise": recording, "seconds": len(pieces)}
            rows.append({**noise, **which, "seed": 0, "fire_percent": cell(fired, ".1%")})
    return rows


def base_files(paths: Sequence[Path]) -> list[Row]:
    """Checkpoints that are handed out, with the seed of each and what it was measured at."""
    rows = []
    for path in paths:
        about = load_provenance(path)
        area = cell(about.metrics["test 1-AUC"], ".6f")
        rows.append({"file": path.name, "seed": about.seed, "bytes": size_in_bytes(path), "one_minus_auc": area})
    return rows


def files(paths: Sequence[Path]) -> list[Row]:
    """Checkpoints that are handed out, and their bytes."""
    kinds = [type(load_model(path).config).__name__ for path in paths]
    return [{"file": p.name, "config": c, "bytes": size_in_bytes(p)} for p, c in zip(paths, kinds, strict=True)]


def teacher_layers(targets: Targets) -> list[Row]:
    """What a teacher gives of each layer: steps, components, and the frames at which the first and last step end."""
    rows = []
    for name, said in targets.layers.items():
        steps, components = said.shape[2:]
        first, last = (f"{targets.ends[name][step]:.0f}" for step in (0, -1))
        ends = {"first_step_ends_frame": first, "last_step_ends_frame": last}
        rows.append({"layer": name, "steps": steps, "components": components, **ends})
    return rows


def cost(rows: Sequence[Measured]) -> list[Row]:
    """Size, multiply-accumulates, rates against the base, and score of networks; then the same of whole detectors."""
    found = []
    for r in rows:
        sizes = {"parameters": r.parameters, "bytes": r.bytes, "bytes_of_values": r.value_bytes}
        macs = {"macs_thop": r.macs, "macs_exact": r.exact_macs}
        rates = {"compression": f"{r.compression:.3f}", "speed_up": f"{r.speedup:.3f}", "score_of_7": f"{r.score:.3f}"}
        whole = {"multiplications_front_end": r.whole.front_end, "multiplications_all_in": r.multiplications}
        whole |= {"bytes_all_in": r.whole.bytes, "compression_all_in": f"{r.whole_compression:.3f}"}
        found.append(
            {"network": r.title, **sizes, **macs, **rates, **whole, "speed_up_all_in": f"{r.whole_speedup:.3f}"}
        )
    return found


def ruler(rows: Sequence[Ruled]) -> list[Row]:
    """Networks against the base on the same clips, by split and condition, with intervals over speakers."""
    found = []
    for r in rows:
        counts = {"seeds": r.seeds, "clips": r.clips, "keyword_clips": r.keyword_clips, "speakers": r.paired.speakers}
        areas = {"one_minus_auc": f"{r.paired.one_minus_auc:.2e}", "one_minus_auc_of_base": f"{r.paired.of_other:.2e}"}
        times = with_interval("times_base", (r.paired.ratio, r.paired.low, r.paired.high), ".3f", ".3f")
        missed = {"missed_percent": cell(r.missed, ".2%"), "missed_percent_by_base": cell(r.missed_by_other, ".2%")}
        which = {"network": r.network, "split": r.split, "condition": r.condition}
        found.append({**which, **counts, **areas, **times, **missed})
    return found


def audit(rows: Sequence[Unheard]) -> list[Row]:
    """Keyword clips that no network hears, with the reason."""
    found = []
    for r in rows:
        said = {"networks_asked": r.asked, "highest_probability": f"{r.highest:.3f}", "level_db": f"{r.level_db:.1f}"}
        near = {"nearest_word": r.nearest, "place_of_keyword": r.place, "reason": r.reason}
        found.append({"clip": r.clip, "splits": r.splits, **said, **near})
    return found


def quality(
    rows: Sequence[Measured], condition: str = "as recorded", base: Sequence[Measured] = (), kinds: Sequence = KINDS
) -> list[Row]:
    """Networks on test clips, split by split; ``times_base`` is against the one named "base", in ``base`` or the rows."""
    first = next((r.quality for r in [*base, *rows] if r.name == "base"), {})
    found = []
    for kind in kinds:
        for r in [r for r in rows if kind in r.quality]:
            q = r.quality[kind]
            times = cell(q.times(first[kind]), ".2f") if kind in first else ""
            which = {"network": r.title, "split": kind, "condition": condition, "seeds": q.seeds}
            found.append(which | quality_columns(q) | {"spread_of_seeds": cell(q.spread, ".1e"), "times_base": times})
    return found


def controls(recorded: Sequence[Measured], noisy: Sequence[Measured], snr_db: float = 5.0) -> list[Row]:
    """Networks on test clips as recorded and, without the base, in noise."""
    in_noise = f"noise at {snr_db:g} dB SNR"
    both = [quality(recorded, kinds=[kind]) + quality(noisy, in_noise, kinds=[kind]) for kind in KINDS]
    return [row for rows in both for row in rows]


def bars(rows: Sequence[Measured], kind: str = "published") -> list[Row]:
    """What was to be reached on a kind of split, what was, and whether all of a step's bars were held."""
    found, reached = {r.name: r for r in rows}, []
    most_of_base = found["base"].quality[kind].at_speech_commands[0]
    for name, bar in BARS.items():
        r = found[name]
        area, most = r.quality[kind].at_speech_commands[0], min(bar.times_base * most_of_base, bar.at_speech_commands)
        held = r.compression >= bar.compression and r.speedup >= bar.speedup and area <= most
        rates = {"compression": f"{r.compression:.3f}", "compression_least": bar.compression}
        rates |= {"speed_up": f"{r.speedup:.3f}", "speed_up_least": bar.speedup}
        areas = {"au_fa_fr_at_sc_prevalence": f"{area:.2e}", "au_fa_fr_at_sc_prevalence_most": f"{most:.2e}"}
        told = {"score_of_7": f"{r.score:.3f}", "held": "yes" if held else "no"}
        reached.append({"step": r.title, **rates, **areas, **told})
    return reached


def latency(latencies: Sequence[Latency]) -> list[Row]:
    """Milliseconds of a call; ``times_as_fast`` is against the first network in the same runtime."""
    rows, first = [], {}
    for t in latencies:
        of_first = first.setdefault((t.runtime, t.batch, t.front_end), t.milliseconds)
        case = {"clips_in_a_call": t.batch, "front_end": "yes" if t.front_end else "no"}
        case |= {"network": called(t.model), "runtime": t.runtime}
        rows.append({**case, "ms": f"{t.milliseconds:.3f}", "times_as_fast": f"{of_first / t.milliseconds:.1f}"})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Tell where the tables of two folders differ, but for timings.")
    parser.add_argument("old", help="folder of CSV files, such as docs/results of another commit")
    parser.add_argument("new", help="another one, such as build/results")
    options = parser.parse_args()
    found = differences(options.old, options.new)
    print("\n".join(found) or "no differences")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
