from cluster.head_recovery import PATIENCE_S, environment_of_head, environment_of_node

TEN_MINUTES_S = 600


def test_every_node_waits_longer_for_the_head_than_is_promised() -> None:
    waits_s = int(environment_of_node()["RAY_gcs_rpc_server_reconnect_timeout_s"])
    assert waits_s == PATIENCE_S > TEN_MINUTES_S


def test_the_head_is_as_patient_as_the_others() -> None:
    assert environment_of_node().items() <= environment_of_head("/disk/state").items()


def test_only_the_head_keeps_state() -> None:
    head = environment_of_head("/disk/state")
    assert head["RAY_gcs_storage"] == "rocksdb"
    assert head["RAY_gcs_storage_path"] == "/disk/state"
    assert not any("storage" in name for name in environment_of_node())
