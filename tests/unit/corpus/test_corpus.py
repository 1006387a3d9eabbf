"""Probe tokens: nested windows, the user's own texts and matrices, the embedded corpus."""

from pathlib import Path

import golden
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tending.corpus import (
    VERSION,
    CorpusError,
    Probe,
    Wanted,
    embedded,
    joined,
    text,
    tokens,
    tokens_sha256,
    windows,
)

PROSE = (
    "The singular values of a matrix are the square roots of the eigenvalues of its Gram matrix."
)
OTHER = (
    "A rotation of the representation leaves every similarity of Gram matrices exactly as it was."
)

# Windows of a stream


@given(
    length=st.integers(1, 12),
    available=st.integers(1, 40),
    rest=st.integers(0, 11),
    seed=st.integers(0, 1000),
    share=st.floats(0, 1),
)
def test_windows_are_cut_from_the_stream_without_overlap(
    length: int, available: int, rest: int, seed: int, share: float
) -> None:
    stream = np.arange(length * available + min(rest, length - 1))
    count = round(share * available)
    rows = windows(stream, length, count, seed)
    assert rows.shape == (count, length) and rows.dtype == np.int32
    assert np.array_equal(rows, rows[:, :1] + np.arange(length))  # neighbours stay neighbours
    assert np.unique(rows).size == rows.size  # no token is in two windows


@given(few=st.integers(0, 30), more=st.integers(0, 30), seed=st.integers(0, 1000))
def test_a_larger_count_keeps_the_windows_of_a_smaller(few: int, more: int, seed: int) -> None:
    stream, count = np.arange(300), min(few + more, 30)
    assert np.array_equal(
        windows(stream, 10, count, seed)[: min(few, count)],
        windows(stream, 10, min(few, count), seed),
    )


def test_the_seed_draws_the_windows() -> None:
    stream = np.arange(1000)
    assert np.array_equal(windows(stream, 10, 50, 1), windows(stream, 10, 50, 1))
    assert not np.array_equal(windows(stream, 10, 50, 1), windows(stream, 10, 50, 2))


def test_too_small_a_corpus_says_how_small() -> None:
    message = r"has 59 tokens, enough for 5 sequences of 10; the study requests 6 .*corpus\.seq"
    with pytest.raises(CorpusError, match=message):
        windows(np.arange(59), 10, 6, 0)


def test_documents_are_joined_with_a_separator_after_each() -> None:
    assert joined([[1, 2], [], [3]], 0).tolist() == [1, 2, 0, 0, 3, 0]
    assert joined([[1, 2], [3]], None).tolist() == [1, 2, 3]
    assert joined([], 0).shape == (0,)
    assert joined([[1]], None).dtype == np.int32


def test_the_hash_is_of_values_and_shape() -> None:
    rows = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert tokens_sha256(rows) == tokens_sha256(rows.copy(order="F"))
    assert tokens_sha256(rows) == tokens_sha256(rows.astype(">i4"))
    assert tokens_sha256(rows) != tokens_sha256(rows.reshape(3, 2))
    assert tokens_sha256(rows) != tokens_sha256(rows + np.int32(1))


# The user's own texts


def test_a_file_or_every_file_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "inner/c.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert text.text_files(tmp_path / "b.txt") == [tmp_path / "b.txt"]
    assert text.files({"path": str(tmp_path / "b.txt")}, "any") == [str(tmp_path / "b.txt")]
    inside = [tmp_path / "a.md", tmp_path / "b.txt", tmp_path / "inner" / "c.txt"]
    assert text.text_files(tmp_path) == inside
    assert text.read(inside) == ["a.md", "b.txt", "inner/c.txt"]


def test_files_in_hidden_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_bytes(b"\xff\xfe")
    (tmp_path / "a.txt").write_text("a")
    assert text.text_files(tmp_path) == [tmp_path / "a.txt"]


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_no_text_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="neither a text file nor a folder of text files"):
        text.text_files(tmp_path / name)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt is not text in UTF-8 .*convert or remove"):
        text.read(text.text_files(tmp_path))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return embedded.train_tokenizer([PROSE, OTHER] * 3)


def test_a_tokenizer_is_a_file_or_in_a_folder(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        assert text.load_tokenizer(path).to_str() == tokenizer.to_str()


@pytest.mark.parametrize("name", ["other.json", "."])
def test_a_missing_tokenizer_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=r"json does not exist; .*`corpus\.tokenizer`"):
        text.load_tokenizer(tmp_path / name)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CorpusError, match=r"tokenizer\.json"):
        text.load_tokenizer(tmp_path)


def probe_texts(folder: Path, tokenizer: Tokenizer, wanted: Wanted) -> Probe:
    """Probe PROSE and OTHER as files of a corpus."""
    paths = [folder / "1.txt", folder / "2.txt"]
    for path, document in zip(paths, (PROSE, OTHER), strict=True):
        path.write_text(document)
    tokenizer.save(str(folder / "tokenizer.json"))
    return text.probe(paths, folder / "tokenizer.json", wanted)


