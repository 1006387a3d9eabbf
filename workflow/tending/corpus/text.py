"""The user's own text files, tokenised with the models' tokenizer or a named one."""

from pathlib import Path

from tokenizers import Tokenizer

from tending.corpus import CorpusError, Tokens, joined, windows

END_OF_TEXT_NAMES = ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>")


def files(path: Path) -> list[Path]:
    """The text files of a corpus: the file itself, or every file below a folder, sorted.

    Hidden files are left out. Raises CorpusError if there is none.
    """
    if path.is_file():
        return [path]
    inside = sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path)))
    if not inside:
        raise CorpusError(f"{path} is neither a text file nor a folder of text files")
    return inside


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read(paths: list[Path]) -> list[str]:
    """One document per file, in UTF-8; CorpusError names a file that is something else."""
    documents = []
    for path in paths:
        try:
            documents.append(path.read_text("utf-8"))
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path} is not text in UTF-8 ({error}); convert or remove it"
            ) from None
    return documents


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer.json, or the one in a checkpoint folder."""
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.exists():
        raise CorpusError(
            f"{file} does not exist; name a tokenizer.json or a folder that holds one in "
            f"`corpus.tokenizer`"
        )
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the only type that tokenizers raises
        raise CorpusError(f"{file} is not a tokenizer ({error}); copy it again") from None


def probe(
    documents: list[str], tokenizer: Tokenizer, sequences: int, length: int, seed: int
) -> Tokens:
    """Probe sequences from all documents, (sequences, length), without special tokens added."""
    encoded = [e.ids for e in tokenizer.encode_batch(documents, add_special_tokens=False)]
    separators = [tokenizer.token_to_id(name) for name in END_OF_TEXT_NAMES]
    known = [separator for separator in separators if separator is not None]
    return windows(joined(encoded, known[0] if known else None), length, sequences, seed)
