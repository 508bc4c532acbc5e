"""The emulated SSO (统一认证): `python -m loadtest.sso --help`; docs/operators.md."""
