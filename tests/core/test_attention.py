"""What is wrong with thousands of files is said in a few sentences, and what is left out is counted."""

from __future__ import annotations

import pickle

from dedupd.core.attention import FOLDERS, LETTERS, SENTENCES, Trouble, Troubles, capped, gathered


def stays(path: str, kind: str = "no space") -> Trouble:
    return Trouble(path, f"{path} stays: no room for {path}", kind)


def test_one_is_said_as_it_is() -> None:
    assert gathered([stays("2024/06/a.jpg")]) == ["2024/06/a.jpg stays: no room for 2024/06/a.jpg"]


def test_many_for_one_reason_are_one_sentence_a_folder() -> None:
    told = gathered([stays(f"2019/06/{n}.jpg") for n in range(312)] + [stays("2019/07/b.jpg")])
    assert told == [
        "312 in 2019/06 for the same reason, first: 2019/06/0.jpg stays: no room for 2019/06/0.jpg",
        "2019/07/b.jpg stays: no room for 2019/07/b.jpg",
    ]


def test_other_reasons_are_told_apart() -> None:
    told = gathered([stays("a/1.jpg"), stays("a/2.jpg", "busy"), stays("a/3.jpg"), stays("a/4.jpg", "busy")])
    assert len(told) == 2
    assert all(sentence.startswith("2 in a") for sentence in told)


def test_without_a_kind_the_sentence_without_its_path_is_the_reason() -> None:
    folders = [Trouble(f"2019/{n}", f"/p/2019/{n} cannot be read (Permission denied)") for n in range(50)]
    folders.append(Trouble("2019/x", "/p/2019/x cannot be read (Input/output error)"))
    assert [sentence.split(" ")[0] for sentence in gathered(folders)] == ["50", "/p/2019/x"]


def test_the_same_reason_in_many_folders_is_one_sentence() -> None:
    few = [stays(f"{folder}/{n}.jpg") for folder in range(FOLDERS) for n in range(2)]
    assert len(gathered(few)) == FOLDERS
    (told,) = gathered([stays(f"{folder}/{n}.jpg") for folder in range(5000) for n in range(2)])
    assert told.startswith("10000 in 5000 folders for the same reason, first: 0/0.jpg stays")


def test_the_top_folder_has_a_name() -> None:
    assert gathered([stays("a.jpg"), stays("b.jpg")])[0].startswith("2 in the top folder")


def test_of_very_many_sentences_the_first_are_told_and_the_rest_is_counted() -> None:
    assert capped(["b", "", "a", "b"]) == ["b", "a"]
    many = [f"sentence {n}" for n in range(SENTENCES)]
    assert capped(many) == many
    told = capped([*many, "one", "two"])
    assert told[:-1] == many
    assert told[-1].startswith("and 2 more")


def test_no_sentence_is_endless() -> None:
    (told,) = capped(["x" * 5000])
    assert len(told) == LETTERS + 1


def test_of_many_alike_only_the_first_is_held() -> None:
    found = Troubles()
    for number in range(1000):
        found.add(stays(f"2019/06/{number}.jpg"))
    assert len(pickle.dumps(found)) < 400
    assert found.sentences() == gathered(stays(f"2019/06/{number}.jpg") for number in range(1000))
