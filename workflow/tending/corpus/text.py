"""The user's own text files, tokenised with the models' tokenizer or a named one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tending.corpus import CorpusError, Probe, Wanted, joined, windows_within

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REQUIRED = ("path",)
OPTIONAL = ("tokenizer",)
TOKENIZER = True
END_OF_TEXT_NAMES = ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>")


def files(corpus: Mapping[str, Any], study: str) -> list[str]:
    """Return the text files named by `corpus.path`."""
    return [str(file) for file in text_files(Path(corpus["path"]))]


def text_files(path: Path) -> list[Path]:
    """List the text files of a corpus: the file itself, or every file below a folder, sorted.

    Hidden files are left out. Raises CorpusError if there are none.
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
    """Read one document per file; raise CorpusError naming a file that is not text in UTF-8."""
    documents = []
    for path in paths:
        try:
            documents.append(path.read_text("utf-8"))
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path} is not text in UTF-8 ({error}); convert or remove it"
            ) from None
    return documents


def load_tokenizer(path: Path) -> "Tokenizer":
    """Load a tokenizer.json, or the one in a checkpoint folder."""
    from tokenizers import Tokenizer

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


def probe(files: list[Path], tokenizer: Path | None, wanted: Wanted) -> Probe:
    """Draw windows of all documents' tokens."""
    return windows_of(lambda: read(files), tokenizer, wanted)


def windows_of(documents: Callable[[], list[str]], tokenizer: Path | None, wanted: Wanted) -> Probe:
    """Draw windows of all documents' tokens, without the special tokens a tokenizer may add."""
    if tokenizer is None:
        raise CorpusError("a text needs a tokenizer; name one in `corpus.tokenizer`")
    bpe = load_tokenizer(tokenizer)
    encoded = [e.ids for e in bpe.encode_batch(documents(), add_special_tokens=False)]
    separators = [bpe.token_to_id(name) for name in END_OF_TEXT_NAMES]
    known = [separator for separator in separators if separator is not None]
    return windows_within(joined(encoded, known[0] if known else None), wanted)
