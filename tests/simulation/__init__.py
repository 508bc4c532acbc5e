"""The real engine and allocator under seeded schedules of faults, crashes and restarts."""
