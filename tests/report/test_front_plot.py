"""The picture of the front: who is drawn, and through which trials the line goes."""

import matplotlib.pyplot as plt

from kws.report.front_plot import lowest, plot_front
from kws.research.front import Placed


def test_the_line_goes_through_what_no_cheaper_one_betters():
    points = [
        Placed("a", 100, 2.0),
        Placed("b", 50, 3.0),
        Placed("c", 200, 2.5),
        Placed("d", 400, 1.0),
        Placed("e", 50, 3.5),
    ]
    assert [point.name for point in lowest(points)] == ["b", "a", "d"]
    assert lowest([]) == []


def test_networks_have_their_names_and_hopeless_trials_are_left_out():
    rows = [Placed("base", 900, 1.0), Placed("peer_gru_1789", 500, 1.2), Placed("smallest", 80, 1.2)]
    trials = [Placed("1", 70, 2.0), Placed("2", 90, 9.0)]
    figure = plot_front(rows, trials, ["smallest"], "a heading")
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {"base", "smallest"}
    drawn = [len(line.get_xdata()) for line in axes.get_lines()]
    assert drawn.count(1) >= 4  # one trial, as a dot, in the line and on the front; each network; none of the hopeless
    assert "front end included" in axes.get_xlabel()
    plt.close(figure)
    plt.close(plot_front(rows, [], [], "without a search"))
