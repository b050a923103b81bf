"""`python -m benchmarks.floor ROLE RABBIT MONGO PORT PROGRAM_PYTHON`: one process of the floor."""

import asyncio
import json
import sys
import uuid
from typing import Any

import aio_pika
import uvicorn
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from motor.motor_asyncio import AsyncIOMotorClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}


async def ask(channel: AbstractChannel, queue: str, body: dict[str, Any], waiting: dict[str, Any]) -> Any:
    """Send a request and return the answer."""
    correlation = uuid.uuid4().hex
    waiting[correlation] = answer = asyncio.get_running_loop().create_future()
    message = aio_pika.Message(
        json.dumps(body).encode(), correlation_id=correlation, reply_to=waiting["queue"]
    )
    await channel.default_exchange.publish(message, routing_key=queue)
    return json.loads(await answer)


async def answers(channel: AbstractChannel) -> dict[str, Any]:
    """Consume the replies; returns the futures that wait for them, by correlation id."""
    replies = await channel.declare_queue(exclusive=True)
    waiting: dict[str, Any] = {"queue": replies.name}

    async def came(message: AbstractIncomingMessage) -> None:
        waiting.pop(str(message.correlation_id)).set_result(message.body)

    await replies.consume(came, no_ack=True)
    return waiting


async def gateway(rabbit: str, port: int) -> None:
    """HTTP in front: POST starts a job and answers with its id, GET answers with its result."""
    connection = await aio_pika.connect(rabbit)
    asks = await connection.channel(publisher_confirms=False)
    waiting = await answers(asks)
    news = await (await connection.channel()).declare_queue(exclusive=True)
    running: dict[str, asyncio.Future[str]] = {}

    async def told(message: AbstractIncomingMessage) -> None:
        job = json.loads(message.body)
        if "result" in job:
            running[job["id"]].set_result(job["result"])

    await news.consume(told, no_ack=True)

    async def post(request: Request) -> JSONResponse:
        job = {"id": uuid.uuid4().hex, "input": await request.json(), "news": news.name}
        running[job["id"]] = asyncio.get_running_loop().create_future()
        job["program"] = await ask(asks, "floor.registry", {}, waiting)
        await ask(asks, "floor.scheduler", job, waiting)
        return JSONResponse({"id": job["id"]}, status_code=201)

    async def get(request: Request) -> JSONResponse:
        job_id = request.path_params["job_id"]
        await ask(asks, "floor.jobs", {"id": job_id}, waiting)
        result = await running[job_id]
        del running[job_id]
        return JSONResponse({"result": result})

    app = Starlette(routes=[Route("/", post, methods=["POST"]), Route("/{job_id}", get)])
    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()


async def registry(rabbit: str) -> None:
    """Answer what a program is."""
    channel = await (await aio_pika.connect(rabbit)).channel(publisher_confirms=False)
    queue = await channel.declare_queue("floor.registry")

    async def answer(message: AbstractIncomingMessage) -> None:
        await reply(channel, message, {"name": "hello"})

    await queue.consume(answer, no_ack=True)
    await asyncio.Event().wait()


async def reply(channel: AbstractChannel, message: AbstractIncomingMessage, body: Any) -> None:
    """Answer a request."""
    answer = aio_pika.Message(json.dumps(body).encode(), correlation_id=message.correlation_id)
    await channel.default_exchange.publish(answer, routing_key=str(message.reply_to))


async def scheduler(rabbit: str, mongo: str) -> None:
    """Keep jobs: insert, RUNNING, outputs, SUCCEEDED; dispatch by a confirmed quorum queue."""
    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(mongo)
    jobs, outputs = client["floor"]["jobs"], client["floor"]["outputs"]
    connection = await aio_pika.connect(rabbit)
    plain = await connection.channel(publisher_confirms=False)
    safe = await connection.channel()
    for channel in (plain, safe):
        await channel.set_qos(prefetch_count=64)
    commands = await plain.declare_queue("floor.scheduler")
    questions = await plain.declare_queue("floor.jobs")
    printed = await plain.declare_queue("floor.outputs")
    dispatch = await safe.declare_queue("floor.dispatch", durable=True, arguments=QUORUM)

    async def publish(queue: str, body: Any) -> None:
        message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await safe.default_exchange.publish(message, routing_key=queue)

    async def submitted(message: AbstractIncomingMessage) -> None:
        job = json.loads(message.body)
        await jobs.insert_one(job | {"_id": job["id"], "status": "QUEUED"})
        await asyncio.gather(reply(plain, message, {}), publish("floor.dispatch", job))

    async def moved(message: AbstractIncomingMessage) -> None:
        job = json.loads(message.body)
        status = "SUCCEEDED" if "result" in job else "RUNNING"
        await jobs.update_one({"_id": job["id"]}, {"$set": {"status": status, "result": job.get("result")}})
        body = aio_pika.Message(message.body)
        if "result" not in job:
            await safe.default_exchange.publish(body, routing_key="floor.work")
        await plain.default_exchange.publish(body, routing_key=job["news"])
        await message.ack()

    async def asked(message: AbstractIncomingMessage) -> None:
        await reply(plain, message, await jobs.find_one({"_id": json.loads(message.body)["id"]}))

    async def output(message: AbstractIncomingMessage) -> None:
        await outputs.insert_one(json.loads(message.body))
        await message.ack()

    await commands.consume(submitted, no_ack=True)
    await questions.consume(asked, no_ack=True)
    await printed.consume(output)
    await dispatch.consume(moved)
    await asyncio.Event().wait()


async def executor(rabbit: str, python: str) -> None:
    """Run each job in one fork of a process that has the program's imports; two at once."""
    connection = await aio_pika.connect(rabbit)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=2)
    work = await channel.declare_queue("floor.work")
    children: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
    for _ in range(2):
        pipe = asyncio.subprocess.PIPE
        children.put_nowait(
            await asyncio.create_subprocess_exec(
                *(python, "-m", "benchmarks.floor.forker"), stdin=pipe, stdout=pipe, limit=1 << 20
            )
        )

    async def publish(queue: str, body: Any) -> None:
        message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key=queue)

    async def run(message: AbstractIncomingMessage) -> None:
        child = await children.get()
        assert child.stdin is not None
        assert child.stdout is not None
        job = json.loads(message.body)
        child.stdin.write(json.dumps(job["input"]).encode() + b"\n")
        job["result"], text = json.loads(await child.stdout.readline())
        children.put_nowait(child)
        await publish("floor.outputs", {"job": job["id"], "text": text})
        await publish("floor.dispatch", job)
        await message.ack()

    await work.consume(run)
    await asyncio.Event().wait()


def main() -> None:
    """Run one role until terminated."""
    role, rabbit, mongo, port, python = sys.argv[1:]
    roles = {
        "gateway": lambda: gateway(rabbit, int(port)),
        "registry": lambda: registry(rabbit),
        "scheduler": lambda: scheduler(rabbit, mongo),
        "executor": lambda: executor(rabbit, python),
    }
    asyncio.run(roles[role]())


if __name__ == "__main__":
    main()
