"""The tables of streams as numbers, for ``kws.report.results.write``: working points, equality, files, time."""

from collections.abc import Sequence

from kws.report.columns import Row, called, cell, point_columns
from kws.report.stream_tables import CLIP_BASE_MACS
from kws.report.timing import StreamCost
from kws.research.hearing import Equality, Saved
from kws.research.networks import FROM_EARS, STREAMS
from kws.research.stream_choice import SHOWN, Choice
from kws.streaming.scoring import WorkingPoint, threshold_for


def listener_columns(title: str) -> Row:
    """Network and seed of a listener, by its title: "streaming_base, seed 0"."""
    name, _, seed = title.partition(", seed ")
    return {"network": called(name), "seed": seed}


def stream_columns(title: str) -> Row:
    """SNR and kind of a stream, by its title: "10 dB", "10 dB, near words", "talk"."""
    snr_db, in_noise, kind = title.partition(" dB")
    if not in_noise:
        return {"snr_db": "", "stream": title}
    return {"snr_db": snr_db, "stream": kind.removeprefix(", ") or "words"}


def fewest_missed(which: Row, curve: Sequence[WorkingPoint], allowed: Sequence[float] = SHOWN) -> list[Row]:
    """A row for each number of false alarms an hour: the point of a curve that misses fewest."""
    return [which | {"at_most_per_hour": f"{most:g}"} | point_columns(threshold_for(curve, most)) for most in allowed]


def stream_sounds(choice: Choice) -> list[Row]:
    """What scenes are made of, by subset."""
    rows = []
    for m in choice.material:
        talk = {"talk_phrases": m.talk_phrases, "talk_minutes": f"{m.talk_minutes:.0f}"}
        recorded = {"recorded_phrases": m.recorded_phrases, "recorded_minutes": f"{m.recorded_minutes:.0f}"}
        rows.append({"subset": m.subset, "keywords": m.keywords, "other_words": m.words, **talk, **recorded})
    return rows


def stream_validation(choice: Choice) -> list[Row]:
    """Working points on validation, when seeds and thresholds were chosen."""
    return [
        listener_columns(listener) | {"at_most_per_hour": f"{most:g}"} | point_columns(point)
        for listener, points in choice.validation.items()
        for most, point in zip(choice.allowed, points, strict=True)
    ]


def stream_seed_chosen(choice: Choice) -> list[Row]:
    """The seed of each student that goes on."""
    return [
        {"network": called(name), "seed": choice.seeds[name]} for name in STREAMS | FROM_EARS if name in choice.seeds
    ]


def three_ways(curves: dict[str, Sequence[WorkingPoint]], allowed: Sequence[float] = (0.5, 5, 50)) -> list[Row]:
    """Working points of ``Hearing.ways``, at thresholds chosen on the stream itself."""
    return [row for way, curve in curves.items() for row in fewest_missed({"way": way}, curve, allowed)]


def stream_test(curves: dict[tuple[str, str], Sequence[WorkingPoint]]) -> list[Row]:
    """Working points of every seed (``Hearing.curves``), at thresholds chosen on the stream itself."""
    return [
        row
        for (listener, group), curve in curves.items()
        for row in fewest_missed(listener_columns(listener) | stream_columns(group), curve)
    ]


def shipped(found: dict[tuple[str, str], WorkingPoint]) -> list[Row]:
    """Working points of ``Hearing.shipped``, at the thresholds chosen on validation."""
    return [
        {"network": called(name)} | stream_columns(scene) | point_columns(point)
        for (name, scene), point in found.items()
    ]


def two_stages(
    fixed: dict[str, WorkingPoint], shares: dict[str, float], curves: dict[str, Sequence[WorkingPoint]]
) -> list[Row]:
    """Working points of ``Hearing.two_stages``: at the shipped threshold, then at those chosen on the stream itself."""
    rows = []
    for scene, point in fixed.items():
        share = {"base_computes_percent": cell(shares[scene], ".1%"), "at_most_per_hour": ""}
        rows.append(stream_columns(scene) | share | point_columns(point))
    for group, curve in curves.items():
        rows += fewest_missed(stream_columns(group) | {"base_computes_percent": ""}, curve)
    return rows


def equality(found: Sequence[Equality], cuttings: int) -> list[Row]:
    """Largest differences in probability of each model, by how it streams."""
    cut, offline = f"largest_difference_{cuttings}_cuttings", "largest_difference_from_offline_600_clips"
    return [
        {"network": called(e.name), "way": e.way, cut: f"{e.cuttings:.1e}", offline: f"{e.offline:.1e}"} for e in found
    ]


def stream_files(saved: Sequence[Saved]) -> list[Row]:
    """The streams' files: what they cost, and TorchScript against ONNX."""
    rows = []
    for s in saved:
        macs = {"macs_thop": s.macs, "speed_up": f"{CLIP_BASE_MACS / s.macs:.1f}"}
        sizes = {"bytes_torchscript": s.torchscript_bytes, "bytes_onnx": s.onnx_bytes}
        rows.append({"network": called(s.name), **macs, **sizes, "largest_difference": f"{s.difference:.1e}"})
    return rows


def stream_time(costs: Sequence[StreamCost]) -> list[Row]:
    """Milliseconds for a second of sound, by file and length of a chunk."""
    return [
        {"file": c.stream, "chunk_ms": f"{c.chunk * 1e3:.0f}", "ms_for_a_second": f"{c.milliseconds:.2f}"}
        for c in costs
    ]
