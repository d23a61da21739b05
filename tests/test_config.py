"""config.toml: what it may say, how wrong settings are told, and where things lie."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.config import Schedule, Settings, Tiers, example_config, load, places
from dedupd.config.change import change
from dedupd.config.places import SOCKET_PATH_LIMIT
from dedupd.errors import ConfigError, ExitCode


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "Pictures"
    folder.mkdir()
    return folder


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def complaint(tmp_path: Path, text: str, **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), **more)
    assert caught.value.exit_code == ExitCode.USAGE
    return str(caught.value)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load(None) == Settings()
    where = places(tmp_path / "state", tmp_path / "config.toml")
    assert load(None, where) == Settings(source=where.config)


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        load(tmp_path / "config.toml")


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
def test_a_byte_order_mark_is_no_part_of_the_settings(tmp_path: Path, mark: str) -> None:
    file = write(tmp_path, f"{mark}batch_size = 3\n")
    assert load(file).batch_size == 3
    change(file, {"batch_size": 4})
    assert load(file).batch_size == 4


def test_a_pipe_in_its_place_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")
    for read in (lambda file: load(file), lambda file: change(file, {"batch_size": 4})):
        with pytest.raises(ConfigError, match="is a pipe"):
            read(tmp_path / "config.toml")


def test_a_file_without_an_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than any settings"):
        load(Path("/dev/zero"))
    assert load(Path("/dev/null")) == Settings(source=Path("/dev/null"))


def test_the_file_of_the_places_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, "batch_size = 3")
    assert load(None, places(tmp_path / "state", file)).batch_size == 3


@pytest.mark.parametrize(
    ("text", "jobs"), [("[speed]\ncores = 'auto'", 0), ("[speed]\ncores = 3", 3), ("jobs = 'auto'", 0)]
)
def test_cores_are_set_by_either_name(tmp_path: Path, text: str, jobs: int) -> None:
    assert load(write(tmp_path, text)).jobs == jobs


def test_every_key_is_read(tmp_path: Path, pictures: Path) -> None:
    (pictures / "best").mkdir()
    file = write(
        tmp_path,
        f"""
        roots = ["{pictures}"]
        keep_policy = "oldest"
        threshold = 0.9
        embedder = "lite0"
        batch_size = 16
        jobs = 3
        gpus = "1"
        gpu_memory_fraction = 0.5
        ignore = ["*.gif"]
        ignore_defaults = false
        protected = ["{pictures}/best"]
        allow_shared_roots = true
        metadata = "off"
        [tiers]
        copy = "review"
        burst = "off"
        [schedule]
        settle_seconds = 10
        nightly = ""
        """,
    )
    assert load(file) == Settings(
        roots=(pictures,),
        tiers=Tiers(copy="review", burst="off"),
        schedule=Schedule(settle_seconds=10.0, nightly=""),
        keep_policy="oldest",
        threshold=0.9,
        embedder="lite0",
        batch_size=16,
        jobs=3,
        gpus="1",
        gpu_memory_fraction=0.5,
        ignore=("*.gif",),
        ignore_defaults=False,
        protected=(pictures / "best",),
        allow_shared_roots=True,
        metadata="off",
        source=file,
    )


def test_the_command_line_wins_over_the_file(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, 'roots = ["/nowhere"]\nkeep_policy = "oldest"\nthreshold = 0.9\n')
    settings = load(file, roots=["Pictures"], keep_policy="lexi", threshold=None)
    assert (settings.roots, settings.keep_policy, settings.threshold) == ((pictures,), "lexi", 0.9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threshhold = 0.9", ["there is no setting threshhold", "did you mean threshold?"]),
        ("[tiers]\nexakt = 'move'", ["tiers.exakt", "did you mean tiers.exact?"]),
        ("[speed]\ncores = 'all'", ['speed.cores must be "auto" or a whole number from 0 to 256, not "all"']),
        ("jobs = 2\n[speed]\ncores = 3", ["jobs and speed.cores are one setting"]),
        ("[tier]\nexact = 'move'", ["there is no setting tier;", "did you mean tiers?"]),
        ("exact = 'move'", ["did you mean tiers.exact?"]),
        ("[tiers]\nsettle_seconds = 3", ["did you mean schedule.settle_seconds?"]),
        ("zzz = 1", ["there is no setting zzz", "known are roots, "]),
        ("tiers = 'move'", ["tiers must be a table"]),
        ("keep_policy = 'bset'", ['must be one of "best", "oldest"', 'not "bset"', 'did you mean "best"?']),
        ("[tiers]\nsimilar = 'move'", ['tiers.similar must be one of "review", "off"']),
        ("[tiers]\nexact = true", ["tiers.exact must be one of", "not true"]),
        ("threshold = 0.0", ["threshold must be a number from 0.01 to 1, not 0.0"]),
        ("threshold = 1.01", ["threshold must be"]),
        ("threshold = nan", ["threshold must be"]),
        ("threshold = '0.9'", ["threshold must be a number", 'not "0.9"']),
        ("threshold = true", ["threshold must be a number", "not true"]),
        ("batch_size = 1.5", ["batch_size must be a whole number from 1 to 1024"]),
        ("batch_size = 0", ["batch_size must be"]),
        ("batch_size = true", ["batch_size must be"]),
        ("embedder = 'light 0'", ["embedder must be a name of `dedupd models`"]),
        ("embedder = 'timm:'", ["embedder must be"]),
        ("[embedding]\nmode = 'remot'", ["embedding.mode must be one of", 'did you mean "remote"?']),
        ("[embedding]\nmode = 'auto'", ['embedding.mode = "auto" needs embedding.url']),
        ("[embedding]\nurl = '192.168.1.9:8766'", ["embedding.url must be addresses like"]),
        ("[embedding]\nurl = ['http://a:99999']", ["embedding.url must be addresses like"]),
        ("[embedding]\nurl = ['http://ann:secret@a/']", ["embedding.url must be addresses like"]),
        ("[embedding]\nurl = ['file:///etc/passwd']", ["embedding.url must be addresses like"]),
        ("[embedding]\ntoken_file = 'token'", ["embedding.token_file must be the whole path"]),
        ("ignore = '*.gif'", ["ignore must be a list of texts"]),
        ("ignore = ['']", ["ignore must be a list of texts"]),
        ("ignore_defaults = 'no'", ["ignore_defaults must be true or false"]),
        ("allow_shared_roots = 'yes'", ["must be true or false"]),
        ("roots = '/photos'", ["roots must be a list of folders"]),
        ("roots = [1]", ["roots must be a list of folders"]),
        ("roots = ['Pictures']", ["roots must name whole paths", '"Pictures"']),
        ("roots = ['~nobody-of-that-name/Pictures']", ["roots cannot follow"]),
        ('roots = ["/a\\u0000b"]', ["roots must be a list of folders"]),
        ("[schedule]\nnightly = '25:00'", ['schedule.nightly must be a time like "03:00"', '"25:00"']),
        ("[schedule]\nsettle_seconds = -1", ["schedule.settle_seconds must be a number from 0"]),
        ("[schedule]\ninterval_minutes = inf", ["schedule.interval_minutes must be"]),
        ("roots = oops", ["is not valid TOML", "line 1"]),
    ],
)
def test_a_wrong_setting_is_told_with_file_key_and_what_is_right(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    message = complaint(tmp_path, text)
    assert message.startswith(str(tmp_path / "config.toml"))
    assert "\n" not in message
    for word in words:
        assert word in message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    message = complaint(tmp_path, "threshhold = 0.9\nbatch_size = 0\n[tiers]\ncopy = 'mvoe'\n")
    assert all(word in message for word in ("threshhold", "batch_size", "tiers.copy"))


def test_a_wrong_option_is_told_by_its_flag() -> None:
    with pytest.raises(ConfigError, match=r'^--keep-policy must be one of .*did you mean "newest"\?'):
        load(None, keep_policy="newst")
    with pytest.raises(ConfigError, match=r"^--model must be"):
        load(None, embedder="a clip")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "config.toml")


def test_whole_tables_can_be_given_in_code() -> None:
    given = load(None, schedule=Schedule(settle_seconds=0.1), tiers=Tiers(burst="off"))
    assert (given.schedule.settle_seconds, given.tiers.burst) == (0.1, "off")


# --- roots


def test_the_whole_disk_and_the_home_folder_are_no_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "is the whole disk" in complaint(tmp_path, 'roots = ["/"]')
    assert "is the whole disk" in complaint(tmp_path, 'roots = ["/usr/.."]')
    assert "is your home folder" in complaint(tmp_path, 'roots = ["~"]')
    (tmp_path / "home").symlink_to(tmp_path)
    assert "is your home folder" in complaint(tmp_path, f'roots = ["{tmp_path}/home"]')


@pytest.mark.parametrize("inner", ["/2024", "/2024/../2024"])
def test_overlapping_roots_are_refused(tmp_path: Path, pictures: Path, inner: str) -> None:
    (pictures / "2024/06").mkdir(parents=True)
    for roots in (f'["{pictures}", "{pictures}{inner}"]', f'["{pictures}{inner}", "{pictures}"]'):
        assert "overlap" in complaint(tmp_path, f"roots = {roots}")


def test_each_root_that_overlaps_is_named_once_in_one_sentence(tmp_path: Path, pictures: Path) -> None:
    (pictures / "2024/06/trip").mkdir(parents=True)
    roots = [f"{pictures}/2024/06", str(pictures), f"{pictures}/2024", str(pictures)]
    with pytest.raises(ConfigError) as told:
        load(write(tmp_path, f"roots = {roots}"))
    twice, overlap = str(told.value).splitlines()[1:]
    assert twice.endswith(f"the root {pictures} is named twice; name it once")
    assert overlap.endswith(
        f"the roots {pictures} and {pictures}/2024/06, {pictures}/2024 overlap; name only {pictures}"
    )


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no file system is mounted inside another here")
def test_a_disk_mounted_inside_a_root_may_be_a_root_of_its_own(tmp_path: Path) -> None:
    assert len(load(write(tmp_path, 'roots = ["/dev", "/dev/shm"]')).roots) == 2


def test_the_empty_place_of_a_disk_that_is_not_mounted_overlaps_with_nothing(
    tmp_path: Path, pictures: Path
) -> None:
    (pictures / "2024").mkdir()
    roots = f'roots = ["{pictures}", "{pictures}/2024", "{pictures}/2025"]'
    assert len(load(write(tmp_path, roots)).roots) == 3


def test_roots_that_overlap_through_a_symlink_are_refused(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "link").symlink_to(pictures)
    (pictures / "2024/06").mkdir(parents=True)
    assert "overlap" in complaint(tmp_path, f'roots = ["{pictures}", "{tmp_path}/link/2024"]')


def test_neighbours_with_a_common_name_do_not_overlap(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "Pictures2").mkdir()
    assert len(load(write(tmp_path, f'roots = ["{pictures}", "{pictures}2"]')).roots) == 2


def test_a_symlinked_root_has_its_real_name(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "link").symlink_to(pictures)
    assert load(write(tmp_path, f'roots = ["{tmp_path}/link"]')).roots == (pictures,)


@pytest.mark.parametrize("state", ["Pictures", "Pictures/.state", "."])
def test_a_root_and_the_state_folder_lie_apart(tmp_path: Path, pictures: Path, state: str) -> None:
    assert "must lie apart" in complaint(tmp_path, f'roots = ["{pictures}"]', where=places(tmp_path / state))


def test_a_missing_root_is_only_offline_while_another_is_there(tmp_path: Path, pictures: Path) -> None:
    both = load(write(tmp_path, f'roots = ["{pictures}", "{tmp_path}/usb"]'))
    assert both.roots == (pictures, tmp_path / "usb")


def test_when_no_root_is_there_it_is_told_unless_that_is_expected(tmp_path: Path) -> None:
    assert "there is no folder" in complaint(tmp_path, f'roots = ["{tmp_path}/Pitcures"]')
    assert load(tmp_path / "config.toml", offline_ok=True).roots == (tmp_path / "Pitcures",)


def test_a_file_is_no_root(tmp_path: Path) -> None:
    file = write(tmp_path, "")
    assert "is not a folder" in complaint(tmp_path, f'roots = ["{file}"]')


def test_a_misspelt_protected_folder_is_told_because_it_protects_nothing(
    tmp_path: Path, pictures: Path
) -> None:
    text = f'roots = ["{pictures}"]\nprotected = ["{pictures}/bset"]'
    assert "bset does not exist" in complaint(tmp_path, text)


# --- the example


def test_the_example_is_a_valid_file_with_the_roots(tmp_path: Path, pictures: Path) -> None:
    odd = tmp_path / 'Bilder "2024" \\ ü \x7f'
    odd.mkdir()
    file = write(tmp_path, "")
    file.write_text(example_config([pictures, odd]), encoding="utf-8")
    assert load(file) == Settings(roots=(pictures, odd), source=file)


def test_the_example_shows_every_key_with_its_default(tmp_path: Path) -> None:
    lines = example_config().splitlines()
    bare = "\n".join(line[1:] if line.startswith("#") and line[1:2].isalpha() else line for line in lines)
    shown = tomllib.loads(bare)
    expected = dataclasses.asdict(Settings(threshold=0.95))
    del expected["source"]
    assert shown == json.loads(json.dumps(expected))  # tuples as lists
    assert load(write(tmp_path, bare)) == Settings(threshold=0.95, source=tmp_path / "config.toml")


keys = st.sampled_from([f.name for f in dataclasses.fields(Settings)])
junk = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=3))
)


@given(
    st.dictionaries(
        keys.filter(lambda key: key not in {"roots", "source", "tiers", "schedule"}), junk, max_size=3
    )
)
def test_whatever_the_values_are_nothing_impossible_gets_through(values: dict[str, Any]) -> None:
    try:
        settings = load(None, **values)
    except ConfigError:
        return
    assert settings.batch_size >= 1
    assert settings.threshold is None or 0 < settings.threshold <= 1
    assert isinstance(settings.allow_shared_roots, bool)


# --- places


def test_by_default_everything_lies_in_the_platforms_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    found = places(env={})
    assert found.state == tmp_path / "state/dedupd"
    assert found.config == tmp_path / "config/dedupd/config.toml"
    if len(os.fsencode(runtime)) < 80:
        assert found.socket == runtime / "dedupd/dedupd.sock"


def test_a_state_folder_that_was_asked_for_takes_the_socket_along() -> None:
    for found in (places(Path("/s")), places(env={"DEDUPD_STATE_DIR": "/s"})):
        assert (found.state, found.socket) == (Path("/s"), Path("/s/dedupd.sock"))
    assert places(Path("/s"), env={"DEDUPD_STATE_DIR": "/other"}).state == Path("/s")
    assert places(env={"DEDUPD_CONFIG": "/c.toml"}).config == Path("/c.toml")
    assert places(config=Path("/d.toml"), env={"DEDUPD_CONFIG": "/c.toml"}).config == Path("/d.toml")


def test_a_relative_state_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert places(Path("s")).state == tmp_path / "s"


def test_a_path_too_long_for_a_socket_gets_a_short_one_of_its_own(tmp_path: Path) -> None:
    deep, deeper = tmp_path / ("x" * 100), tmp_path / ("y" * 100)
    first, again, other = places(deep).socket, places(deep).socket, places(deeper).socket
    assert first == again != other
    assert len(os.fsencode(first)) <= SOCKET_PATH_LIMIT
    assert not first.is_relative_to(deep)


def test_clients_believe_the_socket_that_the_daemon_recorded(tmp_path: Path) -> None:
    (tmp_path / "socket-path").write_text("/run/elsewhere.sock\n")
    assert places(tmp_path).socket == Path("/run/elsewhere.sock")
    assert places(tmp_path, recorded=False).socket == tmp_path / "dedupd.sock"


@pytest.mark.parametrize("record", ["", "relative.sock", "/" + "x" * 200])
def test_a_record_that_names_no_socket_is_passed_over(tmp_path: Path, record: str) -> None:
    (tmp_path / "socket-path").write_text(record)
    assert len(os.fsencode(places(tmp_path).socket)) <= SOCKET_PATH_LIMIT
    assert places(tmp_path).socket == places(tmp_path, recorded=False).socket


@pytest.mark.parametrize(
    "name", ["timm:swinv2_tiny_window8_256.ms_in1k", "timm:resnet50", "timm:a@/m/x.pt", "open_clip:a@/m/x.pt"]
)
def test_models_are_named_as_models_use_names_them(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'embedder = "{name}"\n')
    assert load(file).embedder == name


def test_a_state_folder_that_a_person_chose_is_known_as_theirs(tmp_path: Path) -> None:
    assert places(tmp_path / "state", env={}).named
    assert places(env={"DEDUPD_STATE_DIR": str(tmp_path)}).named
    assert not places(env={}).named
