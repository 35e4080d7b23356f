"""The tables of streams as rows of CSV files: which columns a title becomes, and the digits that are committed."""

import pytest
from conftest import ROOT

from kws.report import results, stream_results
from kws.report.columns import point_columns
from kws.report.timing import StreamCost
from kws.research.hearing import Equality, Saved
from kws.research.networks import titles
from kws.research.stream_choice import Choice, Material
from kws.streaming.scoring import WorkingPoint

HIT = WorkingPoint(0.880604, 274, 24, 0, 0.284, 0.1409)
NONE_ALLOWED = WorkingPoint(0.95, 274, 200, 0, 0.284, 0.2)
MANY = WorkingPoint(0.5, 274, 10, 1, 0.284, -0.001)  # 3.5 false alarms an hour
TALK = WorkingPoint(0.9359, 0, 0, 4, 1.57, float("nan"))
DEAF = WorkingPoint(0.99, 274, 274, 0, 0.284, float("nan"))
BASE, SMALL = titles("streaming_base", "streaming_small").values()
AT_HIT = "0.8806,24,274,8.8,6.0,12.7,0,0.28,0.00,0.00,12.99,0.14"
AT_NONE = "0.9500,200,274,73.0,67.4,77.9,0,0.28,0.00,0.00,12.99,0.20"
AT_MANY = "0.5000,10,274,3.6,2.0,6.6,1,0.28,3.52,0.09,19.62,-0.00"


def lines(rows: list[dict], table: str = "") -> list[str]:
    """Rows as a CSV file has them; they must have the columns of the committed table, if one is named."""
    if table:
        assert {tuple(row) for row in rows} == {tuple(results.read(ROOT / "docs" / "results" / f"{table}.csv")[0])}
    return [",".join(map(str, row.values())) for row in rows]


@pytest.mark.parametrize(
    ("point", "printed"),
    [
        (HIT, AT_HIT),
        (MANY, AT_MANY),
        (TALK, "0.9359,0,0,,,,4,1.57,2.55,0.69,6.52,"),
        (DEAF, "0.9900,274,274,100.0,98.6,100.0,0,0.28,0.00,0.00,12.99,"),
    ],
)
def test_a_working_point_is_printed_as_committed(point, printed):
    assert lines([point_columns(point)]) == [printed]


def test_seeds_on_streams_are_at_the_fewest_misses_that_each_limit_allows():
    curves = {
        ("streaming_base, seed 1", "20 dB"): [NONE_ALLOWED, MANY],
        ("streaming_small, seed 0", "10 dB, near words"): [HIT],
    }
    assert lines(stream_results.stream_test(curves), "stream_test") == [
        f"{BASE},1,20,words,0.5,{AT_NONE}",
        f"{BASE},1,20,words,5,{AT_MANY}",
        f"{SMALL},0,10,near words,0.5,{AT_HIT}",
        f"{SMALL},0,10,near words,5,{AT_HIT}",
    ]


def test_ways_to_stream_are_named():
    rows = stream_results.three_ways({"every last second": [HIT]}, allowed=(0.5, 50))
    assert lines(rows, "stream_three_ways") == [f"every last second,0.5,{AT_HIT}", f"every last second,50,{AT_HIT}"]


def test_shipped_thresholds_on_each_stream():
    found = {("streaming_base", "5 dB"): HIT, ("streaming_base", "10 dB, near words"): HIT}
    found |= {("streaming_small", "talk"): HIT, ("streaming_small", "validation speech"): HIT}
    assert lines(stream_results.shipped(found), "stream_shipped") == [
        f"{BASE},5,words,{AT_HIT}",
        f"{BASE},10,near words,{AT_HIT}",
        f"{SMALL},,talk,{AT_HIT}",
        f"{SMALL},,validation speech,{AT_HIT}",
    ]


def test_two_stages_are_at_the_shipped_threshold_then_at_those_of_the_stream():
    shares = {"10 dB, near words": 0.48, "talk": 0.0188}
    rows = stream_results.two_stages(dict.fromkeys(shares, HIT), shares, {"20 dB": [MANY, NONE_ALLOWED]})
    assert lines(rows, "stream_two_stages") == [
        f"10,near words,48.0,,{AT_HIT}",
        f",talk,1.9,,{AT_HIT}",
        f"20,words,,0.5,{AT_NONE}",
        f"20,words,,5,{AT_MANY}",
    ]


def test_what_was_chosen_and_on_what():
    choice = Choice(
        seeds={"streaming_small": 0, "streaming_base": 1},
        thresholds={},
        scenes=[],
        material=[Material("test", 274, 1535, 1257, 26.6, 0, 0.0)],
        validation={"embedding scout, seed 0": [HIT, MANY], "streaming_base, seed 1": [NONE_ALLOWED, HIT]},
    )
    assert lines(stream_results.stream_sounds(choice), "stream_sounds") == ["test,274,1535,1257,27,0,0"]
    assert lines(stream_results.stream_seed_chosen(choice), "stream_seed_chosen") == [f"{BASE},1", f"{SMALL},0"]
    assert lines(stream_results.stream_validation(choice), "stream_validation") == [
        f"embedding scout,0,0.5,{AT_HIT}",
        f"embedding scout,0,5,{AT_MANY}",
        f"{BASE},1,0.5,{AT_NONE}",
        f"{BASE},1,5,{AT_HIT}",
    ]


def test_equality_files_and_time():
    found = [Equality("streaming_base", "every last second", 3.04e-7, 4.8e-7)]
    assert lines(stream_results.equality(found, 150), "stream_equality") == [
        f"{BASE},every last second,3.0e-07,4.8e-07"
    ]
    saved = [Saved("streaming_small", 16_906, 69_588, 405_757, 1.4e-6)]
    assert lines(stream_results.stream_files(saved), "stream_files") == [f"{SMALL},16906,25.6,69588,405757,1.4e-06"]
    costs = [StreamCost("streaming_base.pt", 0.02, 4.812), StreamCost("streaming_base.pt", 1.0, 0.928)]
    rows = stream_results.stream_time(costs)
    assert lines(rows, "stream_time") == ["streaming_base.pt,20,4.81", "streaming_base.pt,1000,0.93"]
