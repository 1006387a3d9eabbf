"""What lies in a folder of weights while a study runs, sampled by a thread."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

PAUSE = 0.002  # seconds between samples, so that the sampled run has the processor


@dataclass
class Samples:
    """Samples of results/STUDY/weights, taken while a `with` block runs.

    sizes: how often so many checkpoints were there at once; arriving: how often one was on its way
    beside one that was whole; seen: all that ever were there.
    """

    weights: Path
    sizes: Counter[int] = field(default_factory=Counter)
    arriving: int = 0
    seen: set[str] = field(default_factory=set)
    ended: Event = field(default_factory=Event)

    def __enter__(self) -> "Samples":
        self.thread = Thread(target=self._sample)
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.ended.set()
        self.thread.join()
        print(self)

    def __str__(self) -> str:
        shares = ", ".join(f"{n}: {count}" for n, count in sorted(self.sizes.items()))
        return (
            f"{self.sizes.total()} samples; checkpoints at once and how often: {shares}; "
            f"{self.arriving} with one on its way beside a whole one; {len(self.seen)} in all"
        )

    def _sample(self) -> None:
        before = self._listed()
        while not self.ended.wait(PAUSE):
            # A listing is not taken in one moment. What was there before and after it was there.
            now = self._listed()
            both = {name.split(".")[0] for name in before} & {name.split(".")[0] for name in now}
            self.sizes[len(both)] += 1
            self.seen |= both
            coming = {n.split(".")[0] for n in before & now if n.endswith(".incoming")}
            whole = {n for n in before & now if "." not in n}
            self.arriving += bool(coming and whole)
            before = now

    def _listed(self) -> set[str]:
        found = set()
        for model in self.weights.glob("[!.]*"):
            try:
                found |= {f"{model.name}/{path.name}" for path in model.iterdir()}
            except FileNotFoundError:
                continue
        return found

    @property
    def most(self) -> int:
        return max(self.sizes, default=0)
