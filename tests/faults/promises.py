"""What is promised to clients, as far as rows of the fault table prove it.

The pages on input, keys and accounting prove the others.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    name: str
    text: str
    #: Of the fault table.
    rows: tuple[int, ...]


PROMISES = (
    Promise(
        "P1",
        "Every request ends inside its deadline, 600 s unless the fleet says less, with a result, "
        "a JSON error or an error event; a replica of which a stream gets no first token for 120 s "
        "or no next one for 30 s is treated as dead",
        (4, 10, 48),
    ),
    Promise(
        "P2",
        "`[DONE]` comes only after a complete answer",
        (3, 4, 17, 18, 47),
    ),
    Promise(
        "P4",
        "A failure before the first byte is retried on another replica, inside one deadline and a "
        "budget of 20 % of the requests in flight (at least 3), of which a refused connection "
        "takes nothing; after the first byte never",
        (2, 3, 36, 69),
    ),
    Promise(
        "P5",
        "A client that leaves stops costing accelerators within 1 s: queued, in prefill, "
        "streaming or not",
        (39, 40, 41),
    ),
    Promise(
        "P6",
        "Overload is refused within 50 ms, with a Retry-After of at most 60 s, and what was "
        "admitted keeps its latency",
        (34, 36),
    ),
    Promise(
        "Q",
        "A request that kills replicas costs two at most, whichever gateways it comes through; "
        "does not hold while the Controller is away: then two for each gateway",
        (16,),
    ),
    Promise(
        "P12",
        "A rolling update and the drain of a node fail no request, with two replicas or with "
        "another model to answer meanwhile",
        (20, 54, 55),
    ),
    Promise(
        "P13",
        "The Controller and Serve's own controller may be away: traffic goes on with what gateways "
        "know",
        (28, 65),
    ),
    Promise(
        "P14",
        "A replica is whole or gone: any process lost means that all of it is replaced and nothing "
        "of it stays",
        (1, 5, 6, 7, 14),
    ),
)
