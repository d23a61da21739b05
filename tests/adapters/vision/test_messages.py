"""The wire between daemon and worker: whole messages out of any pieces, nothing out of nonsense."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dedupd
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.reader_messages import FileRead, from_reader
from dedupd.adapters.vision.worker_process import WorkerProcess
from dedupd.core.descriptions import Description
from dedupd.core.photo import FileStat, Measures, Traits, Unreadable

STAT = FileStat(size=1 << 40, mtime_ns=-1, ctime_ns=1 << 62, dev=(1 << 64) - 1, ino=(1 << 64) - 1)
TRAITS = Traits(
    content="c" * 64,
    recipe="1",
    model="",
    format="JPEG",
    width=4,
    height=3,
    phash=(1 << 64) - 1,
    dhash=0,
    captured=1717243200.07,
    camera="Ä|R5|1",
)


@pytest.mark.parametrize(
    "message",
    [
        messages.Ingest(files=[messages.FileToRead(key=7, path=b"/caf\xe9\n.jpg", stat=STAT)]),
        messages.Propose(fresh=["a"], among=None, min_cosine=0.5, bar=None),
        messages.Prove(pairs=[messages.PairToProve(key=0, a="a", b="b", path_a=b"\xff", path_b=b"")]),
    ],
)
def test_requests_arrive_as_sent(message: messages.Message) -> None:
    assert messages.requests.decode(messages.frame(message)[4:]) == message


@pytest.mark.parametrize(
    "message",
    [
        messages.FileIngested(key=1, traits=TRAITS, unreadable=None, decoded=True),
        messages.FileIngested(
            key=2, traits=None, unreadable=Unreadable(reason="no", retry=True), decoded=False
        ),
        messages.Proven(key=3, measures=Measures(extra={"t0": 0.1}), error=""),
        messages.Busy(what="x", begins=False),
    ],
)
def test_replies_arrive_as_sent(message: messages.Message) -> None:
    assert messages.replies.decode(messages.frame(message)[4:]) == message


NUMBER: Any = np.float32(0.5)
NOTHING: Any = None


@pytest.mark.parametrize(
    ("answer", "instead"),
    [
        (
            messages.FileIngested(
                key=1, traits=replace(TRAITS, sharpness=NUMBER), unreadable=None, decoded=True
            ),
            messages.FileIngested(key=1, traits=None, unreadable=Unreadable(reason=""), decoded=True),
        ),
        (
            messages.Proven(key=3, measures=Measures(extra={"t0": NUMBER}), error=""),
            messages.Proven(key=3, measures=None, error=""),
        ),
        (
            messages.Proven(key=3, measures=Measures(extra={"t0": NOTHING}), error=""),
            messages.Proven(key=3, measures=None, error=""),
        ),
        (
            messages.Proven(key=3, measures=None, error="\udcff"),
            messages.Proven(key=3, measures=None, error=""),
        ),
        (messages.Copied(key=4, cosines=[NUMBER]), messages.Copied(key=4, cosines=[])),
        (
            messages.Described(key=5, said=Description(caption="\udcff")),
            messages.Described(key=5, said=Description()),
        ),
    ],
)
def test_an_answer_that_cannot_be_sent_becomes_one_that_says_so(
    answer: messages.Message, instead: messages.Message
) -> None:
    with pytest.raises((TypeError, ValueError)):
        messages.replies.decode(messages.frame(answer)[4:])
    sent = messages.replies.decode(messages.answer_frame(answer)[4:])
    if isinstance(sent, messages.Proven):
        assert sent.error.startswith("could not be told")
        sent = msgspec.structs.replace(sent, error="")
    if isinstance(sent, messages.FileIngested) and sent.unreadable is not None:
        assert sent.unreadable.reason.startswith("could not be told")
        sent = msgspec.structs.replace(sent, unreadable=replace(sent.unreadable, reason=""))
    assert sent == instead


def test_what_a_reading_process_cannot_tell_is_told_of_the_file_alone() -> None:
    found = FileRead(
        content="c", unreadable=None, traits=replace(TRAITS, sharpness=NUMBER), phashes=b"p", within=b"",
        prepared=b"v", small=b"s", look=b"l",
    )  # fmt: skip
    sent = from_reader.decode(messages.answer_frame(found)[4:])
    assert isinstance(sent, FileRead)
    assert sent.unreadable is not None
    assert (sent.content, sent.traits, sent.prepared) == ("c", None, b"")


def test_an_answer_that_can_be_sent_is_sent_as_it_is() -> None:
    for answer in (
        messages.FileIngested(key=1, traits=TRAITS, unreadable=None, decoded=True),
        messages.Proven(key=3, measures=Measures(mean=float("nan"), extra={"t0": 0.1}), error=""),
        messages.Cosines(cosines=[None]),
    ):
        assert messages.answer_frame(answer) == messages.frame(answer)


def test_an_answer_that_is_no_items_is_not_made_up() -> None:
    with pytest.raises(TypeError):
        messages.answer_frame(messages.Cosines(cosines=[NUMBER]))


@given(st.lists(st.integers(0, 1 << 31), max_size=20), st.data())
def test_messages_come_whole_out_of_any_pieces(keys: list[int], data: st.DataObject) -> None:
    stream = b"".join(messages.frame(messages.Begun(key=key)) for key in keys)
    unframer, found = messages.Unframer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        unframer.feed(stream[:size])
        stream = stream[size:]
        while (body := unframer.next()) is not None:
            found.append(messages.replies.decode(body))
    assert found == [messages.Begun(key=key) for key in keys]


def test_a_length_beyond_reason_is_refused_before_it_is_awaited() -> None:
    unframer = messages.Unframer()
    unframer.feed(b"\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="over the limit"):
        unframer.next()


@given(st.binary(max_size=60))
def test_nonsense_is_refused(body: bytes) -> None:
    try:
        message = messages.replies.decode(body)
    except msgspec.DecodeError:
        return
    assert isinstance(message, messages.Message)


def test_the_daemons_end_loads_none_of_the_heavy_libraries() -> None:
    heavy = ["torch", "numpy", "PIL", "cv2", "lancedb", "pyarrow", "onnxruntime", "huggingface_hub", "blake3"]
    program = (
        "import sys; import dedupd.adapters.vision.client, dedupd.adapters.vision.embedders.registry\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    home = os.fspath(Path(dedupd.__file__).parent.parent)
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": home},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"


def test_where_pictures_are_embedded_is_heard_between_two_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = VisionWorker(tmp_path / "index", tmp_path / "cache")
    told = [
        messages.SeesHere(why="nobody answers"),
        messages.Busy(what=messages.ON_CARD, begins=True),
        messages.Done(),
    ]
    stream = b"".join(map(messages.frame, told))
    monkeypatch.setattr(WorkerProcess, "__init__", lambda *given: None)
    process = WorkerProcess("", tmp_path, vision._tell_where)
    process._unframer, process._on_place = messages.Unframer(), vision._tell_where
    process._busy = process._on_card = 0
    process._unframer.feed(stream)
    assert vision.sees_here == ""
    assert process.receive(1.0) == messages.Done() and process._busy == 1
    assert not process._on_card, "what a card does, it does in a process of its own"
    assert vision.sees_here == "photos are embedded here for now: nobody answers"
    process._unframer.feed(messages.frame(messages.SeesHere(why="")) + messages.frame(messages.Done()))
    process.receive(1.0)
    assert vision.sees_here == ""
