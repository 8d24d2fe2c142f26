import sys

import msgspec
import numpy as np
import pytest
import torch

from tests.unit.train.material import learnable, shop, statistics
from twinstream.features.inputs import Inputs
from twinstream.nn import TabularNetwork
from twinstream.nn.digest import CONFIG, WEIGHTS, ModelCorruptError, model_digest, qualified_name
from twinstream.nn.files import ModelConfig, from_files, score, to_files

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files() -> Files:
    pipeline, table = shop(), learnable(shop(), rows=200)
    inputs, fitted = Inputs.of(pipeline.models[0].inputs), statistics(pipeline, table)
    torch.manual_seed(1)
    network = TabularNetwork(inputs, fitted, width=16).eval()
    config = ModelConfig(
        model="will-buy",
        network=qualified_name(TabularNetwork),
        arguments={"width": 16},
        inputs=inputs,
        statistics=fitted,
        definition_digest=pipeline.digest,
    )
    return to_files(network, config, {"auc": 0.8})


def arrays(inputs: Inputs, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numeric = np.random.default_rng(2).normal(size=(rows, len(inputs.numeric)))
    numeric[::2] = np.nan
    return (
        numeric,
        np.zeros((rows, len(inputs.categorical)), np.int64),
        np.full((rows, len(inputs.sequences), inputs.longest), np.nan),
    )


def test_a_model_answers_the_same_when_it_is_loaded_twice(files: Files) -> None:
    digest = model_digest(files)
    first, second = (from_files(files, digest, TabularNetwork) for _ in range(2))
    given = arrays(first.config.inputs, 8)
    assert score(first, *given).tobytes() == score(second, *given).tobytes()


def test_equal_models_have_equal_bytes(files: Files) -> None:
    loaded = from_files(files, model_digest(files), TabularNetwork)
    assert to_files(loaded.network, loaded.config, {"auc": 0.8}) == files


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_model_is_refused_when_a_byte_differs(files: Files, name: str) -> None:
    broken = {**files, name: files[name][:-1] + bytes([files[name][-1] ^ 1])}
    with pytest.raises(ModelCorruptError, match="train again"):
        from_files(broken, model_digest(files), TabularNetwork)


def test_a_model_is_refused_when_it_names_another_network(files: Files) -> None:
    config = msgspec.structs.replace(
        msgspec.json.decode(files[CONFIG], type=ModelConfig), network="os.system"
    )
    other = {**files, CONFIG: msgspec.json.encode(config)}
    with pytest.raises(ModelCorruptError, match=r"os\.system"):
        from_files(other, model_digest(other), TabularNetwork)


def test_a_model_is_refused_when_its_weights_do_not_fit(files: Files) -> None:
    config = msgspec.structs.replace(
        msgspec.json.decode(files[CONFIG], type=ModelConfig), arguments={"width": 32}
    )
    other = {**files, CONFIG: msgspec.json.encode(config)}
    with pytest.raises(ModelCorruptError, match="do not fit"):
        from_files(other, model_digest(other), TabularNetwork)


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_run(files: Files) -> None:
    other = {**files, WEIGHTS: b"cos\nsystem\n(S'exit 1'\ntR."}
    with pytest.raises(ModelCorruptError, match="do not fit"):
        from_files(other, model_digest(other), TabularNetwork)


def test_null_differs_from_the_mean_and_an_outlier_stays_finite(files: Files) -> None:
    loaded = from_files(files, model_digest(files), TabularNetwork)
    inputs = loaded.config.inputs
    numeric, codes, steps = arrays(inputs, 3)
    numeric[:] = [loaded.config.statistics["numeric"][name]["mean"] for name in inputs.numeric]
    numeric[1] = np.nan
    numeric[2] = 1e300
    mean, null, outlier = score(loaded, numeric, codes, steps)
    assert mean != null
    assert np.isfinite(outlier)


def test_a_definition_names_a_network_without_loading_torch() -> None:
    import subprocess

    code = "import sys; from twinstream.nn import TabularNetwork; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
