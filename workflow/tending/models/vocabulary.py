"""How many tokens there are: what embeddings have rows for, apart from their padding."""

from pathlib import Path


def count(tokenizer: Path) -> int:
    """Tokens of a tokenizer.json: the largest id, added tokens included, plus 1.

    Raises ValueError if it is no tokenizer.json.
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
