"""Logs of Inspect evaluations, written by inspect-ai itself and read back; its absence is told with the remedy."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from rctgap.errors import DataError
from rctgap.logs.reading import LogForm, read_conversations

with_inspect = pytest.mark.skipif(
    importlib.util.find_spec("inspect_ai") is None, reason="inspect-ai, the extra `inspect`, is not installed"
)
LONG = "It began this morning, quite suddenly. " * 20


def sample(number: int, *texts: str, epoch: int = 1, **fields):
    from inspect_ai.log import EvalSample  # noqa: PLC0415 - an extra
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser  # noqa: PLC0415

    said = [
        ChatMessageSystem(content="Be kind."),
        *((ChatMessageUser, ChatMessageAssistant)[place % 2](content=text) for place, text in enumerate(texts)),
    ]
    return EvalSample(id=number, epoch=epoch, input="in", target="out", messages=said, **fields)


def written(path: Path, *samples) -> Path:
    from inspect_ai.log import (  # noqa: PLC0415
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalSpec,
        write_eval_log,
    )

    ids = list(dict.fromkeys(one.id for one in samples))
    spec = EvalSpec(
        created="2026-01-02T03:04:05+00:00",
        task="triage",
        dataset=EvalDataset(name="d", samples=len(ids), sample_ids=ids),
        model="maker/model-1",
        config=EvalConfig(epochs=max(one.epoch for one in samples)),
    )
    write_eval_log(EvalLog(version=2, status="success", eval=spec, samples=list(samples)), str(path))
    return path


@with_inspect
@pytest.mark.parametrize("suffix", [".eval", ".json"])
@pytest.mark.parametrize("form", [None, LogForm("inspect")])
def test_a_sample_is_a_conversation(tmp_path: Path, suffix: str, form: LogForm | None):
    meta = {"participant": "p1", "item": 7, "arm": None, "notes": ["kept back"]}
    samples = [
        sample(1, LONG, "Where?", metadata=meta),
        sample(1, "Hm.", epoch=2),
        sample(2, metadata={"conversation": "c9"}),
    ]
    one, *others = read_conversations(written(tmp_path / f"log{suffix}", *samples), form)
    assert [(turn.speaker, turn.text) for turn in one.turns] == [
        ("system", "Be kind."),
        ("user", LONG),
        ("bot", "Where?"),
    ]
    assert one.links == {"conversation": "1-1", "participant": "p1", "item": "7", "system": "maker/model-1"}
    assert (one.system, one.flaw, one.place) == ("maker/model-1", "", "sample 1")
    assert {other.key for other in others} == {"1-2", "c9"}


@with_inspect
@pytest.mark.parametrize("suffix", [".eval", ".json"])
def test_a_text_kept_beside_the_messages_is_put_back(tmp_path: Path, suffix: str):
    mark = "0" * 32
    condensed = sample(1, f"attachment://{mark}", attachments={mark: LONG})
    (one,) = read_conversations(written(tmp_path / f"log{suffix}", condensed))
    assert one.said_by("user") == (LONG,)


@with_inspect
def test_a_sample_that_was_stopped_is_truncated(tmp_path: Path):
    from inspect_ai.log import EvalError, EvalSampleLimit  # noqa: PLC0415

    fault = EvalError(message="secret", traceback="secret", traceback_ansi="secret")
    samples = [
        sample(1, "a", "b", limit=EvalSampleLimit(type="token", limit=10)),
        sample(2, "a", error=fault),
        sample(3, "a", "b", metadata={"limit": 5}),
    ]
    found = list(read_conversations(written(tmp_path / "log.eval", *samples)))
    assert [(one.flaw, one.detail) for one in found] == [
        ("truncated", "stopped by a limit of kind token"),
        ("truncated", "stopped by an error"),
        ("", ""),
    ]


@with_inspect
def test_metadata_may_be_linked_under_other_names(tmp_path: Path):
    path = written(
        tmp_path / "log.eval", sample(1, "a", metadata={"worker": "w1"}), sample(2, "a", metadata={"worker": "w2"})
    )
    found = list(read_conversations(path, LogForm("auto", {"participant": "worker"})))
    assert [one.links["participant"] for one in found] == ["w1", "w2"]


@with_inspect
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.eval", b"no zip"),
        ("a.eval", b""),
        ("a.eval", b"PK\x05\x06" + b"\0" * 18),
        ("a.json", b'{"version": 2, "status": "success", "eval": {"secret": 1}}'),
        ("a.json", b'{"version": 2, "status": "success", "eval": {"sec'),
        ("a.jsonl", b"{}\n"),
    ],
)
def test_damaged_logs_are_refused(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_conversations(path, LogForm("inspect")))
    (fault,) = caught.value.faults
    assert fault.file == str(path)
    assert fault.what.startswith("inspect-ai cannot read the log")
    assert "secret" not in str(caught.value)


@with_inspect
def test_an_eval_file_cut_off_is_refused(tmp_path: Path):
    path = written(tmp_path / "log.eval", *(sample(number, LONG, "b") for number in range(5)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="inspect-ai cannot read the log"):
        list(read_conversations(path))


def test_without_inspect_ai_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"version": 2, "status": "success", "eval": {}, "samples": []}))
    with pytest.raises(DataError) as caught:
        list(read_conversations(path))
    (fault,) = caught.value.faults
    assert (fault.what, fault.file) == ("Inspect logs are read by inspect-ai, which is not installed", str(path))
    assert 'pip install "rctgap[inspect]"' in fault.allowed
