"""What `bench scale` makes and tells; never how fast it was."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from dedupd.bench import made_up, scale
from dedupd.cli.main import main


def test_a_tiny_run_tells_all_that_was_promised() -> None:
    found = scale.measure(300, 2, 0, lambda phase, done, total: None, 64)
    told = asdict(found)
    promised = {
        "photos",
        "candidates_cpu_s",
        "one_photo_ms",
        "one_undated_ms",
        "worker_mb",
        "machine",
        "versions",
        "spread",
    }
    assert promised <= told.keys()
    assert (found.photos, found.searched, found.runs) == (300, 300, 2)
    assert found.pairs >= 10, "one in ten is a copy"
    assert min(found.candidates_cpu_s, found.one_photo_ms, found.worker_mb, found.ready_cpu_s) > 0
    assert all(each.least <= told[name] <= each.greatest for name, each in found.spread.items())


def test_of_many_photos_a_part_is_searched_for_and_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(photos: int, runs: int, files: int, progress: scale.Progress) -> scale.Scale:
        spread = scale.Spread(least=1.0, greatest=3.0)
        return scale.Scale(
            machine="a machine", versions={"numpy": "1"}, photos=photos, searched=1000, runs=runs, pairs=7,
            candidates_cpu_s=2.0, ready_cpu_s=1.0, one_photo_ms=2.0, one_undated_ms=3.0, search_mb=200.0,
            worker_mb=300.0, daemon_mb=50.0, imported=files, import_photos_per_s=[90.0] * 10, import_s=60.0, import_moved=7,
            import_new_s=9.0,
            spread=dict.fromkeys(("candidates_cpu_s", "ready_cpu_s", "one_photo_ms", "one_undated_ms"), spread),
        )  # fmt: skip

    monkeypatch.setattr(scale, "measure", measure)
    assert main(["bench", "scale", "--photos", "5000", "--runs", "1", "--import", "0"]) == 0
    told = capsys.readouterr().out
    assert "1000 photos were searched for" in told
    assert "the same, undated" in told
    assert "imported" not in told
    assert main(["bench", "scale"]) == 0
    told = capsys.readouterr().out
    assert "2000 painted files imported by the daemon" in told
    assert "killed in the middle: 0 photos read again" in told
    assert "a hundred more after 9 s; MB at most: daemon 50, worker 300" in told
    assert main(["bench", "scale", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["photos"], told["imported"], len(told["import_photos_per_s"])) == (100_000, 2000, 10)
    with pytest.raises(SystemExit):
        main(["bench", "scale", "--import", "-1"])
    assert "no number of files" in capsys.readouterr().err


def test_blocks_of_a_large_library_are_spread_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_up, "_WHOLE", 100)
    monkeypatch.setattr(made_up, "_BLOCKS", 2)
    monkeypatch.setattr(made_up, "FRESH", 50)
    found = made_up.search(300, 1, 64)
    assert found["searched"] == 100
