"""Puts the tokenizer together."""

import asyncio
import secrets
import time

from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis.server import Outfit, Room
from services.tokenizer import vocabulary
from services.tokenizer.context.known import Conversations
from services.tokenizer.errors import ERRORS
from services.tokenizer.estimate import FixedRatios
from services.tokenizer.memo import KEY_BYTES, Memo
from services.tokenizer.meter import Tally
from services.tokenizer.servicer import TokenizerServicer
from services.tokenizer.settings import TokenizerSettings
from services.tokenizer.vocabulary import ReadRanks, VocabularyBroken
from services.tokenizer.workers import Workers

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["TokenizerService"].full_name


async def build(
    settings: TokenizerSettings,
    outfit: Outfit,
    read_ranks: ReadRanks = vocabulary.read_packed_ranks,
) -> Room:
    """The room. Raises VocabularyBroken: without its vocabularies the service does not start."""
    part = outfit.health.part("vocabularies")
    try:
        vocabularies = await asyncio.to_thread(vocabulary.load, read_ranks)
    except VocabularyBroken as error:
        part.failed(str(error))
        raise
    part.ok()
    workers = Workers(settings.bulk_threads_max)
    memo: Memo[Tally] = Memo(settings.memo_entries_max, secrets.token_bytes(KEY_BYTES))
    talks = Conversations(settings.conversation_messages_max, secrets.token_bytes(KEY_BYTES))
    servicer = TokenizerServicer(
        vocabularies=vocabularies,
        ratios=FixedRatios(),
        workers=workers,
        memo=memo,
        conversations=talks,
        now=time.monotonic,
    )
    return Room(
        servicers=[(pb_grpc.add_TokenizerServiceServicer_to_server, servicer)],
        service_names=[SERVICE_NAME],
        errors=ERRORS,
        cleanups=[("count threads", workers.close)],
    )
