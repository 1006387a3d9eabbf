"""Which files make up a split: the card's declarations, else the names of folders and files."""

import pytest

from tending.corpus import CorpusError
from tending.corpus._splits import CONVERTED, matches, split_files

SHARDS = [f"data/train-0000{i}-of-00002.parquet" for i in range(2)]


def card(*configs: dict[str, object]) -> dict[str, object]:
    return {"configs": list(configs)}


def found(files: list[str], split: str = "train", config: str | None = None, **kwargs: str):
    return split_files(sorted(files), {}, kwargs.get("revision", "main"), config, split)


@pytest.mark.parametrize(
    ("files", "split", "expected"),
    [
        ([*SHARDS, "data/test-00000-of-00001.parquet"], "train", SHARDS),
        (["data/step1-00000-of-00001.parquet"], "step1", ["data/step1-00000-of-00001.parquet"]),
        (["data/train-001000.parquet", "README.md"], "train", ["data/train-001000.parquet"]),
        (["dev.parquet", "train.parquet"], "validation", ["dev.parquet"]),
        (["test/a.parquet", "train/b.parquet"], "test", ["test/a.parquet"]),
        (["pretrain.parquet", "latest.parquet"], "train", ["latest.parquet", "pretrain.parquet"]),
        ([".cache/train.parquet", "__x/train.parquet", "b.parquet"], "train", ["b.parquet"]),
    ],
)
def test_without_a_card_names_decide(files: list[str], split: str, expected: list[str]) -> None:
    assert found(files, split) == expected


FILES = ["a/0.parquet", "a/1.parquet", "b/train-0.parquet", "b/train-1.parquet", "b/x/2.parquet"]


@pytest.mark.parametrize(
    ("data_files", "expected"),
    [
        ("a/*.parquet", FILES[:2]),
        (["a/1.parquet", "a/0.parquet"], ["a/1.parquet", "a/0.parquet"]),
        ([{"split": "train", "path": "b/train-*"}], FILES[2:4]),
        ([{"split": "train", "path": ["b/**", "a/0.parquet"]}], [*FILES[2:], FILES[0]]),
        ({"train": "**/[02].parquet"}, ["a/0.parquet", "b/x/2.parquet"]),
    ],
)
def test_a_card_declares_files_in_their_order(data_files: object, expected: list[str]) -> None:
    declared = card({"config_name": "default", "data_files": data_files})
    assert split_files(FILES, declared, "main", None, "train") == expected


def test_a_folder_of_a_card() -> None:
    files = ["one/train.parquet", "two/test.parquet", "two/train.parquet"]
    declared = card(
        {"config_name": "one", "data_dir": "one", "default": True},
        {"config_name": "two", "data_dir": "two"},
        {"config_name": "three", "data_dir": "two", "data_files": "te*.parquet"},
    )
    expected = {None: [files[0]], "one": [files[0]], "two": [files[2]], "three": [files[1]]}
    for config, chosen in expected.items():
        assert split_files(files, declared, "main", config, "train") == chosen


def test_the_hubs_own_copy_has_folders_of_configs_and_splits() -> None:
    files = [".gitattributes", "a/train/0000.parquet", "b/partial-train/0000.parquet"]
    assert found(files, config="a", revision=CONVERTED) == [files[1]]
    assert found(files, config="b", revision=CONVERTED) == [files[2]]
    with pytest.raises(CorpusError, match=r"several configs .* `corpus\.config`: a, b"):
        found(files, revision=CONVERTED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SHARDS, {}, "main", "small", "train"), r"no config 'small'; available: default"),
        ((SHARDS, {}, "main", None, "test"), r"no split 'test'; available: train\. .*data/train-0"),
        (
            (["a.parquet"], card({"config_name": "x", "data_files": "b*"}), "main", None, "train"),
            r"no split 'train'; available: none.*files of the repository: a\.parquet",
        ),
        ((["train.jsonl"], {}, "main", None, "train"), r"no Parquet.*train\.jsonl; set `corpus\.r"),
        (
            (SHARDS, card({"data_files": [{"path": "a"}]}), "main", None, "train"),
            r"`data_files` are not of a form .*KeyError\('split'\)",
        ),
        (([], {}, "main", None, "train"), "no split 'train'; available: none"),
        (
            ([f"{i:02}/x.parquet" for i in range(20)], {}, "main", "a", "train"),
            "available: default",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(arguments: tuple, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        split_files(*arguments)


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/b/c.parquet", "a/*.parquet", False),
        ("a/c.parquet", "a/*.parquet", True),
        ("a/b/c.parquet", "a/**/*.parquet", True),
        ("a/c.parquet", "a/**/*.parquet", True),
        ("a/b/c.parquet", "**", True),
        ("a/b/c.parquet", "a/**", True),
        ("c.parquet", "**/c.parquet", True),
        ("a/train-1.parquet", "a/train-[0-9].*", True),
        ("A.parquet", "a.parquet", False),
    ],
)
def test_globs(path: str, pattern: str, expected: bool) -> None:
    assert matches(path, pattern) is expected
