"""The revisions. Never change one that was released."""
