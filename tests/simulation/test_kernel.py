from dynasor.simulation.kernel import SECOND, Kernel, picoseconds, seconds


def test_events_happen_in_order_and_ties_as_they_were_made() -> None:
    kernel, happened = Kernel(), list[tuple[int, str]]()

    def note(name: str) -> None:
        happened.append((kernel.now, name))

    kernel.at(2, lambda: note("second"))
    kernel.at(1, lambda: kernel.at(2, lambda: note("third")))
    kernel.at(1, lambda: note("first"))
    kernel.at(1, lambda: kernel.at(0, lambda: note("late")))
    kernel.run()
    assert happened == [(1, "first"), (1, "late"), (2, "second"), (2, "third")]


def test_what_is_to_be_last_finds_all_of_its_instant() -> None:
    kernel, happened = Kernel(), list[str]()
    kernel.at(1, lambda: kernel.last(lambda: happened.append("last")))
    kernel.at(1, lambda: kernel.at(1, lambda: happened.append("made later")))
    kernel.at(2, lambda: happened.append("next instant"))
    kernel.run()
    assert happened == ["made later", "last", "next instant"]


def test_what_is_dropped_does_not_happen() -> None:
    kernel, happened = Kernel(), list[str]()
    kernel.at(1, lambda: happened.append("dropped")).drop()
    kernel.at(2, lambda: happened.append("kept"))
    kernel.run()
    assert happened == ["kept"]


def test_time_goes_on_to_where_it_is_to_end() -> None:
    kernel, happened = Kernel(), list[int]()
    for instant in (1, 5, 9):
        kernel.at(instant, lambda: happened.append(kernel.now))
    kernel.run(until=5)
    assert (happened, kernel.now) == ([1, 5], 5)
    kernel.run(until=7)
    assert kernel.now == 7
    kernel.run()
    assert happened == [1, 5, 9]


def test_seconds_are_whole_picoseconds() -> None:
    assert picoseconds(1.5e-3) == 1_500_000_000
    assert seconds(SECOND // 4) == 0.25
    kernel = Kernel()
    kernel.run(until=SECOND)
    assert kernel.now_s == 1.0
