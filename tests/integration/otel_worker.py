"""A worker with the Python SDK's own OpenTelemetry interceptor. Run with: ADDRESS NAMESPACE TASK_QUEUE.

It prints `ready` once it polls, and ends when its standard input does. Then it prints the spans it made, as JSON. The task queue
`TASK_QUEUE-rust` is that of the Rust worker.
"""

import asyncio
import json
import sys
from datetime import timedelta

from opentelemetry import baggage
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@activity.defn(name="python_activity")
async def python_activity() -> str:
    """Tells which tenant the baggage names."""
    return str(baggage.get_baggage("tenant"))


@workflow.defn(name="PythonWorkflow")
class PythonWorkflow:
    @workflow.run
    async def run(self) -> str:
        """Runs an activity of the Rust worker, and tells what it tells."""
        return await workflow.execute_activity(
            "rust_activity",
            task_queue=f"{workflow.info().task_queue}-rust",
            start_to_close_timeout=timedelta(seconds=10),
        )


async def main(address: str, namespace: str, task_queue: str) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    client = await Client.connect(
        address,
        namespace=namespace,
        interceptors=[TracingInterceptor(provider.get_tracer("python"))],
    )
    worker = Worker(
        client,
        task_queue=task_queue,
        activities=[python_activity],
        workflows=[PythonWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    spans = [
        {
            "name": span.name,
            "trace": f"{span.context.trace_id:032x}",
            "id": f"{span.context.span_id:016x}",
            "parent": f"{span.parent.span_id if span.parent else 0:016x}",
        }
        for span in exporter.get_finished_spans()
    ]
    print(json.dumps(spans))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