def test_texts_are_probed_with_separators_between(tmp_path: Path, tokenizer: Tokenizer) -> None:
    separator = tokenizer.token_to_id(embedded.END_OF_TEXT)
    stream = [i for p in (PROSE, OTHER) for i in [*tokenizer.encode(p).ids, separator]]
    probe = probe_texts(tmp_path, tokenizer, Wanted(1, len(stream), context=4096))
    assert (probe.tokens.tolist(), probe.warning) == ([stream], "")


def test_a_text_is_cut_to_the_context_with_a_warning(tmp_path: Path, tokenizer: Tokenizer) -> None:
    probe = probe_texts(tmp_path, tokenizer, Wanted(2, 9, context=8))
    assert probe.tokens.shape == (2, 8)
    assert "`corpus.length` 9 cut to 8" in probe.warning
    assert probe_texts(tmp_path, tokenizer, Wanted(2, None, context=8)).tokens.shape == (2, 8)


def test_a_text_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"name one in `corpus\.tokenizer`"):
        text.probe([tmp_path / "1.txt"], None, Wanted(1, 8, context=8))


def test_without_a_known_separator_there_is_none(tmp_path: Path, tokenizer: Tokenizer) -> None:
    plain = Tokenizer.from_str(tokenizer.to_str().replace(embedded.END_OF_TEXT, "[END]"))
    stream = [i for p in (PROSE, OTHER) for i in plain.encode(p).ids]
    probe = probe_texts(tmp_path, plain, Wanted(1, len(stream), context=4096))
    assert probe.tokens.tolist() == [stream]


# A matrix of tokens

ROWS = np.arange(40, dtype=np.uint16).reshape(4, 10)


@pytest.mark.parametrize(("length", "kept"), [(None, 10), (10, 10), (6, 6), (1, 1)])
def test_the_first_rows_cut_to_the_length(length: int | None, kept: int) -> None:
    probe = tokens.first_rows(ROWS, Wanted(3, length, context=64))
    assert probe.tokens.dtype == np.int32
    assert np.array_equal(probe.tokens, ROWS[:3, :kept])
    assert probe.warning == ""


def test_rows_longer_than_the_context_are_cut_with_a_warning() -> None:
    """Rows of 2049 tokens must become 2048 before the last position is what the model knows."""
    probe = tokens.first_rows(np.zeros((2, 2049), np.int32), Wanted(2, None, context=2048))
    assert probe.tokens.shape == (2, 2048)
    assert "rows of 2049 tokens cut to 2048" in probe.warning
    probe = tokens.first_rows(ROWS, Wanted(2, 9, context=8))
    assert probe.tokens.shape == (2, 8)
    assert "rows of 9 tokens cut to 8" in probe.warning


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.arange(5), r"shape \(5,\) and type int64; expected two"),
        (np.zeros((4, 10)), "type float64; expected .* integers"),
        (np.zeros((4, 10), bool), "type bool"),
        (np.zeros((2, 10), int), "has 2 rows; the study requests 3"),
        (np.zeros((4, 5), int), "has 5 columns; `corpus.length` is 8"),
        (np.full((4, 10), -1), "must be 0 or more, found -1 to -1"),
        (np.full((4, 10), 2**31), "found 2147483648 to"),
    ],
)
def test_a_matrix_that_is_none_of_tokens_is_refused(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        tokens.first_rows(matrix, Wanted(3, 8, context=64))


# The embedded corpus


def source(*docstrings: str) -> str:
    return "\n".join(f'def f{i}():\n    """{d}"""\n' for i, d in enumerate(docstrings))


def test_prose_is_taken_with_its_white_space_folded() -> None:
    wrapped = PROSE.replace(" of ", "\n        of  ")
    assert embedded.paragraphs(source(wrapped)) == [PROSE]
    assert embedded.paragraphs(source(wrapped).replace('"""', "'''")) == [PROSE]


def test_every_paragraph_stands_alone() -> None:
    assert embedded.paragraphs(source(f"{PROSE}\n\n    {OTHER}\n   \n{PROSE}")) == [
        PROSE,
        OTHER,
        PROSE,
    ]


@pytest.mark.parametrize(
    "block",
    [
        "Too short to be prose.",
        PROSE.removesuffix("."),  # a heading or a list item has no end
        f">>> {PROSE}",
        f"Example::\n    {PROSE}",
        f"Parameters\n----------\n{PROSE}",
        f"```\n{PROSE}",
        "x = 1 + 2 * 3 / 4 - 5 ** 6 % 7 // 8 @ 9 | 10 & 11 ^ 12 << 13 >> 14 == 15 != 16 <= 17.",
        "Antidisestablishmentarianism" * 4 + " in few very long words it is said.",
    ],
)
def test_what_is_not_prose_is_left_out(block: str) -> None:
    assert embedded.paragraphs(source(block)) == []
    assert embedded.paragraphs(source(f"{block}\n\n{OTHER}")) == [OTHER]


def test_comments_and_code_are_left_out() -> None:
    assert embedded.paragraphs(f"# {PROSE}\nx = '{PROSE}'\n") == []


def package(folder: Path, name: str, files: dict[str, str]) -> None:
    for file, content in {"__init__.py": "", **files}.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_documents_are_files_and_no_paragraph_comes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "prose_one", {"b.py": source(PROSE, OTHER, PROSE), "a.py": source(OTHER)})
    package(tmp_path, "prose_two", {"inner/c.py": source(PROSE), "d.py": source(PROSE + " Yes.")})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(embedded, "PACKAGES", ("prose_one", "prose_two"))
    assert embedded.documents() == {
        "prose_one/a.py": OTHER,
        "prose_one/b.py": PROSE,
        "prose_two/d.py": PROSE + " Yes.",
    }


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PACKAGES", ("no_such_package",))
    with pytest.raises(CorpusError, match="'no_such_package' is not installed"):
        embedded.documents()


