"""One message, one line: whatever a name holds comes back as it was, and nonsense is one sentence."""

from __future__ import annotations

import json
import os
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.errors import ProtocolError
from dedupd.protocol import codec
from dedupd.protocol.failure import Failure
from dedupd.protocol.limits import MAX_LINE
from dedupd.protocol.notices import NOTICES, Attention
from dedupd.protocol.requests import REQUESTS, GetGroup, Resolve
from dedupd.protocol.views import GroupView

names = st.binary(max_size=60).map(os.fsdecode)


@given(names)
def test_any_name_of_a_file_travels_there_and_back(name: str) -> None:
    line = codec.encode_request(1, Resolve(path=name))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert codec.request_of(codec.parse(line)) == Resolve(path=name)


@given(names, names)
def test_any_name_travels_in_an_answer_and_in_a_notice(keep: str, moved: str) -> None:
    view = GroupView(
        id=1,
        root="/r",
        month="2024-06",
        relation="copy",
        state="settled",
        keep=keep,
        duplicates=[moved],
        moved_to={moved: keep},
    )
    said = codec.parse(codec.encode_result("x", view))
    assert codec.shape(said["result"], GroupView) == view
    assert codec.notice_of(codec.parse(codec.encode_notice(Attention(message=moved)))) == Attention(
        message=moved
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_protocol_error(line: bytes) -> None:
    try:
        message = codec.parse(line)
    except ProtocolError:
        return
    assert message == json.loads(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(REQUESTS)), st.data())
def test_any_params_are_the_request_or_a_protocol_error(method: str, data: st.DataObject) -> None:
    fields = [field.name for field in msgspec.structs.fields(REQUESTS[method])]
    keys = st.sampled_from(fields) if fields else st.text(max_size=4)
    params = data.draw(json_values | st.dictionaries(keys, json_values, max_size=3))
    try:
        request = codec.request_of({"method": method, "params": params})
    except ProtocolError:
        return
    assert isinstance(request, REQUESTS[method])


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40, "9" * 5000])
def test_a_number_no_database_holds_is_refused(number: int | str) -> None:
    with pytest.raises(ProtocolError, match="64 bits"):
        codec.parse(b'{"id":%s}' % str(number).encode())


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0, -1])
def test_a_number_a_database_holds_is_taken(number: int) -> None:
    assert codec.parse(b'{"id":%d}' % number) == {"id": number}


@pytest.mark.parametrize("depth", [50_000, 400_000])
def test_depth_is_refused_without_a_crash(depth: int) -> None:
    with pytest.raises(ProtocolError):
        codec.parse(b"[" * depth + b"]" * depth)


def test_the_limit_counts_the_whole_line() -> None:
    line = b'{"a":"' + b"x" * (MAX_LINE - 8) + b'"}'
    assert len(line) == MAX_LINE
    assert codec.parse(line)
    with pytest.raises(ProtocolError, match="over the limit"):
        codec.parse(line + b" ")


def test_what_is_over_the_limit_is_never_sent() -> None:
    with pytest.raises(codec.TooLong, match="over the limit"):
        codec.encode_request(1, Resolve(path="x" * MAX_LINE))
    with pytest.raises(codec.TooLong):
        codec.encode_notice(Attention(message="x" * MAX_LINE))
    assert len(codec.encode_error("x" * MAX_LINE, Failure(code=1, message="x" * MAX_LINE))) < MAX_LINE


def test_versions_may_meet() -> None:
    """Unknown fields are ignored, missing ones defaulted, unknown methods and notices are no error."""
    assert codec.request_of({"method": "group", "params": {"id": 3, "from_the_future": []}}) == GetGroup(id=3)
    assert codec.request_of({"method": "status"}) is not None
    assert codec.request_of({"method": "from the future"}) is None
    assert codec.notice_of({"method": "from the future"}) is None


def test_every_message_has_one_name() -> None:
    assert len(set(REQUESTS.values())) == len(REQUESTS)
    assert all(kind.method == name for name, kind in {**REQUESTS, **NOTICES}.items())


def test_a_failure_is_json_rpc() -> None:
    said: dict[str, Any] = codec.parse(codec.encode_error(None, Failure(code=-32700, message="no")))
    assert (said["jsonrpc"], said["id"]) == ("2.0", None)
    assert said["error"] == {"code": -32700, "message": "no", "data": None}
