"""Spans of requests for an OpenTelemetry collector: one for each request, one for each try at a
replica, and vLLM's own below that.

Rules
- Off unless the fleet names a collector; then what is traced is what `OTEL_TRACES_SAMPLER` says, or
  the caller's own `traceparent`.
- No span holds a prompt, an answer or a key.
- Spans go out in a thread, from a bounded queue; a collector that is away costs spans, nothing
  else.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from serving.gateway.answers import reason_word, status_of
from serving.gateway.bill import Bill
from serving.gateway.exchange import Exchange

SERVICE = "flotilla-gateway"
_CONTEXT_HEADERS = ("traceparent", "tracestate")
_propagator = TraceContextTextMapPropagator()


class Trace:
    """Of one request."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: Tracer, exchange: Exchange) -> None:
        self._tracer = tracer
        headers = exchange.head.headers
        carrier = {
            name: headers[name.encode()].decode("latin-1")
            for name in _CONTEXT_HEADERS
            if name.encode() in headers
        }
        parent = _propagator.extract(carrier)
        attributes = {"flotilla.request_id": exchange.id}
        self._span = tracer.start_span("request", parent, SpanKind.SERVER, attributes)

    @contextmanager
    def attempt(self, replica_id: str) -> Iterator[bytes]:
        """A try at a replica: gives the header lines that make the engine's span its child."""
        attributes = {"flotilla.replica": replica_id}
        context = set_span_in_context(self._span)
        span = self._tracer.start_span("attempt", context, SpanKind.CLIENT, attributes)
        try:
            yield _lines(span)
        except BaseException as error:
            # Its words may be the engine's: only what kind of end it was.
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            span.end()

    def end(self, exchange: Exchange, bill: Bill) -> None:
        span, record = self._span, bill.record
        span.set_attribute("http.response.status_code", status_of(exchange))
        if record is not None:
            span.set_attributes(
                {
                    "gen_ai.request.model": record.model_asked,
                    "gen_ai.response.model": record.model_answered,
                    "gen_ai.usage.input_tokens": record.prompt_tokens,
                    "gen_ai.usage.output_tokens": record.completion_tokens,
                    "flotilla.cached_tokens": record.cached_tokens,
                    "flotilla.outcome": record.outcome,
                    "flotilla.attempts": record.attempts,
                    "flotilla.first_token_s": bill.first_token_s or 0.0,
                }
            )
        if exchange.refusal is not None:
            span.set_status(StatusCode.ERROR, reason_word(exchange.refusal))
        span.end()


class Tracing:
    """Of one gateway, to one collector."""

    def __init__(self, endpoint: str, instance: str) -> None:
        """`endpoint` is the URL that takes spans as OTLP over HTTP, `/v1/traces` included."""
        self.endpoint = endpoint
        resource = Resource.create({"service.name": SERVICE, "service.instance.id": instance})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("flotilla")

    def begin(self, exchange: Exchange) -> Trace:
        return Trace(self._tracer, exchange)

    def close(self) -> None:
        """Sends what there is; blocks for as long as the exporter's own deadline."""
        self._provider.shutdown()


def _lines(span: Span) -> bytes:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, set_span_in_context(span))
    return b"".join(b"%b: %b\r\n" % (k.encode(), v.encode()) for k, v in carrier.items())
