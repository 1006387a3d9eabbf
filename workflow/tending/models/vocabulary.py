"""The number of tokens, which is the number of an embedding's rows without padding."""

from pathlib import Path


def count(tokenizer: Path) -> int:
    """Count the tokens of a tokenizer.json: the largest id, added tokens included, plus 1.

    Raises ValueError if it is not a tokenizer.json.
    """
    from tokenizers import Tokenizer

    try:
        ids = Tokenizer.from_file(str(tokenizer)).get_vocab(with_added_tokens=True).values()
        return max(ids) + 1
    except Exception as error:  # the library raises nothing more specific
        raise ValueError(
            f"{tokenizer} cannot be read as a tokenizer.json ({error}); replace it, or give the "
            f"model `vocabulary`"
        ) from None
