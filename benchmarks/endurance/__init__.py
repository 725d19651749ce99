"""Everything around a watched service that a soak breaks: cameras, receivers, a broker, a disk."""
