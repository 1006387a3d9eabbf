"""Which training batches belong to a checkpoint. Standard library only: planning asks too."""


def window(step: int, within: int, end: int) -> list[int]:
    """Steps of the training batches at most `within` from a checkpoint, ascending.

    end: how many updates the training has. Update t uses the batch of step t, counted from 0, and
    leads from checkpoint t to checkpoint t + 1, so that the last batch is that of step end - 1.
    What is before 0 or after the last does not exist and is left out.
    """
    return list(range(max(0, step - within), min(step + within, end - 1) + 1))
