"""What is kept beside weights: it reads as it was written, and tells whose weights they are."""

import json

import pytest
import torch

from kws.checkpoint import Provenance, save_model
from kws.model import CRNN, CRNNConfig
from kws.research.records import Record, is_trained, read_record, recipe_of, record_path, write_record

HISTORY = [
    {"epoch": 1, "loss": 0.125, "validation_loss": 3.0e-7, "seconds": 2.0},
    {"epoch": 2, "loss": 0.0625, "validation_loss": 1.5e-7, "seconds": 3.0},
]


@pytest.fixture
def weights(tmp_path):
    """A network of the split "abc" by the recipe "r"."""
    path = tmp_path / "rnn-published-0.pt"
    torch.manual_seed(0)
    save_model(path, CRNN(CRNNConfig(hidden=4, layers=1)), Provenance("low", "tones", "abc", "published", 0, 0, {}))
    write_record(path, Record("r", 2, HISTORY))
    return path


def test_what_is_written_is_read(tmp_path):
    for record in (Record("r", 2, HISTORY), Record("r", 0, []), Record("r", 1, HISTORY[:1], "of another run")):
        write_record(tmp_path / "a.pt", record)
        assert read_record(tmp_path / "a.pt") == record
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_numbers_have_six_digits(tmp_path):
    write_record(tmp_path / "a.pt", Record("r", 1, [{"epoch": 1, "loss": 0.123456789, "seconds": 1234567.8}]))
    assert read_record(tmp_path / "a.pt").history == [{"epoch": 1, "loss": 0.123457, "seconds": 1234570.0}]


@pytest.mark.parametrize("content", ["", "{", "[1]", "7", '{"recipe": "r"}', '{"recipe": "r", "best_epoch": 1}'])
def test_what_is_no_record_is_none(tmp_path, content):
    assert read_record(tmp_path / "a.pt") is None
    (tmp_path / "a.json").write_text(content)
    assert read_record(tmp_path / "a.pt") is None


def test_columns_of_different_length_are_no_record(weights):
    content = json.loads(record_path(weights).read_text())
    content["history"]["loss"].pop()
    record_path(weights).write_text(json.dumps(content))
    assert read_record(weights) is None


def test_weights_are_known_by_split_and_recipe(weights):
    assert is_trained(weights, "abc", "r")
    assert not is_trained(weights, "abd", "r")
    assert not is_trained(weights, "abc", "another")
    record_path(weights).unlink()
    assert not is_trained(weights, "abc", "r")


@pytest.mark.parametrize("left", [0, 500, None])
def test_damaged_or_missing_weights_are_not_trained(weights, left):
    content = weights.read_bytes()
    weights.unlink()
    if left is not None:
        weights.write_bytes(content[:left])
    assert not is_trained(weights, "abc", "r")


def test_recipes_differ_where_anything_does():
    shapes = (CRNNConfig(), CRNNConfig(hidden=20))
    recipes = {recipe_of(shape, epochs, views) for shape in shapes for epochs in (2, 3) for views in (0, 4)}
    assert len(recipes) == 8
    assert recipe_of(CRNNConfig(), 2, 0) in recipes
