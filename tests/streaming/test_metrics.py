import urllib.request

from prometheus_client import REGISTRY

from streaming import metrics


def test_every_series_of_a_feed_exists_before_anything_is_counted() -> None:
    metrics.init_connector("quiet")
    metrics.init_gateway()
    metrics.init_archive("quiet")

    value = REGISTRY.get_sample_value
    assert value("ssmd_connector_messages_received_total", {"feed": "quiet", "type": "trade"}) == 0
    assert value("ssmd_connector_messages_published_total", {"feed": "quiet"}) == 0
    assert value("ssmd_connector_lag_seconds", {"feed": "quiet"}) == 0
    assert value("ssmd_connector_errors_total", {"feed": "quiet", "error_type": "parse"}) == 0
    assert value("ssmd_gateway_clients_connected") is not None
    assert value("ssmd_gateway_messages_sent_total", {"type": "trade"}) is not None
    assert value("ssmd_gateway_subscriptions_active", {"symbol": "other"}) is not None
    assert value("ssmd_archiver_bytes_written_total", {"bucket": "raw"}) is not None
    assert value("ssmd_archiver_files_written_total", {"bucket": "normalized"}) is not None


def test_no_port_means_no_server() -> None:
    assert metrics.serve_metrics(None) == 0
    assert metrics.serve_metrics(0) == 0


def test_metrics_are_served_on_loopback(unused_tcp_port: int) -> None:
    port = metrics.serve_metrics(unused_tcp_port)

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"ssmd_gateway_clients_connected" in answer.read()
