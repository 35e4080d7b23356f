"""What the pictures of streams show of the study's models: traces of a stream, and curves of misses against false alarms."""

from collections.abc import Sequence

from kws.report.stream_plots import Trace
from kws.research.hearing import NEAR, Hearing
from kws.research.networks import titles
from kws.research.stream_choice import SMOOTHING
from kws.streaming.scoring import WorkingPoint


def traces_of(tests: Hearing, scene: str) -> dict[str, Trace]:
    """What the chosen students say to a scene, with their shipped thresholds."""
    found = {}
    for name in tests.study.students:
        chosen = tests.chosen(name)
        tests.hear({chosen: tests.listeners[chosen]}, [scene])
        listener, threshold = tests.listeners[chosen], tests.study.choice.thresholds[name]
        p = tests.said(chosen, scene)
        found[titles(name)[name]] = Trace(p, listener.step_samples, listener.first_sample, threshold, SMOOTHING)
    return found


def shown_curves(tests: Hearing, snr_db: int = 10) -> dict[str, Sequence[WorkingPoint]]:
    """Of the chosen students, on words and on words with near words, each with the talk."""
    found = {}
    for group, title in ((f"{snr_db} dB", ""), (f"{snr_db} dB, {NEAR}", f", {NEAR}")):
        for name in tests.study.students:
            found[titles(name)[name] + title] = tests.curves[tests.chosen(name), group]
    return found
