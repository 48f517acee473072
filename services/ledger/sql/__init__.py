"""The books on a disk: tables and the statements on them."""
