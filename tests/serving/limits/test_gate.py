"""Whose limits a request is held against: those of its key, and those of its key's tenant."""

import random

from serving.limits.account import Hold, first_exceeded
from serving.limits.gate import Gate
from serving.limits.lender import SETTLE_S, Lender
from serving.limits.terms import NO_LIMITS, Limits
from serving.limits.window import WINDOW_S
from serving.snapshot import KeyRecord, MonthUse
from tests.serving.limits.clock import Clock

LAB = Limits(requests_per_minute=40)


def key(name: str, own: Limits = NO_LIMITS, tenants: Limits = NO_LIMITS) -> KeyRecord:
    return KeyRecord(name, name, b"", 0, own, tenant="lab", tenant_limits=tenants)


def test_a_request_is_in_the_accounts_of_its_key_and_of_its_tenant() -> None:
    gate = Gate(Clock())
    gate.set_keys([key("a", Limits(concurrent=1), LAB), key("b", tenants=LAB), key("c")], [])
    assert [each.limits for each in gate.accounts("a")] == [Limits(concurrent=1), LAB]
    assert gate.accounts("a")[1] is gate.accounts("b")[0]
    assert [each.is_tenants for each in gate.accounts("a")] == [False, True]
    assert gate.accounts("c") == ()


def test_a_key_that_is_called_like_a_tenant_is_another_holder() -> None:
    gate = Gate(Clock())
    gate.set_keys([key("lab", Limits(concurrent=1), LAB)], [])
    assert len({id(each) for each in gate.accounts("lab")}) == 2


def test_a_tenants_month_is_that_of_all_its_keys() -> None:
    gate = Gate(Clock())
    gate.set_keys([key("a", tenants=Limits(nanos_per_month=7))], [MonthUse("tenant:lab", 0, 7)])
    assert first_exceeded(gate.accounts("a")) is not None
    gate.set_keys([key("a", tenants=Limits(nanos_per_month=8))], [MonthUse("tenant:lab", 0, 7)])
    assert first_exceeded(gate.accounts("a")) is None


def test_what_a_limit_refuses_is_told_for_a_minute_and_whose_limit_it_was() -> None:
    clock = Clock()
    lender, gates = Lender(clock() - SETTLE_S), [Gate(clock), Gate(clock)]
    spent = Limits(tokens_per_month=5)
    for gate in gates:
        gate.set_keys([key("a", spent, LAB), key("b", tenants=LAB)], [MonthUse("a", 9)])
        for _ in range(3):
            assert first_exceeded(gate.accounts("a")) is not None
    for number, gate in enumerate(gates):
        lender.lend(gate.report(f"g{number}"), clock())
    assert lender.refused(clock()) == {"a": 6}
    clock.pass_(WINDOW_S + 1)
    for number, gate in enumerate(gates):
        lender.lend(gate.report(f"g{number}"), clock())
    assert lender.refused(clock()) == {}


def test_the_keys_of_a_tenant_get_its_limit_once_through_however_many_gateways() -> None:
    """Two keys, three gateways, three times more asked for than allowed, for ten minutes."""
    clock, dice = Clock(), random.Random(3)  # noqa: S311
    lender = Lender(clock() - SETTLE_S)
    gates = {f"g{number}": Gate(clock) for number in range(3)}
    for gate in gates.values():
        gate.set_keys([key("a", tenants=LAB), key("b", tenants=LAB)], [])
    let_in: list[float] = []
    for _ in range(10 * WINDOW_S):
        for name, gate in gates.items():
            lease = lender.lend(gate.report(name), clock())
            if lease is not None:
                gate.take(lease)
            accounts = gate.accounts(dice.choice("ab"))
            if dice.random() < 2 / 3 and gate.has_lease and first_exceeded(accounts) is None:
                Hold(accounts, 0, 0).settle(0)
                let_in.append(clock())
        clock.pass_(1.0)
    per_minute = [sum(at_s - WINDOW_S < each <= at_s for each in let_in) for at_s in let_in]
    assert max(per_minute) <= 40 + len(gates)
    assert len(let_in) > 0.85 * 40 * 10
