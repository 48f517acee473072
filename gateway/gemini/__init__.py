"""The wire format of Google's Gemini API, both ways."""
