"""Jobs on fakes: the log, the folders and all rules are real, the fleet is scripted."""

import json
import uuid
from collections import Counter

from opentelemetry.trace import NoOpTracer
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.telemetry import Telemetry
from gateway.batches.files import Files
from gateway.batches.folders import Folders
from gateway.batches.job import Job
from gateway.batches.lines import LineFile
from gateway.batches.making import make_kit
from gateway.batches.office import Office, Wish
from gateway.batches.runner import Runner
from gateway.batches.store import Jobs
from tests.fakes.batch_provider import FakeBatchProvider
from tests.fakes.saga_house import IDENTITY, House

CONFIG = "batch: {poll_seconds: 1, endpoint_items_max: 4, tenant_jobs_max: 2, file_bytes_max: 4096}"


class BatchHouse:
    """One tenant's jobs over a scripted fleet."""

    def __init__(self, path, *, by_endpoint=True, config=CONFIG):
        self.saga = House(config)
        self.parts = self.saga.door._parts
        self.provider = FakeBatchProvider()
        self.others = 0
        folders = Folders(path, sync=lambda _: None)
        self.config = self.parts.fleet.config.batch
        self.files = Files(folders, self.config, new_hex=lambda: uuid.uuid4().hex)
        self.jobs = Jobs(folders)
        telemetry = Telemetry(NoOpTracer())
        endpoints = {"fake": self.provider} if by_endpoint else {}
        self.kit = make_kit(self.parts, self.files, endpoints, telemetry, lambda: self.others)
        # The fleet file of the saga's house knows no batch price.
        self.kit.planner._items.has_batch_price = lambda _: True
        self.office = Office(
            self.jobs,
            self.files,
            self.config,
            telemetry=telemetry,
            new_hex=lambda: uuid.uuid4().hex,
            edge_traceparent=lambda told: "",
            wake=lambda: None,
        )

    async def upload(self, *texts):
        async def pieces():
            for number, text in enumerate(texts):
                yield line_of(f"id-{number}", text)

        return (await self.files.take("acme", "in.jsonl", pieces())).file_id

    async def submit(self, *texts, identity=IDENTITY, **wish):
        file_id = await self.upload(*texts)
        options = wish.pop("options", pb.RequestOptions())
        made = await self.office.submit(Wish(file_id, options, {}, **wish), identity, "")
        return made.batch_id

    def open(self, batch_id):
        """The job as a worker that has just started has it."""
        folder = self.jobs.find("acme", batch_id)
        spec = folder.spec()
        lines = LineFile(folder.lines, self.config.line_bytes_max)
        job = Job(folder, spec, lines)
        job.open()
        return job

    async def run(self, batch_id):
        """Works on it until it ends; how it stands then."""
        job = self.open(batch_id)
        try:
            await Runner(self.kit, job).run()
        finally:
            await job.log.close()
            await self.saga.books.drain()
        return job.folder.state()

    async def results(self, batch_id):
        told = {}
        async for lines in self.office.results(IDENTITY, batch_id):
            for line in lines:
                value = json.loads(line)
                told[value["custom_id"]] = value
        return told

    def booked(self):
        """Rows by their id; a row that came twice must be the same."""
        rows = {}
        for item in self.saga.services.asked["record"]:
            name = item.attempt.entry_id
            assert rows.setdefault(name, item) == item
        return rows

    def kinds(self):
        return Counter(item.attempt.kind for item in self.booked().values())

    def on_hold(self):
        """Holds that were taken and not given back."""
        asked = self.saga.services.asked
        taken = {item.hold_id for item in asked["reserve"]}
        return taken - {item.hold_id for item in asked["release"]}


def line_of(custom_id, text, **body):
    messages = [{"role": "user", "content": text}]
    told = {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "cheap", "messages": messages, **body},
    }
    return json.dumps(told).encode() + b"\n"
