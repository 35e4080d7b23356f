"""Every picture stands alone: title, axes with units, known names, and no text on another or on a curve."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from pictures import NETWORKS, PICTURES, cost, said, scene

from kws.report import stream_plots
from kws.report.cost_plots import spread
from kws.report.style import group_of, reader_name


@pytest.fixture(params=PICTURES, ids=lambda make: make.__name__, scope="module")
def picture(request):
    """A figure, what must stand at its axes, and the texts that are drawn."""
    figure, drawn, real = request.param(), {}, Text.draw

    def draw(self, renderer):
        drawn[id(self)] = self
        return real(self, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", draw)
        figure.canvas.draw()
    yield figure, PICTURES[request.param], [t for t in drawn.values() if t.get_visible() and t.get_text().strip()]
    plt.close(figure)


def outline(text: Text) -> Path:
    """The corners of a text, a pixel within, also where it is turned about its anchor."""
    turned = text.get_rotation() % 90 != 0
    angle = text.get_rotation()
    if turned:
        assert text.get_rotation_mode() == "anchor"
        text.set_rotation(0)
    box = text.get_window_extent().padded(-1)
    corners = np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1), (box.x0, box.y0)])
    if turned:
        x, y = text.get_transform().transform(text.get_unitless_position())
        text.set_rotation(angle)
        corners = Affine2D().rotate_deg_around(x, y, angle).transform(corners)
    return Path(corners)


def test_it_has_a_title_and_units_at_its_axes(picture):
    figure, expected, texts = picture
    said = [text.get_text() for text in texts]
    assert figure.get_suptitle() or any(axes.get_title() for axes in figure.axes)
    for label in expected:
        assert any(label in text for text in said), f"{label!r} is not among {said}"


def test_no_text_lies_on_another(picture):
    _, _, texts = picture
    outlines = [(text.get_text(), outline(text)) for text in texts]
    assert len(outlines) > 5
    for (one, first), (other, second) in combinations(outlines, 2):
        assert not first.intersects_path(second, filled=True), f"{one!r} lies on {other!r}"


def test_no_text_lies_on_a_curve(picture):
    """Texts are outside of the panels, but for the counts above bars, which begin where those end."""
    figure, _, texts = picture
    for axes in figure.axes:
        inside = Path(np.array(axes.bbox.padded(-2).corners())[[0, 2, 3, 1, 0]])
        bars = [bar.get_window_extent() for bar in axes.patches]
        for text in texts:
            if bars and text.axes is axes and "/" in text.get_text():
                assert not any(bar.height > 0 and bar.overlaps(text.get_window_extent().padded(-1)) for bar in bars)
            else:
                assert not outline(text).intersects_path(inside, filled=True), f"{text.get_text()!r} is on a panel"


def test_names_are_those_a_reader_knows(picture):
    _, _, texts = picture
    for text in texts:
        for name in (*NETWORKS, "streaming_base", "streaming_small", "embedding_teacher", "recurrent.0"):
            assert "_" not in name or name not in text.get_text()


def test_it_is_legible_where_it_is_shown_800_pixels_wide():
    figure = cost()
    figure.canvas.draw()
    pixels_a_point = 800 / (72 * figure.get_figwidth())
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) * pixels_a_point >= 11
    plt.close(figure)


def test_networks_of_one_cost_are_apart_and_in_order():
    figure = cost()
    figure.canvas.draw()
    top = figure.axes[0]
    markers = [line for line in top.lines if line.get_marker() in ("o", "s") and len(line.get_xdata()) == 1]
    places = sorted(top.transData.transform((line.get_xdata()[0], 1))[0] for line in markers)
    assert len(places) == len(NETWORKS)
    assert np.diff(places).min() >= 14  # pixels at 100 a inch: twice a marker
    plt.close(figure)


def test_places_move_no_more_than_they_must():
    np.testing.assert_allclose(spread(np.array([1.0, 5.0, 3.0]), 1.0), [1, 5, 3])
    np.testing.assert_allclose(spread(np.array([2.0, 2.0, 2.0]), 1.0), [1, 2, 3])
    np.testing.assert_allclose(spread(np.array([0.0, 0.5, 9.0]), 1.0), [-0.25, 0.75, 9])
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.random(8)
        places = spread(values, 0.1)
        assert np.diff(np.sort(places)).min() >= 0.1 - 1e-9
        assert (np.argsort(places) == np.argsort(values)).all()


def test_labels_become_names():
    assert reader_name("gru_small, seed 0") == "smaller GRU, seed 0"
    assert reader_name("recurrent.0 from recurrent.1") == "recurrent layer 1 from recurrent layer 2"
    assert reader_name("labels only (from scratch)") == "labels only (from scratch)"
    assert group_of("streaming_small, seed 12") == "streaming small"
    assert group_of("published, seed 0") == "published"


def test_a_trace_detects_as_its_detector():
    heard = scene()
    trace = stream_plots.Trace.of(Always(said(heard, 0)), heard.waveform, 0.8, 2)
    assert len(trace.detections) >= 8
    assert trace.seconds[0] == pytest.approx(0.2)
    assert all(found.probability >= 0.8 for found in trace.detections)


class Always:
    """Says the same to all."""

    step_samples, first_sample = 1_280, 3_200

    def __init__(self, probabilities: np.ndarray):
        self.probabilities = probabilities

    def __call__(self, waveform: torch.Tensor) -> np.ndarray:
        return self.probabilities
