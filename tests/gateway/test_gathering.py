"""What is written while a transport gathers leaves it as one piece."""

import asyncio

import pytest

from dynasor.gateway.gathering import Gathering


class Written(asyncio.Transport):
    """Keeps what is written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        assert not self.is_closed
        self.pieces.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("::1", 1)}.get(name, default)


@pytest.fixture
def written() -> Written:
    return Written()


def test_what_is_not_gathered_is_written_at_once(written: Written) -> None:
    gathering = Gathering(written)
    gathering.write(b"head")
    gathering.flush()
    gathering.write(b"body")
    assert written.pieces == [b"head", b"body"]


def test_what_is_gathered_is_one_piece(written: Written) -> None:
    gathering = Gathering(written)
    gathering.gather()
    gathering.write(b"head")
    gathering.gather()
    gathering.write(b"body")
    assert written.pieces == []
    gathering.flush()
    gathering.flush()
    gathering.write(b"next")
    assert written.pieces == [b"headbody", b"next"]


def test_what_is_large_is_not_copied(written: Written) -> None:
    gathering, large = Gathering(written), bytes(1 << 20)
    gathering.gather()
    gathering.write(b"head")
    gathering.write(large)
    gathering.flush()
    assert written.pieces == [b"head", large]
    assert written.pieces[1] is large


def test_what_was_kept_is_written_before_the_end(written: Written) -> None:
    gathering = Gathering(written)
    gathering.gather()
    gathering.write(b"head")
    assert not gathering.is_closing()
    gathering.close()
    assert (written.pieces, gathering.is_closing()) == ([b"head"], True)
    assert gathering.get_extra_info("peername") == ("::1", 1)
