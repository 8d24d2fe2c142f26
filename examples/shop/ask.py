"""A program beside the shop's mesh: sends a visit, asks whether it will buy with that visit seen,
and reads the features.

`python -m examples.shop.ask PREDICT INGEST`, with the addresses that `twinstream status` names.
"""

import sys
import time

from twinstream import Client


def ask(mesh: Client, shopper: str = "shopper-0") -> float:
    """The probability that a visitor who comes now will buy."""
    visit = {
        "visit_id": f"asked-{time.time_ns()}",
        "shopper": shopper,
        "country": "CH",
        "page": "/item/3",
        "mobile": True,
        "visited_at": time.time_ns() // 1000,
    }
    receipt = mesh.publish_record("visits", visit)
    answer = mesh.predict("will-buy", visit, min_position=receipt.position)
    features = mesh.view("spending", shopper).features
    print(f"{answer.id} of {answer.release}: {answer.predictions[0]:.3f}, from {features}")
    return answer.predictions[0]


if __name__ == "__main__":
    with Client(predict=sys.argv[1], ingest=sys.argv[2]) as client:
        ask(client)
