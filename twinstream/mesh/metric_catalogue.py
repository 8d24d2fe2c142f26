"""Every run-time metric of our processes, described once; docs/reference/metrics.md is made of it.

A test compares each with the calls that send it: name, kind, unit and labels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "summary"]


class Described(NamedTuple):
    """`labels`: those of every series; `may`: those of some. A counter counts in ones."""

    name: str
    what: str
    kind: Kind = "counter"
    unit: str = "1"
    labels: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


EVERY_SERVICE = (
    Described(
        "http_refused_total",
        "requests that were refused before they were answered: shed, too large, too slow, or asked "
        "under another name",
        labels=("status",),
    ),
    Described(
        "mesh_alerts_total",
        "what a person must look at; `twinstream dead-letters list --kind bug` shows each",
        labels=("process",),
    ),
    Described(
        "mesh_dead_letters_total",
        "messages that became dead letters",
        labels=("process", "kind"),
    ),
    Described(
        "mesh_metrics_refused_total",
        "values that were not sent: not a finite number, or one series too many",
        labels=("metric",),
    ),
)
INGEST = (
    Described(
        "ingest_arrivals_waiting",
        "announced files that wait for S3",
        kind="gauge",
    ),
    Described(
        "ingest_dead_letters_total",
        "live records that did not fit their source",
        labels=("source",),
    ),
    Described(
        "ingest_duplicates_total",
        "live records dropped because their id came before",
        labels=("source",),
    ),
    Described(
        "ingest_expired_total",
        "raw records that Kafka deleted before they were read",
        labels=("source",),
    ),
    Described("ingest_files_accepted_total", "files accepted", labels=("source",)),
    Described("ingest_files_refused_total", "files dead-lettered", labels=("source",)),
    Described(
        "ingest_files_repeated_total",
        "announced files that had been accepted before",
        labels=("source",),
    ),
    Described("ingest_http_records_total", "records taken over HTTP", labels=("source",)),
    Described("ingest_http_rejected_total", "records refused over HTTP", labels=("source",)),
    Described(
        "ingest_http_request_ms",
        "time to answer a request with records, Kafka's confirmation included",
        kind="summary",
        unit="ms",
        labels=("source",),
    ),
    Described(
        "ingest_ids_forgotten_total",
        "ids forgotten before the end of the source's `dedupe` time, because memory is bounded",
        labels=("source",),
    ),
    Described(
        "ingest_lag_records",
        "raw records that are not in the log yet",
        kind="gauge",
        unit="records",
    ),
    Described(
        "ingest_pack_rows", "rows of a pack", kind="summary", unit="rows", labels=("source",)
    ),
    Described(
        "ingest_raw_to_log_ms",
        "from the oldest raw record of a pack to Kafka's confirmation of the pack",
        kind="summary",
        unit="ms",
        labels=("source",),
    ),
    Described("ingest_records_in_total", "raw records read", labels=("source",)),
    Described("ingest_records_logged_total", "rows written to the log", labels=("source",)),
)
BATCH = (
    Described(
        "batch_bases_lost_total",
        "bases on S3 that were not what had been published; their views are folded whole",
        labels=("view",),
    ),
    Described("batch_epoch_number", "the newest epoch that landed", kind="gauge"),
    Described(
        "batch_phase_seconds",
        (
            "time that a phase of an epoch took: `history`, `fold`, `land` (all of it) or "
            "`training_set`"
        ),
        kind="summary",
        unit="s",
        labels=("phase",),
    ),
)
SPEED = (
    Described(
        "speed_breaks_total",
        "chains of partials that were folded again from a break that a view reported",
    ),
    Described("speed_fold_ms", "time to fold one log message", kind="summary", unit="ms"),
    Described("speed_foreign_messages_total", "log messages that are not ingest's, passed over"),
    Described("speed_lag_messages", "log messages not folded yet", kind="gauge", unit=""),
    Described("speed_partials_total", "partials made"),
    Described("speed_rows_total", "rows folded"),
)
VIEW = (
    Described(
        "view_apply_ms",
        "time to write what was collected for one view and partition",
        kind="summary",
        unit="ms",
    ),
    Described("view_bases_landed_total", "bases taken into use", labels=("view",)),
    Described(
        "view_bases_refused_total",
        "attempts to use a base that failed; the base before it stays",
        labels=("view",),
    ),
    Described(
        "view_foreign_messages_total",
        "messages that are not the speed layer's, passed over",
        labels=("view",),
    ),
    Described(
        "view_freshness_ms",
        "from a row's arrival in the log to the moment at which the view can answer with it",
        kind="summary",
        unit="ms",
    ),
    Described(
        "view_gaps_total",
        "partials refused because the one before them is missing",
        labels=("view",),
    ),
    Described("view_lag_messages", "partials not taken yet", kind="gauge", unit=""),
    Described("view_repeats_total", "partials that had been taken before", labels=("view",)),
    Described("view_rows_total", "rows whose effect the view took", labels=("view",)),
)
PREDICT = (
    Described(
        "predict_canary_failed_total",
        "requests, or requests together, that what serves answered because the canary could not",
        labels=("model",),
    ),
    Described(
        "predict_answer_ms",
        "time to answer a request, without the wait that it asked for",
        kind="summary",
        unit="ms",
        labels=("model",),
    ),
    Described(
        "predict_events_lost_total",
        "prediction events that Kafka did not take; their answers had been given",
    ),
    Described(
        "predict_events_recovered_total",
        "prediction events of a killed predictor that its successor sent",
    ),
    Described(
        "predict_refused_total",
        "requests that got an error from the predictor",
        labels=("status",),
    ),
    Described(
        "predict_requests_apart_total",
        "requests that came together and had to be answered one by one",
        labels=("model",),
    ),
    Described("predict_rows_total", "rows answered", labels=("model",)),
    Described(
        "predict_shadow_failed_total",
        "rows of which the candidate beside the model could say nothing",
        labels=("model",),
    ),
    Described(
        "predict_shadow_rows_total",
        "rows that the candidate beside the model was asked",
        labels=("model",),
    ),
    Described(
        "predict_shadow_shed_total",
        "rows that the candidate was not asked, because it had taken its share of time",
        labels=("model",),
    ),
    Described(
        "predict_unjoinable_rows_total",
        "rows answered whose label can never be met, by the field that they lack",
        labels=("model", "field"),
    ),
    Described(
        "predict_waited_ms",
        "time that a request waited for the position or the freshness that it asked for",
        kind="summary",
        unit="ms",
        labels=("model",),
    ),
)
TRAIN = (
    Described(
        "train_working",
        "1 while a model is searched, trained or judged, else 0",
        kind="gauge",
        unit="",
    ),
)
MONITOR = (
    Described(
        "monitor_auc",
        "area under the ROC curve of labelled predictions; `window`: rolling, all or release",
        kind="gauge",
        labels=("model", "window"),
        may=("release",),
    ),
    Described(
        "monitor_labelled_total",
        "labels that met predictions; `how`: arrived, missing or revised",
        labels=("model", "how"),
    ),
    Described("monitor_lag_messages", "messages not read yet", kind="gauge"),
    Described(
        "monitor_log_loss",
        "mean log loss of labelled predictions; `window`: rolling, all or release",
        kind="gauge",
        unit="nat",
        labels=("model", "window"),
        may=("release",),
    ),
    Described(
        "monitor_mae",
        "mean absolute error of labelled predictions of numbers; `window`: rolling, all or release",
        kind="gauge",
        unit="",
        labels=("model", "window"),
        may=("release",),
    ),
    Described(
        "monitor_metrics_dropped_total",
        "metrics of other services that were left out: odd, or one series too many",
    ),
    Described(
        "monitor_model_auc",
        "area under the ROC curve of the labelled predictions of one trained model",
        kind="gauge",
        labels=("model", "digest"),
    ),
    Described(
        "monitor_model_log_loss",
        "mean log loss of the labelled predictions of one trained model",
        kind="gauge",
        unit="nat",
        labels=("model", "digest"),
    ),
    Described(
        "monitor_model_mae",
        "mean absolute error of the labelled predictions of one trained model",
        kind="gauge",
        unit="",
        labels=("model", "digest"),
    ),
    Described(
        "monitor_model_rmse",
        "root mean squared error of the labelled predictions of one trained model",
        kind="gauge",
        unit="",
        labels=("model", "digest"),
    ),
    Described(
        "monitor_prediction_mean",
        "mean of the latest scores",
        kind="gauge",
        labels=("model",),
    ),
    Described(
        "monitor_rmse",
        "root mean squared error of labelled predictions of numbers; "
        "`window`: rolling, all or release",
        kind="gauge",
        unit="",
        labels=("model", "window"),
        may=("release",),
    ),
    Described(
        "monitor_shadow_auc",
        "area under the ROC curve on labelled rows that both were asked; "
        "`of`: the candidate, or what served",
        kind="gauge",
        labels=("model", "candidate", "of"),
    ),
    Described(
        "monitor_shadow_difference",
        "mean absolute difference of the candidate's scores and those that were given",
        kind="gauge",
        labels=("model", "candidate"),
    ),
    Described(
        "monitor_shadow_log_loss",
        "mean log loss on labelled rows that both were asked; `of`: the candidate, or what served",
        kind="gauge",
        unit="nat",
        labels=("model", "candidate", "of"),
    ),
    Described(
        "monitor_shadow_mae",
        "mean absolute error on labelled rows that both were asked; "
        "`of`: the candidate, or what served",
        kind="gauge",
        unit="",
        labels=("model", "candidate", "of"),
    ),
    Described(
        "monitor_shadow_other_side",
        "share of rows that the candidate puts on the other side of 0.5",
        kind="gauge",
        labels=("model", "candidate"),
    ),
    Described(
        "monitor_shadow_rmse",
        "root mean squared error on labelled rows that both were asked; "
        "`of`: the candidate, or what served",
        kind="gauge",
        unit="",
        labels=("model", "candidate", "of"),
    ),
)
BY_PROCESS: dict[str, tuple[Described, ...]] = {
    "every service": EVERY_SERVICE,
    "ingest, ingest-http": INGEST,
    "batch": BATCH,
    "speed": SPEED,
    "view": VIEW,
    "predict": PREDICT,
    "train": TRAIN,
    "monitor": MONITOR,
}
"""By the process that sends them, as `twinstream status` names it."""