def study_prose(files: int) -> dict[str, str]:
    rng = np.random.default_rng(0)
    return {f"package/{i}.py": f"{i} " * int(rng.integers(50, 400)) for i in range(files)}


def test_the_split_shares_no_file_and_holds_out_a_twentieth() -> None:
    prose = study_prose(600)
    train, held_out = embedded.split(prose)
    assert sorted(train + held_out) == sorted(prose.values())
    assert not set(train) & set(held_out)
    share = sum(map(len, held_out)) / sum(map(len, prose.values()))
    assert share == pytest.approx(0.05, abs=0.005)
    assert embedded.split(dict(reversed(prose.items())))[1] == held_out[::-1]


def test_a_new_file_hardly_moves_the_split() -> None:
    prose = study_prose(600)
    before = set(embedded.split(prose)[1])
    after = set(embedded.split({**prose, "package/new.py": "a new file of prose"})[1])
    assert len(before ^ after) <= 2


def test_the_tokenizer_is_lossless_and_the_same_every_time(tokenizer: Tokenizer) -> None:
    again = embedded.train_tokenizer([PROSE, OTHER] * 3)
    assert again.to_str(pretty=True) == tokenizer.to_str(pretty=True)
    for sentence in (PROSE, "caf\u00e9 \u03c4\u2265\U0001f600\n\ttabs  and   spaces"):
        assert tokenizer.decode(tokenizer.encode(sentence).ids) == sentence
    assert tokenizer.get_vocab_size() <= embedded.VOCABULARY
    assert tokenizer.token_to_id(embedded.END_OF_TEXT) == 0  # the model's bos and eos


def test_the_tokenizer_fills_its_vocabulary_from_enough_text() -> None:
    rng = np.random.default_rng(1)
    syllables = ["".join(map(chr, rng.integers(97, 123, 3))) for _ in range(400)]
    words = ["".join(rng.choice(syllables, 3)) for _ in range(3000)]
    trained = embedded.train_tokenizer([" ".join(words)])
    assert trained.get_vocab_size() == embedded.VOCABULARY


def test_the_stream_is_documents_and_separators(tokenizer: Tokenizer) -> None:
    stream = embedded.encode(tokenizer, [PROSE, OTHER])
    documents = tokenizer.decode(stream.tolist(), skip_special_tokens=False)
    assert documents == PROSE + embedded.END_OF_TEXT + OTHER + embedded.END_OF_TEXT
    assert stream.dtype == np.int32


def test_golden_corpus() -> None:
    """Tokenizer, stream and windows of a small text that the rules of prose accept."""
    words = [
        "layer",
        "weight",
        "rank",
        "step",
        "model",
        "norm",
        "value",
        "token",
        "score",
        "circuit",
    ]
    draw = np.random.default_rng(5)
    sentences = [" ".join(draw.choice(words, 16)).capitalize() + "." for _ in range(400)]
    source = '"""' + "\n\n".join(sentences) + '"""'
    prose = embedded.paragraphs(source)
    train, held_out = embedded.split({f"p/{i}.py": text for i, text in enumerate(prose)})
    tokenizer = embedded.train_tokenizer(train)
    stream = embedded.encode(tokenizer, held_out)
    numbers = {
        "paragraphs": [len(prose), len(train), len(held_out)],
        "stream": [stream.size, *stream[:200].tolist()],
        "windows": windows(stream, 16, 8, seed=0).ravel().tolist(),
        "cut": tokens.first_rows(np.arange(60).reshape(6, 10), Wanted(4, 8, 5))
        .tokens.ravel()
        .tolist(),
    }
    golden.check("corpus", "corpus/__init__.py", VERSION, numbers, rtol=0)
