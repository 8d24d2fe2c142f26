"""Every Protocol of the product: a port, with the contract test that runs on each implementation of
it, or a shape, with what has it. `tests/architecture/test_ports.py` holds the list to the code.
"""

from __future__ import annotations

STORE = "tests/contract/test_store_port.py"
CARRIER = "tests/integration/test_carrier_port.py"
KAFKA = "tests/integration/test_kafka_ports.py"
S3 = "tests/integration/test_s3_ports.py"
INGEST = "tests/integration/test_ingest_ports.py"
BATCH = "tests/integration/test_batch.py"

PORTS = {
    "preprocess_svc/batch/epochs/ports.py:Objects": "tests/integration/test_objects.py",
    "predict_svc/view/ports.py:Moment": STORE,
    "predict_svc/view/ports.py:Change": STORE,
    "predict_svc/view/ports.py:LandedBase": STORE,
    "predict_svc/view/ports.py:StateReads": STORE,
    "predict_svc/view/ports.py:StateStore": STORE,
    "predict_svc/view/ports.py:BaseLoading": STORE,
    "predict_svc/view/ports.py:BaseFiles": S3,
    "predict_svc/api/serving.py:ViewReads": "tests/contract/test_view_reads_port.py",
    "predict_svc/api/activation.py:Reader": KAFKA,
    "predict_svc/api/freshness.py:RawEnds": KAFKA,
    "monitor_svc/ports.py:Publisher": KAFKA,
    "monitor_svc/ports.py:MetricSink": KAFKA,
    "monitor_svc/ports.py:Beats": "tests/contract/test_beats_port.py",
    "train_svc/ports.py:TrainingSets": S3,
    "train_svc/ports.py:Models": S3,
    "train_svc/ports.py:Baseline": "tests/contract/test_baseline_port.py",
    "train_svc/ports.py:Tuner": "tests/integration/test_train_ray.py",
    "train_svc/trainer.py:Reader": KAFKA,
    "train_svc/trainer.py:Publisher": KAFKA,
    "twinstream/nn/model_objects.py:Objects": S3,
    "twinstream/mesh/clock.py:Clock": "tests/contract/test_clock_port.py",
    "twinstream/mesh/carrier.py:Carrier": CARRIER,
    "twinstream/mesh/carrier.py:Carried": CARRIER,
    "twinstream/mesh/quarantine.py:Letters": KAFKA,
    "twinstream/mesh/quarantine.py:Meter": KAFKA,
    "twinstream/mesh/ranged_file.py:Ranges": S3,
    "ingest_svc/ports.py:Log": KAFKA,
    "ingest_svc/ports.py:DeadLetterSink": KAFKA,
    "ingest_svc/ports.py:Events": KAFKA,
    "ingest_svc/ports.py:Meter": KAFKA,
    "ingest_svc/ports.py:Objects": S3,
    "ingest_svc/http_api/sending.py:Raw": KAFKA,
    "ingest_svc/ports.py:RawRecords": INGEST,
    "ingest_svc/ports.py:Tails": INGEST,
    "ingest_svc/ports.py:SealRequests": INGEST,
    "preprocess_svc/batch/epochs/ports.py:Ports": BATCH,
    "preprocess_svc/batch/epochs/ports.py:Reports": BATCH,
}
"""By file and name."""

SHAPES = {
    "ingest_svc/ports.py:Head": "the answer of a port: size and version of an object",
    "ingest_svc/file_check.py:FileDecoder": "what of `twinstream.define.records.Decoder` is used",
    "ingest_svc/validation.py:Decoded": "the answer of a decoder, which is pure",
    "ingest_svc/validation.py:JsonDecoder": "what of `twinstream.define.records.Decoder` is used",
    "twinstream/nn/tabular.py:InputNames": "what of `twinstream.features.inputs` is used",
    "twinstream/features/inputs.py:InputNames": "what a definition names as inputs",
    "twinstream/nn/model_objects.py:Promoted": "what of an event is used",
    "twinstream/mesh/carrier.py:CarriedMessage": "the message that a carrier hands over",
    "twinstream/mesh/service.py:Named": "what of a definition is used",
    "twinstream/mesh/service.py:SourcesAndViews": "what of a definition is used",
    "twinstream/mesh/topics_admin.py:Defined": "what of a definition is used",
    "twinstream/protocol/who_counts.py:Row": "what of a record is used",
    "twinstream/audit/sample.py:Partition": "what of a snapshot is used",
    "twinstream/define/raw_cells.py:RawCells": "a method that field types have",
    "twinstream/define/pipeline.py:_Named": "what of a definition is used",
}
"""Data, or functions of data: no engine is behind them."""
