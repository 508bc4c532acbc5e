"""Check many random sequences: python -m tests.model --sequences 100000"""

import argparse
import os
import sys

import pytest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--sequences", type=int, default=20_000, help="how many; others each time")
    os.environ["MODEL_SEQUENCES"] = str(parser.parse_args().sequences)
    which = "tests/model/test_model.py::" + (
        "test_network_and_database_are_as_the_model_means_after_any_sequence"
    )
    return pytest.main(["-q", "-x", "-o", "timeout=0", which])


if __name__ == "__main__":
    sys.exit(main())
