"""Several wordings of one campaign, each for some of its recipients."""

from collections import Counter
from typing import Any

import pytest

from engine import sms
from server.context import LABORATORY
from tests.server.conftest import Place

ROWS = b"to,name\n" + b"".join(b"+44207900%04d,Guest %d\n" % (number, number) for number in range(300))
THREE = [{"text": "Come {name}", "percent": 30}, {"text": {"en": "See you", "zh": "再见"}, "percent": 20}]


def texts(place: Place) -> list[tuple[str, str]]:
    """(number, text) of what the network took."""
    found = []
    for one in place.rack.network.accepted:
        submitted = sms.decode(one.tpdu, "ms2sc")
        assert isinstance(submitted, sms.Submit)
        found.append((one.destination, submitted.text))
    return found


async def outcomes(place: Place, path: str) -> list[dict[str, Any]]:
    return list((await place.call("GET", f"{path}/variants")).body["items"])


async def test_each_recipient_has_one_wording_and_each_wording_its_share(house: Place) -> None:
    campaign = await house.draft(text="Dear {name}", variants=THREE)
    await house.upload(campaign, ROWS)
    path = f"/v1/campaigns/{campaign}"
    before = await outcomes(house, path)
    assert [(one["variant"], one["percent"], one["recipients"]) for one in before] == [
        ("A", 50, 150), ("B", 30, 90), ("C", 20, 60),
    ]  # fmt: skip
    assert before[0]["counts"] == {"accepted": 150}
    house.rack.network.refuse = lambda number: 1 if number.endswith("0") else None
    await house.call("POST", f"{path}/launch")
    assert await house.app[LABORATORY].settle(20)
    said = Counter(text.split()[0] for _, text in texts(house))
    after = await outcomes(house, path)
    assert {one["variant"]: one["counts"]["sent"] for one in after} == {
        "A": said["Dear"], "B": said["Come"], "C": said["See"],
    }  # fmt: skip
    assert sum(one["counts"].get("failed", 0) for one in after) == 30
    whole: Counter[str] = Counter()
    for one in after:
        whole.update(one["counts"])
    assert whole == Counter((await house.call("GET", path)).body["counts"])
    rows = (await house.call("GET", f"{path}/results?limit=1000")).body["items"]
    assert Counter(row["variant"] for row in rows) == {"A": 150, "B": 90, "C": 60}
    by_row = {row["to"][-4:]: row["variant"] for row in rows if row["state"] == "sent"}
    assert {number[-4:]: text[0] for number, text in texts(house)} == {
        number: {"A": "D", "B": "C", "C": "S"}[variant] for number, variant in by_row.items()
    }
    assert house.differences() == []


async def test_who_replied_and_who_refused_is_told_by_wording(house: Place) -> None:
    campaign = await house.draft(text="Dear guest", variants=[{"text": "Hello guest", "percent": 50}])
    await house.upload(campaign, ROWS[: ROWS.index(b"0020,")].rpartition(b"\n")[0])
    path = f"/v1/campaigns/{campaign}"
    await house.call("POST", f"{path}/launch")
    assert await house.app[LABORATORY].settle(20)
    rows = (await house.call("GET", f"{path}/results?limit=100")).body["items"]
    sent = dict(texts(house))
    said: Counter[str] = Counter()
    for place, (number, text) in enumerate(sorted(sent.items())):
        if place % 3 == 0:
            await house.call("POST", "/v1/sim/inbound", {"from": number, "text": "STOP" if place % 2 else "yes"})
            said[text[0] + ("S" if place % 2 else "y")] += 1
    after = await outcomes(house, path)
    assert [(one["replies"], one["opt_outs"]) for one in after] == [
        (said["Dy"], said["DS"]), (said["Hy"], said["HS"]),
    ]  # fmt: skip
    assert len(rows) == len(sent) == 20


async def test_one_wording_is_no_variant(desk: Place) -> None:
    campaign = await desk.draft(text="Dear {name}")
    await desk.upload(campaign, ROWS)
    assert [(one["variant"], one["recipients"]) for one in await outcomes(desk, f"/v1/campaigns/{campaign}")] == [
        ("A", 300)
    ]
    rows = (await desk.call("GET", f"/v1/campaigns/{campaign}/results")).body["items"]
    assert {row["variant"] for row in rows} == {None}
    await desk.call("POST", f"/v1/campaigns/{campaign}/cancel")
    (whole,) = await outcomes(desk, f"/v1/campaigns/{campaign}")
    assert whole["counts"] == {"cancelled": 300}


@pytest.mark.parametrize(
    ("variants", "field"),
    [
        ([{"text": "x", "percent": 0}], "variants[0].percent"),
        ([{"text": "x", "percent": 50}, {"text": "y", "percent": 50}], "variants"),
        ([{"text": "", "percent": 5}], "variants[0].text.en"),
        ([{"text": {}, "percent": 5}], "text"),
        ([{"text": "x", "percent": 5}, {"text": {"zh": "{"}, "percent": 5}], "variants[1].text.zh"),
        ([{"text": "x", "percent": 1}] * 10, "variants"),
    ],
)
async def test_wordings_that_are_none_are_refused(desk: Place, variants: list[Any], field: str) -> None:
    body = {"name": "x", "text": "x", "purpose": "service", "variants": variants}
    answer = await desk.call("POST", "/v1/campaigns", body)
    assert (answer.status, list(answer.params)) == (422, [field])


async def test_each_wording_of_an_offer_says_how_to_refuse(desk: Place) -> None:
    body = {"text": "Lotus Hotel: tea. STOP to refuse", "purpose": "marketing", "consent_basis": "card"}
    campaign = await desk.draft(**body, variants=[{"text": "Tea!", "percent": 10}])
    await desk.upload(campaign, ROWS)
    answer = await desk.call("POST", f"/v1/campaigns/{campaign}/launch")
    assert (answer.status, answer.slug, list(answer.params)) == (422, "missing_opt_out", ["variants[0].text.en"])
