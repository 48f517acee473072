"""What can be concluded from the books. Pure: no database, no transport, no clock."""
