"""What replies mean, one file a dialect; read by `hlrd.ne.replies`."""
