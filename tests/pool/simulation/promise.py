class BrokenPromise(AssertionError):
    """What the number pool promises did not hold."""


def promise(holds: bool, text: str) -> None:
    if not holds:
        raise BrokenPromise(text)
