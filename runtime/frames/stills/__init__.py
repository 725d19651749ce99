"""Image files: what their headers say, whether they are whole, and their pixels."""
