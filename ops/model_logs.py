"""The logs of all replicas of a model, each line with the replica that it is of."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from deployments.errors import LogsUnreadable
from deployments.process_log import ProcessLogs
from deployments.running import running_of
from deployments.serve_control import Application, Process, user_config
from ops.errors import NoSuchReplica
from serving.snapshot import GATEWAY_DEPLOYMENT, INGRESS_APPLICATION

#: Lines that wait to be shown; more make the readers wait.
QUEUE_LINES = 1_000
#: What else can be asked for than a model or a replica.
GATEWAYS = INGRESS_APPLICATION


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one process."""

    application: str
    node: str
    pid: int
    text: str


def processes_of(name: str, applications: Mapping[str, Application]) -> list[tuple[str, Process]]:
    """The processes of a model's replicas, of one replica, or of the gateways and the Controller.
    Raises NoSuchReplica.
    """
    wanted = _applications(name, applications)
    found = [(each, process) for each in wanted for process in applications[each].processes]
    if not found:
        raise NoSuchReplica(name, _known(applications), has_none=bool(wanted))
    return found


def _applications(name: str, applications: Mapping[str, Application]) -> list[str]:
    if name in applications:
        return [name]
    models = _replica_sets(applications)
    running = running_of({key: each.config or {} for key, each in applications.items()})
    return [key for key, each in running.items() if each.model and each.model == models.get(name)]


def _replica_sets(applications: Mapping[str, Application]) -> dict[str, str]:
    """Whose replicas answer for a public name, an alias too."""
    told = user_config(applications, INGRESS_APPLICATION, GATEWAY_DEPLOYMENT)
    return {
        name: model["replica_set"]
        for model in told.get("models", ())
        for name in (model["name"], model["replica_set"], *model.get("aliases", ()))
    }


def _known(applications: Mapping[str, Application]) -> list[str]:
    return sorted({*_replica_sets(applications), *applications})


async def lines_of(
    processes: list[tuple[str, Process]], most: int, *, follow: bool
) -> AsyncIterator[Line]:
    """The last lines of each file in turn; with `follow`, of all at once as they come. Raises
    LogsUnreadable.
    """
    async with ProcessLogs() as logs:
        files = [
            (application, process, file)
            for application, process in processes
            for file in await logs.files(process)
        ]
        sources = [
            _marked(logs.lines(process, file, most, follow=follow), application, process)
            for application, process, file in files
        ]
        async for line in _merged(sources) if follow else _chained(sources):
            yield line


async def _marked(
    texts: AsyncIterator[str], application: str, process: Process
) -> AsyncIterator[Line]:
    async for text in texts:
        yield Line(application, process.node_ip, process.pid, text)


async def _chained(sources: list[AsyncIterator[Line]]) -> AsyncIterator[Line]:
    for source in sources:
        async for line in source:
            yield line


async def _merged(sources: list[AsyncIterator[Line]]) -> AsyncIterator[Line]:
    """Until every source has ended; one that fails ends all."""
    queue: asyncio.Queue[Line | LogsUnreadable | None] = asyncio.Queue(QUEUE_LINES)
    readers = [asyncio.create_task(_drain(source, queue)) for source in sources]
    left = len(readers)
    try:
        while left:
            found = await queue.get()
            if isinstance(found, LogsUnreadable):
                raise found
            if found is None:
                left -= 1
            else:
                yield found
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _drain(
    source: AsyncIterator[Line], queue: "asyncio.Queue[Line | LogsUnreadable | None]"
) -> None:
    """Everything of one source, and then why it has ended."""
    try:
        async for line in source:
            await queue.put(line)
    except LogsUnreadable as error:
        await queue.put(error)
    else:
        await queue.put(None)
