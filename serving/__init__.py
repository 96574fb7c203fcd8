"""What any process of ours needs to serve: settings, telemetry, health, errors, drain."""
