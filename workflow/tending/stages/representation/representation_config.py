"""What a study may name in `representation`, and where that lies."""

from collections.abc import Iterator, Mapping
from typing import Any

from tending.core import plugins, provenance

OWN = "tending.metrics.representation"
SPECTRUM = "tending.metrics.spectrum"


def package(name: str) -> str:
    """The package that holds a metric of activations: its own kind, or singular values."""
    return OWN if name in plugins.names(OWN) else SPECTRUM


def known() -> list[str]:
    """Every name that `representation` may list."""
    spectra = [name for name in plugins.names(SPECTRUM) if not _of_one_matrix(name)]
    return sorted([*plugins.names(OWN), *spectra])


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Names in `representation` that mean nothing there, or need more sequences."""
    for name in config.get("representation") or []:
        if name in plugins.names(OWN):
            yield from _lack(name, config["corpus"]["sequences"])
            continue
        if name not in plugins.names(SPECTRUM):
            yield (
                f"representation: unknown metric {name!r}; available: {', '.join(known())} (a new "
                f"one would be workflow/tending/metrics/representation/{name}.py)"
            )
        elif _of_one_matrix(name):
            yield (
                f"representation: {name} needs a matrix of weights as it is stored, which "
                f"activations are not; name it in `spectrum`"
            )


def _lack(name: str, sequences: int) -> Iterator[str]:
    """Whether a metric needs more sequences than there are, at however many positions."""
    least = plugins.load(OWN, name, "representation metric").METRIC.least
    if sequences < least:
        yield (
            f"representation: {name} needs at least {least} sequences, but the study has "
            f"{sequences}; raise `corpus.sequences` or leave the metric out"
        )


def codes(config: Mapping[str, Any]) -> list[str]:
    """`metric hash` for every metric of `representation`, in the config's order."""
    wanted = config.get("representation") or []
    return [f"{name} {provenance.code_hash(f'{package(name)}.{name}')}" for name in wanted]


def _of_one_matrix(name: str) -> bool:
    return bool(plugins.load(SPECTRUM, name, "spectrum metric").METRIC.one_matrix)
