"""Calibration shows nobody what a dataset hides from them."""

from tests.app.calibration.test_calibrations import rubric
from tests.app.registry.api import made
from tests.app.runs.conftest import Project


async def test_labels_of_a_dataset_are_read_only_with_the_clearance_for_all_its_values(project: Project) -> None:
    await rubric(project)
    client = project.client
    rows = [{"id": "q1", "inputs": {"question": "x"}, "metadata": {"iban": "DE-SECRET-1"}}]
    await made(client, "datasets", "priv", {"items": rows, "fields": {"metadata.iban": "personal"}})
    asked = {"dataset": {"dataset": "priv", "human": "iban"}}
    key = await client.post("/api/v1/keys", json={"name": "low", "role": "ci", "clearance": "public"})
    as_low = {"Authorization": f"Bearer {key.json()['key']}"}
    refused = await client.post("/api/v1/rubrics/right/calibrations", json=asked, headers=as_low)
    assert refused.status_code == 403
    assert "DE-SECRET" not in refused.text
    assert "clearance is public" in refused.json()["detail"]
    may = await client.post("/api/v1/rubrics/right/calibrations", json=asked)
    assert may.status_code == 422, "the labels are no labels of the rubric, which who may see them is told"
