"""A tenant's own outcomes: kept, learned from, summed up. Nothing is shared between tenants."""
