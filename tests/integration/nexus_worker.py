"""Serves the Nexus operations that the integration tests call. Run with: ADDRESS NAMESPACE TASK_QUEUE.

It prints `ready` once it polls, and ends when its standard input does: a test that dies takes it along.
"""

import asyncio
import sys

import nexusrpc.handler
from temporalio import nexus, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn(name="WaitForever")
class WaitForever:
    @workflow.run
    async def run(self, text: str) -> str:
        await workflow.wait_condition(lambda: False)
        return text


@nexusrpc.handler.service_handler(name="greetings")
class Greetings:
    @nexusrpc.handler.sync_operation
    async def tell(
        self, ctx: nexusrpc.handler.StartOperationContext, text: str
    ) -> dict:
        """Tells what arrived."""
        return {"text": text, "user": ctx.headers.get("user-id")}

    @nexus.workflow_run_operation
    async def wait(
        self, ctx: nexus.WorkflowRunOperationContext, text: str
    ) -> nexus.WorkflowHandle[str]:
        """Runs until it is cancelled."""
        return await ctx.start_workflow(WaitForever.run, text, id=f"wait-{ctx.request_id}")


async def main(address: str, namespace: str, task_queue: str) -> None:
    client = await Client.connect(address, namespace=namespace)
    worker = Worker(
        client,
        task_queue=task_queue,
        nexus_service_handlers=[Greetings()],
        workflows=[WaitForever],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
