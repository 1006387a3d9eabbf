"""The stage that measures activations alone: there when it is asked for, and computed by metric."""

from collections import Counter
from collections.abc import Callable

from studies import FIGURES, Workplace

from tending.core import tables

OWN = Counter({"representation": 6, "representation_table": 1, "study_config": 1, "report": 1})


def test_a_metric_that_is_added_computes_only_itself(copied: Callable[..., Workplace]) -> None:
    workplace = copied().configure(representation=["anisotropy"])
    assert workplace.finish().jobs == OWN
    workplace.configure(
        representation=["anisotropy", "effective_rank"],
        figures=[*FIGURES, "representation_by_step"],
    )
    assert workplace.finish().jobs == OWN + Counter({"figure_representation_by_step": 1})
    log = (workplace.results / "logs/representation/a/step2.log").read_text("utf-8")
    assert "kept: anisotropy; computing: effective_rank" in log
    table = tables.read(workplace.results / "tables/representation.parquet")
    assert set(table["quantity"]) == {"anisotropy", "effective_rank"}
    assert workplace.planned() == Counter()
