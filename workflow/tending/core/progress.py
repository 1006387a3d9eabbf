"""Progress bars in the logs of jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress(total: int, unit: str, done: int = 0) -> Iterator[Callable[..., None]]:
    """Show a progress bar in the job's log.

    Call the yielded function with the number of items just done and any figures to show.
    """
    with tqdm(
        total=total, initial=done, unit=f" {unit}", mininterval=1.0, ascii=True, ncols=100
    ) as bar:

        def advance(number: int = 1, **figures: float) -> None:
            if figures:
                bar.set_postfix({k: f"{v:.3f}" for k, v in figures.items()}, refresh=False)
            bar.update(number)

        yield advance
