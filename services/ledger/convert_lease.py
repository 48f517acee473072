"""Leases between the contract's messages and the books' values."""

from google.protobuf import duration_pb2
from spendgate.ledger.v1 import lease_pb2

from services.ledger.convert_notice import to_pb_left, to_time
from services.ledger.rules.commands import Amounts, LeaseAnswer, LeaseName
from services.ledger.rules.values import MICROS_PER_SECOND


def from_pb_lease_name(name: lease_pb2.LeaseName) -> LeaseName:
    """Which grant."""
    return LeaseName(name.lease_id, name.epoch)


def from_pb_amounts(amounts: lease_pb2.LeaseAmounts) -> Amounts:
    """An amount of each unit."""
    return Amounts(amounts.nanos, amounts.tokens, amounts.requests)


def to_pb_lease(lease: LeaseAnswer) -> lease_pb2.Lease:
    """A grant."""
    seconds, micros = divmod(lease.admit_us, MICROS_PER_SECOND)
    made = lease_pb2.Lease(
        name=lease_pb2.LeaseName(lease_id=lease.lease.lease_id, epoch=lease.lease.epoch),
        granted=lease_pb2.LeaseAmounts(**lease.granted._asdict()),
        admit_duration=duration_pb2.Duration(seconds=seconds, nanos=micros * 1000),
        expire_time=to_time(lease.expire_us),
        models=[
            lease_pb2.LeasedModel(model=model, provider=provider, price_version=version)
            for (model, provider), version in lease.models
        ],
        hard=lease.hard,
        overspend_nanos_max=lease.granted.nanos,
    )
    if lease.tightest is not None:
        made.tightest.CopyFrom(to_pb_left(lease.tightest))
    return made
