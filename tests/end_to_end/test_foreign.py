"""Bins and other programs' folders, under the real daemon: not looked at, told of, and opened by one key."""

from __future__ import annotations

from tests.end_to_end.house import House


def test_a_bin_is_told_of_never_looked_at_and_the_key_is_followed_live(pair: House) -> None:
    pair.add("#recycle/IMG_2.jpg", 2, size=(960, 720))
    with pair.daemon("--yes") as daemon:
        status = daemon.settled(lambda s: s.moved == 1)
        assert status.photos == 2
        sentence = "1 folder(s) belong to other programs or bins (recycle bin 1) and are not looked at"
        assert status.not_looked_at.startswith(sentence) and not any("bin" in a for a in status.attention)
        assert f"closed     {sentence}" in pair.cli("status").out
        assert pair.cli("status", "--json").json["not_looked_at"] == status.not_looked_at
        assert sentence in pair.cli("doctor").out

        pair.add("#recycle/2024/IMG_3.jpg", 3)  # events in it are no news
        pair.add("2024/06/IMG_3 small.jpg", 3, size=(240, 180))
        status = daemon.settled(lambda s: s.photos == 3)
        assert status.moved == 1

        pair.configure(ignore_defaults=False)
        status = daemon.settled(lambda s: s.moved == 3)
        assert status.not_looked_at == "" and "2024/06/IMG_2.jpg" not in pair.photos()

        pair.configure(ignore_defaults=True)
        status = daemon.settled(lambda s: s.moved == 1)
        (told,) = (sentence for sentence in status.attention if "came back" in sentence)
        assert told.startswith("what was kept for them is none of your library (recycle bin: ")
        assert {"2024/06/IMG_2.jpg", "2024/06/IMG_3 small.jpg", "#recycle/IMG_2.jpg"} <= pair.photos().keys()
        daemon.look()
        assert daemon.status().moved == 1
    assert "ignore_defaults: True → False" in pair.log()


def test_a_nomedia_put_into_a_folder_is_heard_of_at_once(house: House) -> None:
    house.add("WhatsApp/Sent/2024/a.jpg", 1)
    house.add("WhatsApp/b.jpg", 2)
    with house.daemon() as daemon:
        daemon.settled(lambda s: s.photos == 2)
        (house.root / "WhatsApp/Sent/.nomedia").touch()
        daemon.until(lambda s: s.photos == 1)
        (house.root / "WhatsApp/Sent/.nomedia").unlink()
        daemon.until(lambda s: s.photos == 2)


def test_a_scan_tells_what_it_left_out(house: House) -> None:
    house.add("2021/07/@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_XL.jpg", 1)
    house.add("2021/07/IMG_1.jpg", 1, size=(240, 180))
    done = house.cli("scan", house.root, "--yes")
    assert done.code == 0 and "(Synology thumbnails 1)" in done.out
    assert len(house.photos()) == 2 and not (house.root / "2021/07/duplicates").exists()
