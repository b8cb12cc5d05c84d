"""Every limit on what a stranger may send or make us wait for: a name, a unit, a reason."""

from dataclasses import dataclass

# What one request may carry.
BODY_BYTES = 10 * 1024 * 1024  # the largest window's text several times over
HEADER_COUNT = 100  # browsers and proxies send under 50
HEADER_BYTES = 64 * 1024  # all header lines and the request line together
URL_BYTES = 8 * 1024  # our longest own URL is under 200
AUTHORIZATION_BYTES = 512  # a key is 55
SESSION_BYTES = 128  # a UUID is 36
CHUNK_OVERHEAD_BYTES = 16 * 1024  # framing bytes of a chunked body beyond 8 per byte of content

# What a body may ask for.
MODEL_NAME_CHARS = 256
MESSAGES = 2_048
NAME_CHARS = 64
N = 8  # sequences of one request; vLLM's own cap is 16,384
PROMPTS = 16
STOPS = 4
STOP_CHARS = 1_024
TOP_LOGPROBS = 20
COMPLETION_LOGPROBS = 5
TOKENS = 2**31 - 1  # a larger count is a mistake, not a wish
TOP_K = 1_000_000  # above every vocabulary
REPETITION_PENALTY = 10.0
LOGIT_BIAS_ENTRIES = 1_024
TOOLS = 128
FUNCTION_NAME_CHARS = 64
DESCRIPTION_CHARS = 16 * 1024
SCHEMA_BYTES = 64 * 1024  # compiled by the engine: CVE-2026-105757 and its kin
SCHEMA_DEPTH = 32
SCHEMA_COUNT = 1_024  # minItems, maxLength and the like unroll in the grammar
PATTERN_CHARS = 512
PATTERN_REPEATS = 256  # xgrammar 0.2.8 gives up on `a{1000}`
PATTERN_STATES = 2_048  # a pattern with its counts unrolled; 10,000 took it 0.2 s
IGNORED_CHARS = 4 * 1024  # `user` and other fields without effect
METADATA_ENTRIES = 16

# What a replica may send back.
REFUSAL_BYTES = 64 * 1024  # vLLM's own error replies
REPLY_BYTES = 256 * 1024 * 1024  # logprobs of n long answers
EVENT_BYTES = 4 * 1024 * 1024  # one event of a stream
EVENT_MARGIN = 64  # events beyond the tokens asked for, then the engine ignores `max_tokens`

# What we keep.
SPOOL_RECORDS = 10_000  # usage records in memory when the disk does not take them
SPOOL_BYTES = 2 * 1024**3  # on a node's disk: six million records, ten minutes at 10,000 a second
UNDERWAY_REQUESTS = 4_096  # at replicas, of which a killed gateway's successor knows
UNDERWAY_BYTES = 1_024  # of one of them, which takes about 250
KEY_CACHE = 4_096  # verified Authorization headers
PIPELINED_BYTES = 64 * 1024  # unread requests behind the one being answered
HANDSHAKES = 8_192  # TLS, under way; 10,000 clients may come at once to a pair of gateways
CONNECTIONS_PER_REPLICA = 2_048
WRITE_BUFFER_BYTES = 256 * 1024  # of one slow reader, in the kernel and again in the process


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds; a value so that tests can turn them down."""

    #: From a connection to the end of its TLS handshake.
    handshake_s: float = 10.0
    #: From the first byte of a request to the end of its headers (slowloris).
    headers_s: float = 10.0
    #: From the headers to the last byte of the body.
    body_s: float = 60.0
    #: An idle kept-alive connection.
    keep_alive_s: float = 75.0
    #: A reader that takes nothing.
    write_s: float = 30.0
    #: The whole request, however long its stream; then 504.
    request_s: float = 600.0
    #: A stream's first token; queue and prefill of a long prompt are inside.
    first_token_s: float = 120.0
    #: The same at a replica that is out of favour: it shall not cost its probe two minutes.
    probe_token_s: float = 10.0
    #: Between two tokens of a stream.
    between_tokens_s: float = 30.0
    #: TCP connect to a replica on the same private network.
    connect_s: float = 2.0
    #: A connect, and a count, where no other replica is left to ask: a late answer is better than
    #: none, and a SYN that was lost comes again after 1, 3 and 7 s.
    lone_s: float = 10.0
    #: Idle upstream connection; below the replica's own keep-alive of 120.
    upstream_idle_s: float = 60.0
    #: An exact token count.
    count_s: float = 2.0
    #: After an answer that closes: how long the client may go on sending.
    linger_s: float = 2.0
    #: How long a retry waits until the Controller has heard whose death came before it.
    blame_s: float = 0.5
    #: How long a gateway that leaves still takes connections; a front door looks once a second.
    notice_s: float = 3.0
    #: How long keys are taken without news from the Controller, which may have revoked them.
    keys_s: float = 3600.0
    #: How often deadlines are looked at.
    tick_s: float = 0.5
