import os

import pytest

from ops.bench import proc

# A real line of /proc/PID/stat, its command renamed to what a title setter may make of it.
STAT = (
    "4242 (ray::Serve (1) x) S 1 4242 4200 0 -1 4194304 2033 0 0 0 1150 350 7 9 20 0 9 0 "
    "8801 128548864 6074 18446744073709551615 1 1 0 0 0 0 0 16781312 0 0 0 0 17 0 0 0 0 0 0"
)
MACHINE = """\
cpu  300 20 100 9000 50 10 5 15 0 0
cpu0 100 10 50 4500 25 5 2 8 77 0
cpu1 200 10 50 4500 25 5 3 7 0 0
cpu10 1 1 1 1 1 1 1 1 0 0
intr 12345
"""


def test_brackets_and_spaces_in_a_command_do_not_shift_the_fields() -> None:
    stat = proc.parse_stat(STAT, ticks_per_s=100)

    assert stat == proc.Stat(session=4200, cpu_s=15.0)


def test_a_core_is_busy_when_it_is_neither_idle_nor_waiting_for_the_disk() -> None:
    assert proc.parse_core_busy_s(MACHINE, 0, ticks_per_s=100) == 1.75
    assert proc.parse_core_busy_s(MACHINE, 1, ticks_per_s=100) == 2.75


def test_a_core_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no core 7"):
        proc.parse_core_busy_s(MACHINE, 7)


def test_a_process_that_ended_used_nothing() -> None:
    assert proc.cpu_s([2**22 + 1]) == 0.0


def test_this_process_used_some_time_and_is_in_its_own_session() -> None:
    assert proc.cpu_s([os.getpid()]) > 0.0
    assert os.getpid() in {process.pid for process in proc.family("no such mark", os.getsid(0))}


def test_only_named_processes_count_and_without_names_all_do() -> None:
    family = (proc.Process(1, "raylet --x"), proc.Process(2, "ray::ProxyActor"))

    assert proc.counted(family, ("ProxyActor",)) == (2,)
    assert proc.counted(family, ()) == (1, 2)
