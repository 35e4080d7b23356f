"""The networks of this study: their sizes, the rates that they reach whatever their training, and recipes that fit them."""

import pytest

from kws.checkpoint import Provenance, save_model
from kws.compress import fold_batch_norm
from kws.cost import count_macs, count_parameters, size_in_bytes
from kws.model import build
from kws.report.tables import BARS
from kws.research.networks import FROM_EARS, PACKED, PACKED_FROM_EARS, RUNGS, STORED, STREAMS, titles
from kws.research.scene_objective import EMBEDDING

PUBLISHED = {  # name: parameters and speed-up as published
    "peer_rnn_2546": (2546, 8.507),
    "peer_gru_1789": (1789, 10.92),
    "peer_gru_3294": (3294, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_peers_have_the_published_sizes(name):
    parameters, speedup = PUBLISHED[name]
    model = build(RUNGS[name].config)
    assert count_parameters(model) == parameters
    if speedup:
        base = count_macs(build(RUNGS["base"].config))
        assert base / count_macs(model) == pytest.approx(speedup, abs=0.005)


def test_steps_reach_their_rates(tmp_path):
    """Of the network's shape alone: bytes and MACs do not depend on training."""

    def costs(name: str) -> tuple[int, int]:
        source, storage, packed = name, PACKED.get(name, "float32"), name in PACKED
        if name in STORED:
            source, storage, packed = STORED[name].source, STORED[name].storage, STORED[name].packed
        model = fold_batch_norm(build(RUNGS[source].config).eval())
        about = Provenance("low", "tones", "0" * 64, "published", 0, 0, {})
        save_model(tmp_path / "m.pt", model, about, storage, packed)
        return size_in_bytes(tmp_path / "m.pt"), count_macs(model)

    base = costs("base")
    assert set(BARS) == {"gru_small", "rnn", "rnn_fp16", "beyond"}
    for name, bar in BARS.items():
        size, macs = costs(name)
        assert base[0] / size >= bar.compression, name
        assert base[1] / macs >= bar.speedup, name


def test_recipes_name_layers_that_exist():
    teacher = dict(build(RUNGS["teacher"].config).named_modules())
    for name, rung in RUNGS.items():
        if rung.learns and rung.learns.layers:
            student = dict(build(rung.config).named_modules())
            for mine, other in rung.learns.pairs:
                assert mine in student, name
                assert other in teacher, name


def test_streams_are_pulled_towards_the_embedding_by_layers_that_exist():
    pulled = {name: rung for name, rung in STREAMS.items() if rung.learns and rung.learns.layers}
    assert set(pulled) == {"streaming_teacher", "streaming_base"}
    for rung in pulled.values():
        layers = dict(build(rung.config).named_modules())
        assert all(mine in layers and other == EMBEDDING for mine, other in rung.learns.pairs)


def test_every_network_can_be_built_and_has_a_title_of_its_own():
    every = RUNGS | STREAMS
    for rung in every.values():
        assert count_parameters(build(rung.config)) > 0
    called = titles(*RUNGS, *STORED)
    assert list(called) == [*RUNGS, *STORED]
    assert len(set(called.values())) == len(called)
    assert len(set(titles(*STREAMS).values())) == len(STREAMS)
    with pytest.raises(KeyError):
        titles("base", "nobody")


def test_forms_of_storage_are_of_networks_that_are_trained():
    for form in STORED.values():
        assert form.source in RUNGS
        assert form.source not in PACKED  # it is read in full and stored anew
    assert set(PACKED) <= set(RUNGS)
    assert set(PACKED_FROM_EARS) <= set(FROM_EARS)
