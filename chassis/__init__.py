"""Mechanism every service is bolted to. It knows no service and no contract."""
