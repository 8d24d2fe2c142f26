"""Names that several modules define on purpose: each implements one protocol."""

PROTOCOLS = {
    "declare": "every aggregate's constructor of slots",
    "answer": "every aggregate's answer; the general one calls them",
    "main": "every process",
    "run": "every process",
    "warm_up": "every module of compiled loops, called by setup",
    "spec": "every process of the embedded mesh",
    "handle_model_trained": "handlers of one event in several services",
    "handle_training_set_published": "handlers of one event in several services",
    "decode_header": "the byte forms of packs and of partials",
    "Ports": "what the handlers of a service need",
}
