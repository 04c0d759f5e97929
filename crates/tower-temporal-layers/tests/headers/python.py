"""Writes what the Python SDK's own TracingInterceptor writes into the header `_tracer-data`, as JSON: `python python.py > python.json`.

It was run with temporalio 1.35.0 and OpenTelemetry 1.45.2. The ids and the tracestate are those of `src/otel/tests.rs`.
"""

import asyncio
import json
from types import SimpleNamespace

from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from temporalio.contrib.opentelemetry import TracingInterceptor


class Ids(IdGenerator):
    def generate_trace_id(self) -> int:
        return 0x11

    def generate_span_id(self) -> int:
        return 0x22


class Next:
    """Stands for the client."""

    async def start_workflow(self, input: SimpleNamespace) -> dict:
        payload = input.headers["_tracer-data"]
        return {
            "metadata": {key: value.decode() for key, value in payload.metadata.items()},
            "data": payload.data.decode(),
        }


async def written(tracestate: str, bags: dict[str, str]) -> dict:
    interceptor = TracingInterceptor(TracerProvider(id_generator=Ids()).get_tracer("test"))
    ctx = context.Context()
    if tracestate:
        parent = trace.SpanContext(
            trace_id=0x11,
            span_id=0x33,
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
            trace_state=trace.TraceState.from_header([tracestate]),
        )
        ctx = trace.set_span_in_context(trace.NonRecordingSpan(parent), ctx)
    for key, value in bags.items():
        ctx = baggage.set_baggage(key, value, ctx)
    token = context.attach(ctx)
    try:
        input = SimpleNamespace(id="order-1", workflow="Order", headers={}, start_signal=None)
        return await interceptor.intercept_client(Next()).start_workflow(input)
    finally:
        context.detach(token)


async def main() -> None:
    cases = {
        "nothing else": await written("", {}),
        "baggage": await written("", {"tenant": "acme"}),
        "tracestate and baggage": await written("vendor=value", {"tenant": "acme"}),
    }
    print(json.dumps(cases, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
