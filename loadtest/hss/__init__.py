"""One emulated HSS that speaks SOAP: `python -m loadtest.hss --help`; `docs/ne/hss_soap.md`."""
