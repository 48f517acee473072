"""What of prompts and answers may be shown, and how it is made fit to be."""
