"""The emulated platforms of the IoT business: `python -m loadtest.platform --help`;
`docs/ne/platforms.md` has their dialects."""
