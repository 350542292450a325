"""What Prometheus is told of the channel accounts."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .models import ChannelAccount


class ChannelCollector(Collector):
    """One series for each channel account: an alert on it tells of a pause that nobody has ended."""

    def collect(self) -> Iterator[Metric]:
        """Raises DatabaseError where the accounts cannot be read."""
        paused = GaugeMetricFamily(
            "conversations_channel_paused",
            "1 while nothing leaves by the channel account: a person must put it right, and resume it.",
            labels=["channel", "account"],  # by its id: an address is nobody's to read here
        )
        for pk, channel, paused_at in ChannelAccount.objects.order_by("pk").values_list("pk", "channel", "paused_at"):
            paused.add_metric([channel, str(pk)], paused_at is not None)
        yield paused
