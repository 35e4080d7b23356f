"""CRNNs with a front end of their own, cheaper than the usual one: importing this file makes them known to checkpoints."""

from dataclasses import dataclass
from typing import Any

from kws.data.spectrum import Spectrum
from kws.features import USUAL, LogMel, front_end_of
from kws.model import CRNN, ConfigError, CRNNConfig, register
from kws.research import minimal_gated  # noqa: F401  (makes "mgu" known)


@dataclass(frozen=True)
class OwnFrontConfig(CRNNConfig):
    """A ``CRNNConfig`` whose log-mel has frames of its own.

    Attributes:
        spectrum: the frames; a checkpoint holds them as a dict.
    """

    spectrum: Spectrum | dict[str, Any] = USUAL

    def __post_init__(self) -> None:
        if isinstance(self.spectrum, dict):
            try:
                object.__setattr__(self, "spectrum", Spectrum(**self.spectrum))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"spectrum is {self.spectrum}: {error}") from error
        super().__post_init__()


class OwnFrontCRNN(CRNN):
    """``model(log_mel)``: a log-mel of its own front end (batch, n_mels, frames) to logits (batch, classes)."""

    def __init__(self, config: OwnFrontConfig = OwnFrontConfig()):
        super().__init__(config)


register(OwnFrontConfig, OwnFrontCRNN)


def own_front_end(config: Any) -> LogMel | None:
    """The front end of a network that has its own; None is the usual one."""
    return front_end_of(config) if isinstance(config, OwnFrontConfig) else None
