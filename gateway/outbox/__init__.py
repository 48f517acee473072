"""What must still be booked, on disk."""
