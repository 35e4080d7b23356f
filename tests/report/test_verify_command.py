"""``kws verify`` says of checkpoints what the ruler and the cost tables say of them."""

import pytest
import torch
from conftest import write_networks

from kws.checkpoint import save_model
from kws.cost import count_macs, size_in_bytes
from kws.data.spectrum import Spectrum
from kws.evaluate import provenance
from kws.report.command import main
from kws.research.claim import claims_of, verify
from kws.research.own_front import OwnFrontConfig, OwnFrontCRNN
from kws.research.ruler import UNHEARD_NOISE, ruler
from kws.research.settings import Settings
from kws.research.study import Study

CHEAP = OwnFrontConfig(n_mels=8, spectrum=Spectrum(8_000, 128, 320, 2), kernel=(4, 5), stride=(2, 2), hidden=6)


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("verify"))
        patch.setenv("KWS_JOBS", "1")
        patch.setenv("KWS_CORPUS", str(tone_folder))
        patch.setenv("KWS_KEYWORD", "low")
        patch.setenv("KWS_SEEDS", "2")
        found = Study(Settings.from_environment(cache="cache"))
        write_networks(found, dict.fromkeys(("base", "beyond"), tuple(found.splits)), seeds=3)
        yield found


def test_a_network_of_the_study_is_what_the_ruler_says(study):
    paths = [study.path("beyond", "published", seed) for seed in range(2)]
    claim = verify(study, paths)
    (ruled,) = [r for r in ruler(study, "beyond") if (r.split, r.condition) == ("published", UNHEARD_NOISE)]
    assert claim.noise.ratio == pytest.approx(ruled.paired.ratio)
    (same, _) = claims_of(study, ruler(study, "beyond"), "beyond")
    assert (same.kind, same.costs, same.base, same.missed) == (claim.kind, claim.costs, claim.base, claim.missed)
    assert same.noise.ratio == pytest.approx(claim.noise.ratio)
    assert (claim.kind, claim.seeds) == ("published", 2)
    assert claim.costs.macs == count_macs(study.model("beyond"))
    assert claim.base.bytes == size_in_bytes(study.path("base", "published", 0))
    assert claim.no_loss == (
        claim.noise.ratio <= 1 and claim.noise.high <= 1.15 and claim.missed <= claim.missed_by_base + 0.01
    )


def test_a_network_with_its_own_front_end_is_heard_through_it(study, tmp_path, capsys):
    torch.manual_seed(0)
    path = tmp_path / "cheap.pt"
    save_model(path, OwnFrontCRNN(CHEAP), provenance(study.sets["speaker-disjoint"], 0, {}), "int8", packed=True)
    claim = verify(study, [path])
    assert claim.kind == "speaker-disjoint"
    assert claim.costs.multiplications < claim.base.multiplications / 5
    assert main(["verify", str(path)]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert f"{claim.costs.bytes:,} ({claim.base.bytes / claim.costs.bytes:.1f}x)" in row
    assert f"{claim.noise.ratio:.2f} [" in row


def test_a_checkpoint_of_another_split_is_refused(study, tmp_path, capsys):
    about = provenance(study.sets["published"], 0, {})
    save_model(
        tmp_path / "other.pt", study.model("beyond"), type(about)(**{**vars(about), "split": "0123456789abcdef"})
    )
    assert main(["verify", str(tmp_path / "other.pt")]) == 2
    assert "none of this corpus" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "nowhere.pt")]) == 2
