"""Programs that clients drive, in virtual time."""

from dynasor.gateway.client_programs import ClientPrograms
from dynasor.gateway.tenants import Tenant
from dynasor.gateway.turns import Turns
from dynasor.scheduling.specification import make_scheduler

TEAM, OTHER = Tenant(name="team"), Tenant(name="other")


def programs(most: int = 1 << 14, *, ordering: str = "attained") -> tuple[ClientPrograms, Turns]:
    turns = Turns(8, lambda: make_scheduler(ordering)[0])
    return ClientPrograms(turns, 10.0, most), turns


def test_a_program_is_open_from_its_first_request_until_it_was_silent_for_too_long() -> None:
    made, turns = programs()
    program = made.enter(TEAM, "p", 0.0)
    assert program.id in turns.lane(TEAM).scheduler.table
    assert made.expire(100.0) == [], "it has a request under way"
    made.leave(program, 7, 101.0)
    assert made.enter(TEAM, "p", 105.0) is program
    made.leave(program, 3, 106.0)
    assert made.expire(115.0) == []
    assert made.expire(116.0) == [program]
    assert (program.requests, program.tokens, len(made)) == (2, 10, 0)
    assert program.id not in turns.lane(TEAM).scheduler.table


def test_two_tenants_may_choose_one_id() -> None:
    made, _ = programs()
    assert made.enter(TEAM, "p", 0.0) is not made.enter(OTHER, "p", 0.0)
    assert made.find(OTHER, "p") is not made.find(TEAM, "p")
    assert made.find(OTHER, "q") is None


def test_those_last_heard_of_are_told_of_a_tenant_or_of_all() -> None:
    made, _ = programs()
    for number in range(40):
        made.leave(made.enter(TEAM if number % 2 else OTHER, f"p{number}", float(number)), 1, float(number))
    again = made.enter(TEAM, "p1", 50.0)
    assert made.latest("team", 3) == [again, made.find(TEAM, "p39"), made.find(TEAM, "p37")]
    assert made.latest(None, 2) == [again, made.find(TEAM, "p39")]
    assert len(made.latest("other", 100)) == 20
    assert made.latest("nobody", 100) == []


def test_a_client_that_knows_what_its_program_needs_yet_is_believed() -> None:
    made, turns = programs(ordering="sjf")
    for id, told in (("long", 5000.0), ("short", 50.0), ("longest", 9000.0)):
        program = made.enter(TEAM, id, 0.0, told)
        turns.add(id, TEAM, program.id, 0.0)
    assert [turns.next(1.0) for _ in range(3)] == ["short", "long", "longest"]


def test_closing_waits_for_what_is_under_way() -> None:
    made, _ = programs()
    program = made.enter(TEAM, "p", 0.0)
    assert not made.close(program, 1.0)
    assert made.find(TEAM, "p") is program
    made.leave(program, 0, 2.0)
    assert made.find(TEAM, "p") is None
    again = made.enter(TEAM, "p", 3.0)
    made.leave(again, 0, 3.0)
    assert made.close(again, 3.0)
    assert len(made) == 0


def test_a_program_that_goes_on_is_not_closed() -> None:
    made, _ = programs()
    program = made.enter(TEAM, "p", 0.0)
    made.close(program, 1.0)
    made.enter(TEAM, "p", 1.5)
    made.leave(program, 0, 2.0)
    made.leave(program, 0, 2.0)
    assert made.find(TEAM, "p") is program


def test_beyond_the_most_the_longest_silent_is_closed() -> None:
    made, turns = programs(most=2)
    busy = made.enter(TEAM, "busy", 0.0)
    for number in range(5):
        made.leave(made.enter(TEAM, f"p{number}", number), 0, number)
    assert made.find(TEAM, "busy") is busy
    assert made.find(TEAM, "p4") is not None
    assert len(made) == 2
    assert len(turns.lane(TEAM).scheduler.table) == 2
