"""``monitoring``: the files that go into Prometheus and Grafana, as they came with this version."""

from __future__ import annotations

import click


@click.group()
def monitoring() -> None:
    """Print alerting rules for Prometheus, or a dashboard for Grafana."""


@monitoring.command()
def rules() -> None:
    """Print the alerting rules, a file for Prometheus' rule_files."""
    from .. import metrics  # prometheus_client takes a while to import

    click.echo(metrics.alert_rules(), nl=False)


@monitoring.command()
def dashboard() -> None:
    """Print the dashboard, for Grafana's import."""
    from .. import metrics  # as above

    click.echo(metrics.dashboard(), nl=False)
