"""The faults there are, by number. Tests are named after them: `test_03_...`, wherever they stand.

A row without such a test says why; a row with one says nothing. A test of this table keeps both.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    fault: str
    #: For a row that no test is named after.
    why: str = ""
    #: For a row after which there is nothing to recover, what the page says instead.
    calm: str = ""


ROWS = (
    Row(1, "replica killed while idle"),
    Row(2, "replica killed while a request is queued or in prefill"),
    Row(3, "replica killed mid-stream"),
    Row(4, "replica hangs: port open, no progress"),
    Row(5, "engine core dies, leader process lives"),
    Row(6, "follower or one worker of a gang dies"),
    Row(7, "gang never forms"),
    Row(8, "engine cannot start", calm="none: the version before serves on"),
    Row(9, "replica crashes in a loop"),
    Row(10, "cold start, start from zero"),
    Row(11, "one replica of several answers 5xx now and then"),
    Row(12, "one replica is ten times slower"),
    Row(13, "all replicas are ejected"),
    Row(14, "replica killed for memory"),
    Row(15, "KV cache full, preemption storm"),
    Row(16, "a request that kills replicas"),
    Row(17, "garbage from the engine"),
    Row(18, "engine ignores max_tokens"),
    Row(19, "a node's raylet is killed"),
    Row(20, "planned drain of a node"),
    Row(21, "node cut off from the head"),
    Row(
        22,
        "cut between pipeline stages",
        "a host is lost in `tests/hosts/test_cluster.py`. Seen from a gateway a cut is a replica "
        "that hangs, which is 4; a stage that dies is 6",
    ),
    Row(23, "delay and loss between gateway and replica"),
    Row(24, "Ray loses a request or a reply"),
    Row(
        25,
        "head killed, its state lost",
        "Ray's state is on the head's disk: who loses that deploys as on the first day (decision "
        "15)",
    ),
    Row(26, "head killed, its state kept"),
    Row(
        27,
        "the store of Ray's state dies",
        "there is no Redis: the store is part of Ray's own process on the head (decision 15), and "
        "dies with it, which is 26",
    ),
    Row(28, "the Controller or Serve's controller is killed"),
    Row(29, "a gateway is killed"),
    Row(30, "the clock jumps an hour, both ways"),
    Row(31, "disk full"),
    Row(32, "out of descriptors"),
    Row(
        33,
        "a GPU falls off the bus (the driver that says so is ours)",
        calm="none: what is up goes on, what died of it starts elsewhere as in 5",
    ),
    Row(34, "burst of 20 times the capacity"),
    Row(35, "one key over its limit", calm="none: served again as `Retry-After` says"),
    Row(36, "retry storm"),
    Row(37, "noisy neighbour with long prompts", calm="none: others are served meanwhile"),
    Row(38, "slow reader"),
    Row(39, "client leaves while queued"),
    Row(40, "client leaves in prefill or without a stream"),
    Row(41, "client leaves mid-stream"),
    Row(42, "client behind a dead NAT"),
    Row(43, "slow headers, slow body", calm="none: nobody else notices"),
    Row(44, "huge, endless or compressed body", calm="none: nobody else notices"),
    Row(45, "pipelining, reuse after an error", calm="none: nobody else notices"),
    Row(46, "shapes of request smuggling", calm="none: nobody else notices"),
    Row(47, "SIGTERM to a gateway", calm="none: it was told to end"),
    Row(48, "deadline passes"),
    Row(49, "request ids that are odd", calm="none: nobody else notices"),
    Row(50, "invalid fleet applied", calm="none: nothing was changed"),
    Row(51, "fleet asks for more than there is", calm="none: the rest was applied"),
    Row(52, "two appliers at once", calm="none: nothing was changed"),
    Row(53, "applier killed at every step", calm="none: the next run ends it"),
    Row(54, "model removed while it streams", calm="none: it was wanted"),
    Row(55, "rolling update", calm="none: nothing fails meanwhile"),
    Row(56, "autoscaler blind", calm="none: it keeps what it has"),
    Row(57, "scaling back and forth", calm="none: nothing fails meanwhile"),
    Row(58, "key revoked"),
    Row(59, "key store locked or corrupt"),
    Row(60, "usage write fails or is repeated"),
    Row(61, "label attack on metrics"),
    Row(62, "dashboard or admin port from outside", calm="none: it was refused"),
    Row(63, "stale address: the port belongs to somebody else"),
    Row(64, "internal token wrong or rotated under load"),
    Row(65, "heartbeats stop, replica healthy"),
    Row(66, "several gateways on the same old load figures"),
    Row(67, "ledger down for ten minutes under load"),
    Row(68, "gateway killed with unwritten usage"),
    Row(69, "idle upstream connection closed as it is reused"),
    Row(70, "token count impossible", calm="none: the upper bound is used"),
)
