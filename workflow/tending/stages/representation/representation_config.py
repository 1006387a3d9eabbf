"""Metrics that a study may name in `representation`, and the packages they are in."""

from collections.abc import Iterator, Mapping
from typing import Any

from tending.core import plugins, provenance

OWN = "tending.metrics.representation"
SPECTRUM = "tending.metrics.spectrum"


def package(name: str) -> str:
    """Return the package of a metric of activations: `representation`, else `spectrum`."""
    return OWN if name in plugins.names(OWN) else SPECTRUM


def known() -> list[str]:
    """Return every name that `representation` may list."""
    spectra = [name for name in plugins.names(SPECTRUM) if not _of_one_matrix(name)]
    return sorted([*plugins.names(OWN), *spectra])


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield problems with names in `representation`: unknown, inapplicable, too few sequences."""
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
    """Yield a problem if a metric needs more sequences than there are, whatever the positions."""
    least = plugins.load(OWN, name, "representation metric").METRIC.least
    if sequences < least:
        yield (
            f"representation: {name} needs at least {least} sequences, but the study has "
            f"{sequences}; raise `corpus.sequences` or leave the metric out"
        )


def codes(config: Mapping[str, Any]) -> list[str]:
    """Return `metric hash` for every metric of `representation`, in the config's order."""
    wanted = config.get("representation") or []
    return [f"{name} {provenance.code_hash(f'{package(name)}.{name}')}" for name in wanted]


def _of_one_matrix(name: str) -> bool:
    return bool(plugins.load(SPECTRUM, name, "spectrum metric").METRIC.one_matrix)
