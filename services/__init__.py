"""The rooms of the fleet, one folder a service."""
