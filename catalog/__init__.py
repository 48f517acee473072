"""Models, prices and capabilities: data with dates and sources, and exact arithmetic."""
