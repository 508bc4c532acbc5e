"""The number pool alone under schedules of faults: real allocator, real SQL, real server."""
