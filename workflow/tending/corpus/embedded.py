"""Technical English available on every machine: docstrings of the pinned scientific packages.

Nothing is downloaded and no text is kept in the project. The same package versions give the
same corpus, whose hash is recorded. A document is the prose of one source file; whole files
are held out. Near-duplicates on both sides of the split are possible, because packages quote
each other.
"""

import hashlib
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tending.core import paths
from tending.corpus import CorpusError, Probe, Tokens, Wanted, joined, windows_within

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REQUIRED = ()
OPTIONAL = ()
TOKENIZER = False
PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "sympy", "torch", "transformers")
END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 1024
HELD_OUT_SHARE = 0.05  # of the characters

_STRING = re.compile(r'("""|\'\'\')(.*?)\1', re.DOTALL)
_CODE = (">>>", "::", "```", "---")


def documents() -> dict[str, str]:
    """Collect prose by source file (package/path.py), in sorted order, one paragraph per line."""
    seen: set[str] = set()
    prose: dict[str, str] = {}
    for package in PACKAGES:
        folder = _package_folder(package)
        for file in sorted(folder.rglob("*.py"), key=lambda p: p.relative_to(folder).as_posix()):
            fresh = [p for p in paragraphs(file.read_text("utf-8", "ignore")) if p not in seen]
            fresh = list(dict.fromkeys(fresh))
            seen.update(fresh)
            if fresh:
                prose[f"{package}/{file.relative_to(folder).as_posix()}"] = "\n".join(fresh)
    return prose


def paragraphs(source: str) -> list[str]:
    """Extract prose paragraphs from a source's triple-quoted strings, white space folded."""
    found = []
    for _, text in _STRING.findall(source):
        for block in re.split(r"\n\s*\n", text):
            if not any(mark in block for mark in _CODE):
                paragraph = " ".join(block.split())
                if _is_prose(paragraph):
                    found.append(paragraph)
    return found


def _is_prose(paragraph: str) -> bool:
    if len(paragraph) < 80 or paragraph[-1] not in ".:!?)" or paragraph.count(" ") < 11:
        return False
    letters = sum(c.isalpha() or c == " " for c in paragraph)
    return letters >= 0.88 * len(paragraph)


def split(prose: dict[str, str]) -> tuple[list[str], list[str]]:
    """Split into training and held-out documents; files are held out by a hash of their name.

    A new file in a package therefore moves no other file across the split.
    """
    budget = HELD_OUT_SHARE * sum(map(len, prose.values()))
    held_out: set[str] = set()
    for name in sorted(prose, key=lambda n: hashlib.sha256(n.encode()).digest()):
        if budget <= 0:
            break
        held_out.add(name)
        budget -= len(prose[name])
    train = [text for name, text in prose.items() if name not in held_out]
    return train, [text for name, text in prose.items() if name in held_out]


def train_tokenizer(texts: list[str]) -> "Tokenizer":
    """Train a byte-level BPE of VOCABULARY entries on `texts`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: "Tokenizer", texts: list[str]) -> Tokens:
    """Encode texts as one stream of tokens, separated by END_OF_TEXT."""
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    return joined(encoded, tokenizer.token_to_id(END_OF_TEXT))


def files(corpus: Mapping[str, Any], study: str) -> list[str]:
    """Return the corpus file that the workflow builds itself."""
    return [paths.EMBEDDED_CORPUS.format(study=study)]


def probe(files: list[Path], tokenizer: Path | None, wanted: Wanted) -> Probe:
    """Draw windows of the held-out stream."""
    from tending.core import store

    stream = store.read_arrays(files[0], ["held_out"]).arrays["held_out"]
    return windows_within(stream, wanted)


def _package_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(f"package {package!r} is not installed; run `make run` to install it")
    return Path(spec.submodule_search_locations[0])
