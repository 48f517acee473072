"""Puts the tokenizer together."""

import asyncio
import secrets
import time

from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis.server import Outfit, Room
from services.tokenizer import vocabulary
from services.tokenizer.context.known import Conversations
from services.tokenizer.engines.fast import load_fast
from services.tokenizer.errors import ERRORS
from services.tokenizer.learn.keeper import Keeper
from services.tokenizer.learn.learned import LearnedRatios
from services.tokenizer.learn.store_file import RatioStore
from services.tokenizer.memo import KEY_BYTES, Memo
from services.tokenizer.meter import Tally
from services.tokenizer.servicer import TokenizerServicer
from services.tokenizer.settings import TokenizerSettings
from services.tokenizer.vocabulary import LoadFast, ReadRanks, Vocabularies, VocabularyBroken
from services.tokenizer.workers import Workers

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["TokenizerService"].full_name


async def build(
    settings: TokenizerSettings,
    outfit: Outfit,
    read_ranks: ReadRanks = vocabulary.read_packed_ranks,
    load_fast: LoadFast = load_fast,
) -> Room:
    """The room. Raises VocabularyBroken: without its vocabularies the service does not start."""
    vocabularies = await _load(outfit, read_ranks, load_fast)
    workers = Workers(settings.bulk_threads_max)
    memo: Memo[Tally] = Memo(settings.memo_entries_max, secrets.token_bytes(KEY_BYTES))
    talks = Conversations(settings.conversation_messages_max, secrets.token_bytes(KEY_BYTES))
    ratios = LearnedRatios()
    store = RatioStore(settings.ratios_dir) if settings.ratios_dir is not None else None
    keeper = Keeper(ratios, store, outfit.health.part("learned_ratios"))
    await keeper.open()
    servicer = TokenizerServicer(
        vocabularies=vocabularies,
        ratios=ratios,
        workers=workers,
        memo=memo,
        keeper=keeper,
        conversations=talks,
        now=time.monotonic,
    )
    return Room(
        servicers=[(pb_grpc.add_TokenizerServiceServicer_to_server, servicer)],
        service_names=[SERVICE_NAME],
        errors=ERRORS,
        cleanups=[("learned ratios", keeper.close), ("count threads", workers.close)],
    )


async def _load(outfit: Outfit, read_ranks: ReadRanks, load_fast: LoadFast) -> Vocabularies:
    part, fast = outfit.health.part("vocabularies"), outfit.health.part("fast_count")
    loop = asyncio.get_running_loop()

    def on_panic() -> None:  # in a worker's thread
        loop.call_soon_threadsafe(fast.degraded, "the fast engine gave up on a text")

    try:
        vocabularies = await asyncio.to_thread(vocabulary.load, read_ranks, load_fast, on_panic)
    except VocabularyBroken as error:
        part.failed(str(error))
        raise
    part.ok()
    if vocabularies.fallback is None:
        fast.ok()
    else:
        fast.degraded(f"tiktoken counts instead: {vocabularies.fallback}")
    return vocabularies
